"""A disk that is full in the middle of a swarm: one sentence, and what is verified stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed
from tests.engine.swarm import CONTENT, NAME, SIZE, joint, made_torrent, seeds
from thunderdl.errors import DiskFull


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that holds half of the file."""
    folder = tmp_path / "small"
    folder.mkdir()
    size = ["-o", f"size={SIZE // 2}"]
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", *size, "none", str(folder)], check=False).returncode
    ):
        pytest.skip("needs root, and a tmpfs that may be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_ends_it_with_a_sentence_and_room_lets_it_go_on(tmp_path: Path, small_disk: Path) -> None:
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(made_torrent(tmp_path / "seed"))
    with seeds(torrent.read_bytes(), tmp_path / "seed") as peers:
        failed(joint(str(torrent), small_disk, peers=tuple(peers)), DiskFull, 9, "no space is left", NAME)
        assert {path.name for path in small_disk.iterdir()} == {f"{NAME}.part", f"{NAME}.part.journal"}
        subprocess.run(["mount", "-o", f"remount,size={4 * SIZE}", str(small_disk)], check=True)
        result = joint(str(torrent), small_disk, peers=tuple(peers))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 0
