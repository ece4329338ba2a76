"""A file that another program began becomes a part file with a journal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thunderdl.adopting import adopt
from thunderdl.core.ranges import RangeSet
from thunderdl.engine.asking import Info
from thunderdl.errors import StorageError
from thunderdl.model import Validators
from thunderdl.storage.journal import current_boot_id
from thunderdl.storage.recovery import resume


def info(size: int | None = 100) -> Info:
    return Info(
        url="http://u:p@h/f", final_url="http://h/f", name="f", size_bytes=size, ranges=True,
        validators=Validators(etag='"1"'), digests=(), protocol="", server="", content_type="",
    )  # fmt: skip


def test_what_is_there_counts(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 60)
    assert adopt(str(tmp_path / "f"), RangeSet([(0, 20), (40, 90)]), info(), ("http://m/f",))
    assert sorted(os.listdir(tmp_path)) == ["f.part", "f.part.journal"]
    # The whole's length, of which no more is there than the file held.
    assert (tmp_path / "f.part").stat().st_size == 100
    with (tmp_path / "f.part").open("rb") as part:
        journal, found, extents = resume(str(tmp_path / "f.part.journal"), part.fileno(), current_boot_id())
    journal.close()
    assert [(each.start, each.end) for each in extents] == [(0, 20), (40, 60)]
    assert (found.header.url, found.header.mirrors, found.header.size) == ("http://h/f", ("http://m/f",), 100)
    assert found.header.etag == '"1"'


def test_what_was_begun_here_stays(tmp_path: Path) -> None:
    for taken in ("f.part", "f.part.journal"):
        (tmp_path / "f").write_bytes(b"x")
        (tmp_path / taken).write_bytes(b"ours")
        assert not adopt(str(tmp_path / "f"), RangeSet([(0, 1)]), info())
        assert (tmp_path / taken).read_bytes() == b"ours"
        assert (tmp_path / "f").read_bytes() == b"x"
        (tmp_path / taken).unlink()


@pytest.mark.parametrize("kind", ["link", "folder", "second name", "nothing"])
def test_only_a_plain_file_is_taken(tmp_path: Path, kind: str) -> None:
    """A link could lead to any file of the user's, and another name of the file would see it change."""
    victim, path = tmp_path / "victim", tmp_path / "f"
    victim.write_bytes(b"precious")
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "folder":
        path.mkdir()
    elif kind == "second name":
        path.hardlink_to(victim)
    assert not adopt(str(path), RangeSet([(0, 1)]), info())
    assert not (tmp_path / "f.part").exists()
    assert victim.read_bytes() == b"precious"


def test_of_unknown_size_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert not adopt(str(tmp_path / "f"), RangeSet([(0, 1)]), info(None))
    assert os.listdir(tmp_path) == ["f"]


def test_a_rename_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    (tmp_path / "f").write_bytes(b"x")
    # The journal's own way into place is a rename of another function.
    monkeypatch.setattr("thunderdl.adopting.os.rename", refuse)
    with pytest.raises(StorageError):
        adopt(str(tmp_path / "f"), RangeSet([(0, 1)]), info())
    assert os.listdir(tmp_path) == ["f"]
