"""A torrent that becomes known in the middle of a download, and the web seeds that one names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from tests.engine.runs import all_say, content_of, drive
from tests.engine.swarm import ALONE, CONTENT, PIECE_BYTES, SIZE, Kind, joint, made_torrent, seeds
from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import metainfo, write_tree
from thunderdl.client import Task
from thunderdl.errors import UsageError
from thunderdl.model import Result, SourceKind

# Slow enough that something is left when the torrent comes.
PACE = Limits(rate_bytes_per_s=4 * 1024 * 1024)


@pytest.fixture
def mirror() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as server:
        yield server


def test_a_torrent_joins_a_running_download_and_no_byte_is_lost(tmp_path: Path, mirror: LoopbackServer) -> None:
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(made_torrent(tmp_path / "seed"))

    async def add(task: Task) -> Result:
        async for progress in task:
            if progress.done_bytes >= SIZE // 4:
                break
        before = task.progress().done_bytes
        await task.add_torrent(str(torrent))
        result = await task.outcome()
        assert result.resumed_bytes >= before
        return result

    with seeds(torrent.read_bytes(), tmp_path / "seed") as peers:
        addresses = tuple(peer.address for peer in peers)
        result = drive(add, mirror.url("/f"), tmp_path / "out", **{**ALONE, "peers": addresses})
    assert content_of(result) == CONTENT
    assert any(source.bytes for source in result.sources if source.kind is SourceKind.PEERS)
    brought = sum(source.bytes for source in result.sources)
    assert SIZE <= result.resumed_bytes + brought <= SIZE + 16 * PIECE_BYTES


@pytest.mark.parametrize(
    ("content", "said"), [(CONTENT[:-1], f"another file: {SIZE - 1} bytes, not {SIZE}"), (None, "no single file")]
)
def test_a_torrent_that_does_not_fit_is_refused_and_the_download_goes_on(
    tmp_path: Path, mirror: LoopbackServer, content: bytes | None, said: str
) -> None:
    torrent = tmp_path / "other.torrent"
    if content is None:
        write_tree(tmp_path / "folder", {"a": b"one", "b": b"two"})
        torrent.write_bytes(metainfo(tmp_path / "folder"))
    else:
        torrent.write_bytes(made_torrent(tmp_path / "other", content=content))

    async def add(task: Task) -> Result:
        async for progress in task:
            if progress.size_bytes is not None:
                break
        with pytest.raises(UsageError, match=said):
            await task.add_torrent(str(torrent))
        return await task.outcome()

    result = drive(add, mirror.url("/f"), tmp_path / "out", **ALONE)
    assert content_of(result) == CONTENT
    assert [source.kind for source in result.sources] == [SourceKind.HTTP]


def test_a_web_seed_is_a_mirror_that_gets_none_of_the_users_headers(tmp_path: Path, mirror: LoopbackServer) -> None:
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as web:
        whole: Any = lt.bdecode(made_torrent(tmp_path / "seed", Kind.V1))
        torrent = tmp_path / "w.torrent"
        torrent.write_bytes(lt.bencode({**whole, b"url-list": web.url("/f").encode()}))
        secret = (("X-Secret", "mine"),)
        result = joint(str(torrent), tmp_path / "out", urls=(mirror.url("/f"),), headers=secret)
        assert content_of(result) == CONTENT
        assert all(source.bytes for source in result.sources if source.kind is SourceKind.HTTP)
        assert all_say(mirror, "x-secret", "mine")
        assert all_say(web, "x-secret", None)
