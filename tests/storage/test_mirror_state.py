from __future__ import annotations

import os
from pathlib import Path

import pytest

from thunderdl.core.mirroring import Kept
from thunderdl.errors import StorageError, TargetLocked
from thunderdl.storage.mirror_state import STATE_NAME, MirrorState, read_rows

KEPT = Kept(5, 7, "sha256=00", '"e"', "x")


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    state = MirrorState.open(str(tmp_path / "new"))
    state.keep("a/é\n.txt", KEPT)
    state.keep("gone", KEPT)
    # Before it is closed: a kill -9 loses nothing of it.
    assert read_rows(str(tmp_path / "new")) == {"a/é\n.txt": KEPT, "gone": KEPT}
    state.close(lambda name: name != "gone")
    state.close()
    assert read_rows(str(tmp_path / "new")) == {"a/é\n.txt": KEPT}
    assert os.listdir(tmp_path / "new") == [STATE_NAME]


def test_a_torn_line_and_rubbish_are_passed_over(tmp_path: Path) -> None:
    bad = [
        b'["x", 1', b"\x00\x00", b"[" * 100_000, b'["x", -1, 2, "", "", ""]', b'["x", true, 2, "", "", ""]',
        b'["x", 1, 2, "", "", 3]', b'["x", 1, 99999999999999999999, "", "", ""]', b'[3, 1, 2, "", "", ""]', b"{}",
        b'["x", 1, 2, "", "", "' + b"y" * 9000 + b'"]',
    ]  # fmt: skip
    (tmp_path / STATE_NAME).write_bytes(b"\n".join(bad) + b'\n["torn", 1')
    state = MirrorState.open(str(tmp_path))
    assert state.rows == {}
    state.keep("a", KEPT)
    assert read_rows(str(tmp_path)) == {"a": KEPT}
    state.close()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    state = MirrorState.open(str(tmp_path))
    with pytest.raises(TargetLocked, match="this process is at work on it"):
        MirrorState.open(str(tmp_path))
    state.keep("a", KEPT)
    state.close()
    MirrorState.open(str(tmp_path)).close()


def test_no_link_is_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / STATE_NAME).symlink_to(mine)
    with pytest.raises(StorageError, match="symbolic link"):
        MirrorState.open(str(folder))
    assert read_rows(str(folder)) == {}
    (folder / STATE_NAME).unlink()
    (folder / STATE_NAME).hardlink_to(mine)
    with pytest.raises(StorageError, match="no file of its own"):
        MirrorState.open(str(folder))
    assert mine.read_text() == "mine"
    (folder / STATE_NAME).unlink()
    os.mkfifo(folder / STATE_NAME)
    with pytest.raises(StorageError):
        MirrorState.open(str(folder))


def test_a_new_file_that_is_in_the_way_is_no_trap(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    folder = tmp_path / "m"
    state = MirrorState.open(str(folder))
    (folder / f"{STATE_NAME}.new").symlink_to(mine)
    state.keep("a", KEPT)
    state.close()
    assert mine.read_text() == "mine"
    assert read_rows(str(folder)) == {"a": KEPT}


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        MirrorState.open(str(tmp_path / "file"))
