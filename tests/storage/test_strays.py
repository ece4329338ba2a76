from __future__ import annotations

from pathlib import Path

import pytest

from thunderdl.core.mirroring import Local
from thunderdl.errors import StorageError
from thunderdl.storage.strays import Tree


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def removed(root: Path, *kept: str, dry_run: bool = False) -> list[str]:
    return sorted(Tree(str(root)).remove(lambda name: name not in kept, dry_run=dry_run))


def test_files_that_are_not_kept_go_and_folders_that_are_empty_then(tmp_path: Path) -> None:
    put(tmp_path, "a", "b/c", "b/d/e", "f/g/h")
    (tmp_path / "empty").mkdir()
    assert removed(tmp_path, "a", "b/c", dry_run=True) == ["b/d/e", "f/g/h"]
    assert (tmp_path / "f" / "g" / "h").exists()
    assert removed(tmp_path, "a", "b/c") == ["b/d/e", "f/g/h"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "b", "b/c", "empty"]


def test_what_is_in_the_making_goes_with_its_file(tmp_path: Path) -> None:
    put(tmp_path, "a.part", "a.part.journal", "b.part", "b.part.journal", ".thunderdl-mirror", ".thunderdl-mirror.new")
    assert removed(tmp_path, "a") == ["b.part", "b.part.journal"]


def test_nothing_behind_a_link_goes(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    put(outside, "x", "d/y")
    put(root, "z")
    (root / "l").symlink_to(outside)
    (root / "m").symlink_to(outside / "x")
    assert removed(root) == ["z"]
    assert (outside / "x").exists()
    assert (outside / "d" / "y").exists()


def test_a_folder_that_is_gone_has_no_strays(tmp_path: Path) -> None:
    assert removed(tmp_path / "gone") == []


def test_a_file_and_the_way_to_it(tmp_path: Path) -> None:
    put(tmp_path, "a/b", "c")
    tree = Tree(str(tmp_path))
    found = (tmp_path / "a" / "b").stat()
    assert tree.local("a/b") == Local(found.st_size, found.st_mtime_ns)
    assert tree.local("a/none") is None
    assert tree.local("new/b") is None
    for name, reason in (("a", "it is a folder"), ("c/d", "it is no regular file, not a folder")):
        with pytest.raises(StorageError, match=reason):
            tree.local(name)
    (tmp_path / "new").symlink_to(tmp_path / "a")
    with pytest.raises(StorageError, match="it is a symbolic link, not a folder"):
        tree.local("new/b")
    (tmp_path / "s").symlink_to(tmp_path / "c")
    with pytest.raises(StorageError, match="it is a symbolic link"):
        tree.local("s")
