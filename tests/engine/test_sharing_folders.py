"""A finished folder that goes on sharing: whole, in part, under another name, of a magnet link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import drive, shared_until, told_of
from tests.engine.test_collections import ALONE, FILES, SIZE, scene_of
from tests.engine.test_seeding import free_port
from tests.servers.leecher import Leecher, leecher
from tests.servers.torrents import KINDS, tree_of
from thunderdl.engine import sharing_back
from thunderdl.engine.sharing_back import Shareable
from thunderdl.model import Status
from thunderdl.options import Exists
from thunderdl.sources.swarm.torrent import load


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Leecher]:
    with leecher(tmp_path / "theirs") as running:
        yield running


def peers_of(*ports: int) -> dict[str, Any]:
    return {**ALONE, "pex": False, "port": free_port(), "peers": tuple(("127.0.0.1", port) for port in ports)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_shared_under_its_final_name(tmp_path: Path, other: Leecher, kind: str) -> None:
    scene = scene_of(tmp_path, kind)
    (scene.target / "Set").mkdir()
    handle = other.add(scene.metainfo)
    with scene.seeding() as seed:
        until = shared_until(lambda: other.finish(handle), SIZE)
        known = peers_of(seed.peer[1], other.port)
        result = drive(until, scene.torrent, scene.target, **known, ratio=9.0, exists=Exists.RENAME)
    assert result.status is Status.COMPLETE, result.error
    assert result.path == str(scene.target / "Set (1)")
    assert result.uploaded_bytes >= told_of(SIZE)
    assert result.notes == ()
    assert tree_of(tmp_path / "theirs") == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_a_magnet_link_is_shared_with_the_hashes_that_came_with_the_pieces(
    tmp_path: Path, other: Leecher, kind: str
) -> None:  # fmt: skip
    scene = scene_of(tmp_path, kind)
    link = load(scene.metainfo, "").magnet
    with scene.seeding() as seed:
        # It knows us alone, and has the hashes from us.
        handle = other.add(link)
        until = shared_until(lambda: other.finish(handle), SIZE)
        result = drive(until, link, scene.target, ratio=9.0, **peers_of(seed.peer[1], other.port))
    assert result.status is Status.COMPLETE, result.error
    assert result.uploaded_bytes >= told_of(SIZE)
    assert tree_of(tmp_path / "theirs") == FILES


def test_some_of_the_files_are_shared_and_nothing_else_is_made(tmp_path: Path, other: Leecher) -> None:
    scene = scene_of(tmp_path)
    other.add(scene.metainfo)
    with scene.seeding() as seed:
        result = scene.fetch(**peers_of(seed.peer[1], other.port), files="*.bin", ratio=0.5)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == {"Set/a.bin": FILES["Set/a.bin"]}
    assert result.uploaded_bytes >= len(FILES["Set/a.bin"]) * 0.5


def test_pieces_that_reach_into_absent_files_are_not_there(tmp_path: Path) -> None:
    torrent = load(scene_of(tmp_path).metainfo, "")
    whole = Shareable(torrent=torrent, folder="", names={})
    assert (whole.size_bytes, whole.pieces) == (SIZE, [True] * torrent.piece_count)
    first = Shareable(torrent=torrent, folder="", names={}, files=frozenset({torrent.files[0].index}))
    assert torrent.files[0].path == "Set/a.bin"
    assert first.size_bytes == 900_000
    inside = 900_000 // torrent.piece_length
    assert first.pieces == [True] * inside + [False] * (torrent.piece_count - inside)
