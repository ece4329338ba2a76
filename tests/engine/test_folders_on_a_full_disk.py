"""A disk that is full, or closed to us, in the middle of a folder: one sentence, and what is verified stays."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import failed, names
from tests.engine.test_collections import FILES, SIZE, SLOW, Scene, scene_of
from tests.engine.test_disk import mounted
from tests.servers.torrents import KINDS, Seed, tree_of
from thunderdl.engine import collection
from thunderdl.errors import DiskFull, StorageError
from thunderdl.model import Status
from thunderdl.storage.files import storage_fault
from thunderdl.storage.folders import PartFolder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that holds half of the files."""
    with mounted(tmp_path / "target", f"size={SIZE // 2}") as folder:
        yield folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_ends_it_with_a_sentence_and_room_lets_it_go_on(
    tmp_path: Path, small_disk: Path, kind: str
) -> None:  # fmt: skip
    scene = scene_of(tmp_path, kind)
    with scene.seeding() as seed:
        result = scene.fetch(seed)
        failed(result, DiskFull, 9, "the disk is full", "free some space", "goes on from here")
        assert names(small_disk) == ["Set.part"]
        subprocess.run(["mount", "-o", f"remount,size={4 * SIZE}", str(small_disk)], check=True)
        result = scene.fetch(seed)
        assert result.status is Status.COMPLETE, result.error
        assert result.resumed_bytes > SIZE // 8
    assert tree_of(small_disk) == FILES


def test_a_state_that_cannot_be_kept_costs_a_check_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A state of before might tell of pieces that the full disk never got."""
    scene = scene_of(tmp_path)
    keep, kept = PartFolder.write_state, list[bytes]()

    def write(self: PartFolder, state: bytes, *, on_disk: bool) -> None:
        keep(self, state, on_disk=on_disk)
        kept.append(state)
        if len(kept) > 2:
            raise storage_fault(self.path, OSError(errno.ENOSPC, ""))

    monkeypatch.setattr(collection, "SAVE_EVERY_S", 0.0)
    with scene.seeding(SLOW) as seed:
        with monkeypatch.context() as patched:
            patched.setattr(PartFolder, "write_state", write)
            failed(scene.fetch(seed), DiskFull, 9, "the disk is full", "goes on from here")
        assert not (scene.target / "Set.part" / "state").exists()
        seed.limit(0)
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert result.resumed_bytes > 0
    assert tree_of(scene.target) == FILES


PROGRAM = """
import resource, signal, sys
from thunderdl.__main__ import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
sys.exit(main())
"""


def run(scene: Scene, seed: Seed) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-c", PROGRAM, scene.torrent, "-d", str(scene.target), "--no-dht",
        "--no-lsd", "--sequential", "--peer", f"127.0.0.1:{seed.peer[1]}", "-q",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_file_larger_than_the_users_limit(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    with scene.seeding() as seed:
        ended = run(scene, seed)
        assert ended.returncode == 9, ended.stderr
        assert "too large" in ended.stderr
        assert "a.bin" in ended.stderr
        assert "Traceback" not in ended.stderr
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == FILES


def test_a_folder_closed_to_us_in_the_middle(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    inner = scene.target / "Set.part" / "files" / "Set"
    inner.parent.mkdir(parents=True)
    with mounted(inner, "size=1m,ro"), scene.seeding() as seed:
        failed(scene.fetch(seed), StorageError, 9, "read-only", "--dir", "Set.part/files/Set")


def test_a_disk_that_fails_when_all_seemed_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libtorrent calls pieces finished before they are written: the last word is that of the disk."""
    scene = scene_of(tmp_path)
    save = collection.Collection._save_for_good

    async def failing(self: collection.Collection, *given: object) -> None:
        await save(self, *given)  # type: ignore[arg-type]
        self._disk_fault("a", errno.ENOSPC, "no space left")

    monkeypatch.setattr(collection.Collection, "_save_for_good", failing)
    with scene.seeding() as seed:
        failed(scene.fetch(seed), DiskFull, 9, "the disk is full")
    assert names(tmp_path / "target") == ["Set.part"]
