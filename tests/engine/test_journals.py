"""Journals that are torn, garbled, foreign or newer, and part files that are not what their journal says (L4, L5)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, failed, fetch, names, sha256
from tests.engine.stopped import CONTENT, CUT, KEPT, SIZE, stop_midway
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer
from thunderdl.client import Client
from thunderdl.errors import JournalUnusable, UsageError
from thunderdl.leftovers import request_from_journal
from thunderdl.model import Result
from thunderdl.options import Options
from thunderdl.storage.journal import Journal
from thunderdl.storage.records import Header


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 30, 100, 200, -1, -7, -40])
def test_a_torn_journal(tmp_path: Path, server: LoopbackServer, cut: int) -> None:
    stop_midway(server, tmp_path)
    journal = tmp_path / "f.part.journal"
    journal.write_bytes(journal.read_bytes()[:cut])
    assert content_of(fetch(server.url("/f"), tmp_path)) == CONTENT
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("at", [0, 5, 12, 40, 150, -20])
def test_a_garbled_journal(tmp_path: Path, server: LoopbackServer, at: int) -> None:
    stop_midway(server, tmp_path)
    journal = tmp_path / "f.part.journal"
    data = bytearray(journal.read_bytes())
    data[at] ^= 0xFF
    journal.write_bytes(data)
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == CONTENT
    else:
        failed(result, JournalUnusable, 9)
        assert names(tmp_path) == KEPT


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\0" * 5000, b'{"url": "x"}', b"A" * 100_000])
def test_a_foreign_journal(tmp_path: Path, server: LoopbackServer, data: bytes) -> None:
    server.resources["/f"] = generated(SIZE, seed=1)
    (tmp_path / "f.part.journal").write_bytes(data)
    (tmp_path / "f.part").write_bytes(b"x" * 5000)
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == CONTENT
    else:
        failed(result, JournalUnusable, 9, "f.part.journal")
        assert (tmp_path / "f.part.journal").read_bytes() == data
        assert (tmp_path / "f.part").read_bytes() == b"x" * 5000


def test_a_newer_journal_is_left_alone(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    journal = tmp_path / "f.part.journal"
    data = bytearray(journal.read_bytes())
    # The version stands behind the name of the format, in the opening line.
    place = next(at for at in range(4, 16) if 1 <= data[at] <= 9 or 0x31 <= data[at] <= 0x39)
    data[place] = data[place] + 1
    journal.write_bytes(data)
    failed(fetch(server.url("/f"), tmp_path), JournalUnusable, 9, "newer")
    assert journal.read_bytes() == data
    assert names(tmp_path) == KEPT


def test_a_part_file_without_a_journal_counts_for_nothing(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "f.part").write_bytes(b"x" * 2 * SIZE)
    server.resources["/f"] = generated(SIZE, seed=1)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes == 0


@pytest.mark.parametrize("size", [0, 1000, CUT // 2])
def test_a_part_file_shorter_than_its_journal_says(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    stop_midway(server, tmp_path)
    os.truncate(tmp_path / "f.part", size)
    assert content_of(fetch(server.url("/f"), tmp_path)) == CONTENT


def test_a_journal_without_its_part_file(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    (tmp_path / "f.part").unlink()
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/hostname", "FILE:///x", "data:,x", "metalink:file:///x.meta4"])
def test_a_journal_names_no_file_of_this_machine(tmp_path: Path, url: str) -> None:
    """In a folder that others write to it may be theirs: whoever resumes there would copy his own files out."""
    Journal.create(str(tmp_path / "f.part.journal"), Header(url=url, size=5)).close()
    with pytest.raises(UsageError, match="a file of this machine"):
        request_from_journal(str(tmp_path / "f.part.journal"), Options())


@pytest.mark.parametrize("url", ["http://h/f", "http://h/f.meta4"])
def test_nor_does_a_mirror_of_a_journal(tmp_path: Path, url: str) -> None:
    told = Header(url=url, mirrors=("file:///etc/hostname", "http://m/f"), name="f", size=5)
    Journal.create(str(tmp_path / "f.part.journal"), told).close()
    assert request_from_journal(str(tmp_path / "f.part.journal"), Options()).mirrors == ("http://m/f",)


def test_request_from_journal(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path, checksum=sha256(CONTENT))

    async def run() -> Result:
        request = request_from_journal(str(tmp_path / "f.part.journal"), Options())
        async with asyncio.timeout(LIMIT_S), Client() as client:
            return await anext(client.run([request]))

    result = asyncio.run(run())
    assert content_of(result) == CONTENT
    assert result.verified
    assert result.resumed_bytes >= CUT
