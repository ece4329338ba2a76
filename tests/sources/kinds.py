"""The protocols that the contract is tested with: each serves one file, and can be made to do wrong."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from h2.errors import ErrorCodes

from tests.servers import fake_sftp
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.exchange import Behaviour, Resource
from tests.servers.fake_ftp import MDTM, FakeFtp
from tests.servers.fake_http2 import FakeHttp2, Fields, Talk
from tests.servers.loopback import LoopbackServer

NAME = "f"


class Kind(Protocol):
    """``url``: of the file that is served; ``options``: what it takes to speak so."""

    @property
    def url(self) -> str: ...

    @property
    def options(self) -> dict[str, Any]: ...

    @property
    def gone_url(self) -> str:
        """Of a file that is not there."""

    def serve(self, content: bytes) -> None:
        """Serve this from now on, as another version."""


class Faulty(Kind, Protocol):
    """One that is reached over a wire."""

    def stall_after(self, count: int | None) -> None:
        """Fall silent after so many bytes of each answer; None: be well again."""

    def cut_after(self, count: int | None) -> None:
        """Close after so many bytes of each answer; None: be well again."""


class _Plain:
    """What needs no options."""

    options: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it


class Http(_Plain):
    def __init__(self, server: LoopbackServer) -> None:
        self._server, self._content, self._version = server, b"", 0
        self.url, self.gone_url = server.url(f"/{NAME}"), server.url("/gone")

    def serve(self, content: bytes) -> None:
        self._version += 1
        self._content = content
        self._server.resources[f"/{NAME}"] = self._resource(m.well)

    def stall_after(self, count: int | None) -> None:
        self._server.release.clear() if count is not None else self._server.release.set()
        self._server.resources[f"/{NAME}"] = self._resource(m.well if count is None else m.stall_after(count))

    def cut_after(self, count: int | None) -> None:
        self._server.resources[f"/{NAME}"] = self._resource(m.well if count is None else m.short_body(count))

    def _resource(self, behaviour: Behaviour) -> Resource:
        return Resource(body=self._content, etag=f'"{self._version}"', behaviour=behaviour)


class Http2:
    def __init__(self, server: FakeHttp2, ca: Path) -> None:
        self._server, self._version = server, 0
        self._stall_after: int | None = None
        self._cut_after: int | None = None
        self.url, self.gone_url = server.url, server.url.removesuffix(f"/{NAME}") + "/gone"
        self.options: dict[str, Any] = {"http2": True, "ca": str(ca)}
        server.behaviour = self._answer

    def serve(self, content: bytes) -> None:
        self._version += 1
        self._server.content = content

    def stall_after(self, count: int | None) -> None:
        self._stall_after = count

    def cut_after(self, count: int | None) -> None:
        self._cut_after = count

    def _answer(self, talk: Talk, stream: int, asked: Fields) -> None:
        talk.content = self._server.content
        if asked[":path"] == "/gone":
            talk.head(stream, {":status": "404", "content-length": "0"}, ends=True)
        elif not talk.content and "range" in asked:
            talk.head(stream, {":status": "416", "content-range": "bytes */0", "content-length": "0"}, ends=True)
        else:
            head, content = talk.part(asked)
            talk.head(stream, {**head, "etag": f'"{self._version}"'})
            self._send(talk, stream, content)

    def _send(self, talk: Talk, stream: int, content: bytes) -> None:
        most = min(each for each in (self._stall_after, self._cut_after, len(content)) if each is not None)
        talk.body(stream, content[:most], ends=most == len(content))
        if self._cut_after is not None and most < len(content):
            talk.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            talk.flush()


class Ftp(_Plain):
    def __init__(self, server: FakeFtp) -> None:
        self._server, self._version = server, 0
        self.url, self.gone_url = server.url(NAME), server.url("gone")

    def serve(self, content: bytes) -> None:
        self._version += 1
        self._server.files[NAME.encode()] = content
        self._server.replies["MDTM"] = b"%b%02d" % (MDTM[:-2], self._version)

    def stall_after(self, count: int | None) -> None:
        self._server.stall_after = count
        self._server.release.clear() if count is not None else self._server.release.set()

    def cut_after(self, count: int | None) -> None:
        self._server.cut_after = count


class Sftp(_Plain):
    """By a program in the place of ``ssh``; the real one is tested in :mod:`tests.sources.sftp.test_sshd`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._version, self._content = folder, 0, b""
        self.url, self.gone_url = (f"sftp://me@example.invalid{folder}/{name}" for name in (NAME, "gone"))

    def serve(self, content: bytes) -> None:
        self._version += 1
        path = self._folder / NAME
        path.write_bytes(content)
        os.utime(path, (0, 1_000_000_000 + self._version))

    def stall_after(self, count: int | None) -> None:
        fake_sftp.behave(self._folder, fake_sftp.Behaviour(stall_after=count))

    def cut_after(self, count: int | None) -> None:
        fake_sftp.behave(self._folder, fake_sftp.Behaviour(cut_after=count))


class File(_Plain):
    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.url, self.gone_url = self._path.as_uri(), (folder / "gone").as_uri()

    def serve(self, content: bytes) -> None:
        # Another file, as whoever renames one into place makes it.
        self._path.unlink(missing_ok=True)
        self._path.write_bytes(content)


class Data(_Plain):
    gone_url = "data:text/plain"

    def __init__(self) -> None:
        self.url = "data:,"

    def serve(self, content: bytes) -> None:
        self.url = "data:application/octet-stream;base64," + base64.b64encode(content).decode()


@contextlib.contextmanager
def kind_called(name: str, folder: Path, certificates: Certificates) -> Iterator[Kind]:
    """One by its name, as the tests' parameters write it."""
    if name == "http":
        with LoopbackServer() as server:
            yield Http(server)
    elif name == "http2":
        with FakeHttp2(certificates.good(), b"") as http2:
            yield Http2(http2, certificates.ca_file)
    elif name == "ftp":
        with FakeFtp({}) as ftp:
            yield Ftp(ftp)
    elif name == "sftp":
        with fake_sftp.in_place_of_ssh(folder):
            yield Sftp(folder)
    elif name == "file":
        yield File(folder)
    else:
        yield Data()
