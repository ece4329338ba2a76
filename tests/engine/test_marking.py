"""What a finished file tells of where it came from, through the whole of a download."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.engine.runs import fetch
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.core.trust import Version
from thunderdl.engine.marking import marker, public_url
from thunderdl.model import Validators
from thunderdl.options import Options
from thunderdl.storage import marks

WHEN = 1_000_000_000
SAID = "Sun, 09 Sep 2001 01:46:40 GMT"
SIZES = [5, 3_000_000]


@pytest.fixture
def attributes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What extended attributes were set, on whatever file system."""
    kept: dict[str, str] = {}
    monkeypatch.setattr(marks, "_set_attribute", lambda fd, name, value: kept.update({name: value.decode()}))
    return kept


@pytest.mark.parametrize("size", SIZES)
def test_the_remote_time_where_it_is_asked_for(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = Resource(body=bytes(size), last_modified=SAID)
    result = fetch(server.url("/f"), tmp_path, remote_time=True)
    assert result.path is not None
    assert os.stat(result.path).st_mtime == WHEN
    assert result.notes == ()
    plain = fetch(server.url("/f"), tmp_path, out="g")
    assert plain.path is not None
    assert os.stat(plain.path).st_mtime > time.time() - 3600


@pytest.mark.parametrize("said", [None, "yesterday", "Sun, 99 Sep 2001 01:46:40 GMT"])
@pytest.mark.parametrize("size", SIZES)
def test_no_time_or_rubbish(tmp_path: Path, server: LoopbackServer, said: str | None, size: int) -> None:
    server.resources["/f"] = Resource(body=bytes(size), last_modified=said)
    result = fetch(server.url("/f"), tmp_path, remote_time=True)
    assert result.path is not None
    assert os.stat(result.path).st_mtime > time.time() - 3600


@pytest.mark.parametrize("size", SIZES)
def test_where_it_came_from_without_secrets(
    tmp_path: Path, server: LoopbackServer, attributes: dict[str, str], size: int
) -> None:
    server.resources["/f?X-Amz-Signature=s3cret"] = Resource(body=bytes(size))
    url = server.url("/f?X-Amz-Signature=s3cret#frag").replace("//", "//alice:opensesame@")
    headers = (("Referer", "http://bob:pw@r/page?session=s3cret"),)
    fetch(url, tmp_path, xattr=True, headers=headers)
    assert attributes == {marks.ORIGIN: server.url("/f"), marks.REFERRER: "http://r/page"}


def test_nothing_is_noted_unasked(tmp_path: Path, server: LoopbackServer, attributes: dict[str, str]) -> None:
    server.resources["/f"] = Resource(body=b"x")
    fetch(server.url("/f"), tmp_path)
    assert attributes == {}


@pytest.mark.parametrize("url", ["data:text/plain,secret", "/home/me/x.torrent", "magnet:?xt=urn:btih:1", "file:///x"])
def test_what_is_no_place_on_the_network_is_not_noted(url: str) -> None:
    assert public_url(url) is None


def test_quarantine_is_of_macos_alone(monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str]) -> None:
    assert marker(Options(), "http://h/x", Version(), []) is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert marker(Options(quarantine=False), "http://h/x", Version(), []) is None
    put = marker(Options(), "http://h/x", Version(), [])
    assert put is not None
    put(-1)
    assert list(attributes) == [marks.QUARANTINE]


def test_what_fails_is_a_note_and_told_once() -> None:
    notes: list[str] = []
    put = marker(Options(remote_time=True), "http://h/x", Version(validators=Validators(last_modified=SAID)), notes)
    assert put is not None
    put(1 << 20)
    put(1 << 20)
    assert len(notes) == 1
