"""Looking into folders over SFTP, where servers are silent or know no end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.engine.runs import LIMIT_S, SHORT_S
from tests.servers.fake_sftp import Behaviour, behave, command
from thunderdl.errors import BadResponse, ConnectionLost, SourceError, TimedOut
from thunderdl.sources.sftp.carrier import RemoteOrigin
from thunderdl.sources.sftp.channel import Channel
from thunderdl.sources.sftp.process import Process
from thunderdl.sources.sftp.remote_file import RemoteFile

OPENDIR, READDIR = 11, 12
T = TypeVar("T")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "served").mkdir()
    made = Process(command(tmp_path / "served"), {})
    yield made
    made.end()


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def names(process: Process, folder: Path, timeout_s: float = LIMIT_S) -> list[bytes]:
    """What is listed, by a connection that is closed behind that."""
    file = RemoteFile(Channel(process.sock))
    file.greet()

    async def lost() -> SourceError:
        return ConnectionLost("", "closed")

    async def look() -> list[bytes]:
        origin = RemoteOrigin(file, in_thread, end=process.hang_up, lost=lost, timeout_s=timeout_s)
        try:
            async with asyncio.timeout(LIMIT_S):
                return [entry.name for entry in await origin.listed(os.fsencode(folder))]
        finally:
            origin.close()

    return asyncio.run(look())


def test_files_and_folders(process: Process, tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    assert sorted(names(process, tmp_path)) == [b".", b"..", b"a", b"b", b"c", b"d", b"served"]


@pytest.mark.parametrize("kind", [OPENDIR, READDIR])
def test_a_server_that_is_silent_is_given_up(process: Process, tmp_path: Path, kind: int) -> None:
    behave(tmp_path / "served", Behaviour(deaf_to=kind))
    with pytest.raises(TimedOut, match="did not go on with its list in time"):
        names(process, tmp_path, SHORT_S)


def test_links_without_end_are_cut_off(process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.formats.listings.MAX_ENTRIES", 20)
    behave(tmp_path / "served", Behaviour(links=True))
    with pytest.raises(BadResponse, match="more than 20 links"):
        names(process, tmp_path)
