"""What peers sent for a magnet link: kept whole or not at all, for this user alone; what lies there is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thunderdl.errors import StorageError
from thunderdl.storage import metainfo

HASH, OTHER = "ab" * 20, "cd" * 32


def folder() -> Path:
    found = metainfo.cache_folder()
    assert found is not None
    return Path(found)


def test_kept_found_and_forgotten() -> None:
    assert metainfo.find(HASH) is None
    metainfo.keep(HASH, b"one")
    metainfo.keep(OTHER, b"two")
    metainfo.keep(HASH, b"three")
    assert (metainfo.find(HASH), metainfo.find(OTHER)) == (b"three", b"two")
    metainfo.forget(HASH)
    metainfo.forget(HASH)
    assert (metainfo.find(HASH), metainfo.find(OTHER)) == (None, b"two")
    assert os.listdir(folder()) == [OTHER]


def test_nobody_else_can_read_it() -> None:
    metainfo.keep(HASH, b"one")
    assert folder().stat().st_mode & 0o777 == 0o700
    assert (folder() / HASH).stat().st_mode & 0o777 == 0o600


def test_no_link_is_followed_and_none_is_written_through(tmp_path: Path) -> None:
    metainfo.keep(OTHER, b"two")
    (tmp_path / "mine").write_bytes(b"mine")
    (folder() / HASH).symlink_to(tmp_path / "mine")
    assert metainfo.find(HASH) is None
    (folder() / f"{HASH}.{os.getpid()}~").symlink_to(tmp_path / "mine")
    metainfo.keep(HASH, b"one")
    assert metainfo.find(HASH) == b"one"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_neither_pipes_nor_folders_nor_bombs() -> None:
    metainfo.keep(OTHER, b"two")
    os.mkfifo(folder() / HASH)
    assert metainfo.find(HASH) is None
    (folder() / HASH).unlink()
    (folder() / HASH).mkdir()
    assert metainfo.find(HASH) is None
    with (folder() / OTHER).open("wb") as bomb:
        bomb.truncate(metainfo.MAX_BYTES + 1)
    assert metainfo.find(OTHER) is None


@pytest.mark.parametrize("name", ["", "..", "../../x", "ab" * 19, "AB" * 20, HASH + "/x"])
def test_only_info_hashes_are_names(name: str) -> None:
    metainfo.keep(name, b"one")
    assert metainfo.find(name) is None
    assert not folder().exists()


def test_a_fault_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "")

    metainfo.keep(OTHER, b"two")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError):
        metainfo.keep(HASH, b"one")
    assert os.listdir(folder()) == [OTHER]


def test_what_nobody_came_back_for_goes() -> None:
    metainfo.keep(OTHER, b"two")
    os.utime(folder() / OTHER, (0, 0))
    metainfo.keep(HASH, b"one")
    assert os.listdir(folder()) == [HASH]


@pytest.mark.parametrize("home", ["", "relative/cache"])
def test_a_relative_folder_is_none(home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert metainfo.cache_folder() == str(tmp_path / ".cache" / "thunderdl" / "metainfo")
