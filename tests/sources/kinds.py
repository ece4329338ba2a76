"""The protocols that the contract is tested with: each serves one file, and can be made to do wrong."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.servers import fake_sftp
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Resource
from tests.servers.fake_ftp import MDTM, FakeFtp
from tests.servers.loopback import LoopbackServer

NAME = "f"


class Kind(Protocol):
    """``url``: of the file that is served."""

    @property
    def url(self) -> str: ...

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


class Http:
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


class Ftp:
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


class Sftp:
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


class File:
    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.url, self.gone_url = self._path.as_uri(), (folder / "gone").as_uri()

    def serve(self, content: bytes) -> None:
        # Another file, as whoever renames one into place makes it.
        self._path.unlink(missing_ok=True)
        self._path.write_bytes(content)


class Data:
    gone_url = "data:text/plain"

    def __init__(self) -> None:
        self.url = "data:,"

    def serve(self, content: bytes) -> None:
        self.url = "data:application/octet-stream;base64," + base64.b64encode(content).decode()


@contextlib.contextmanager
def kind_called(name: str, folder: Path) -> Iterator[Kind]:
    """One by its name, as the tests' parameters write it."""
    if name == "http":
        with LoopbackServer() as server:
            yield Http(server)
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
