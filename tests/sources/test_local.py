"""What is special to ``file:`` URLs; the rest is in the contract."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.engine.candidates import Candidates
from thunderdl.engine.session import Session
from thunderdl.errors import BadResponse, InvalidUrl, NotFound, RedirectRefused
from thunderdl.options import Options


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "file://localhost{}", "FILE://LocalHost{}"])
def test_every_way_to_write_it(served: Path, tmp_path: Path, form: str) -> None:
    (served / "f").write_bytes(b"content")
    assert content_of(fetch(form.format(served / "f"), tmp_path, out="f")) == b"content"


@pytest.mark.parametrize("name", ["a b", "ü", "100%", "a#b", "a?b", "a;b"])
def test_names(served: Path, tmp_path: Path, name: str) -> None:
    (served / name).write_bytes(b"content")
    assert content_of(fetch((served / name).as_uri(), tmp_path, out="f")) == b"content"


@pytest.mark.parametrize(
    "url", ["file://example.org/etc/passwd", "file://10.0.0.1/x", "file:x", "file:", "file:///a%00b", "file:///tmp/"]
)
def test_what_is_no_file_of_this_machine_is_refused(tmp_path: Path, url: str) -> None:
    failed(fetch(url, tmp_path), InvalidUrl, 2)


def test_what_may_never_end_is_not_read(served: Path, tmp_path: Path) -> None:
    os.mkfifo(served / "pipe")
    failed(fetch((served / "pipe").as_uri(), tmp_path), BadResponse, 6, "no regular file")
    failed(fetch("file:///dev/zero", tmp_path), BadResponse, 6, "no regular file")
    failed(fetch(served.as_uri(), tmp_path), BadResponse, 6, "it is a folder")
    failed(fetch((served / "pipe" / "f").as_uri(), tmp_path), NotFound, 3, "no such file")
    assert names(tmp_path) == []


@pytest.mark.parametrize("scheme", ["file:///etc/hostname", "ftp://127.0.0.1:1/f", "data:,x", "sftp://127.0.0.1/f"])
def test_no_redirect_leads_away_from_the_web(tmp_path: Path, server: LoopbackServer, scheme: str) -> None:
    server.resources["/f"] = Resource(body=b"content", behaviour=m.redirect(scheme))
    failed(fetch(server.url("/f"), tmp_path), RedirectRefused, 6, "no web address")


def test_nobody_but_the_user_names_a_file_of_this_machine() -> None:
    """What a torrent or a metalink lists is somebody else's wish."""

    async def untried() -> int:
        session = Session(Options(), {})
        candidates = Candidates(session, ["http://127.0.0.1:1/f"], Options())
        candidates.add_foreign(["file:///etc/passwd", "FILE:///x", "data:,x", "ftp://h/f", "http://h/f"], "x.meta4")
        await session.close()
        return candidates.untried

    assert asyncio.run(untried()) == 2
