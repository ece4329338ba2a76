"""Times, extended attributes and the quarantine mark on files; macOS through a fake."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thunderdl.storage import marks
from thunderdl.storage.marks import ORIGIN, QUARANTINE, REFERRER, Marks, mark_all, put_marks


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


class FakeAttributes:
    """Takes attributes; raises ``fault`` for each where there is one."""

    def __init__(self, fault: int | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self._fault = fault

    def set(self, fd: int, name: str, value: bytes) -> None:
        if self._fault is not None:
            raise OSError(self._fault, os.strerror(self._fault))
        self.kept[name] = value


def test_the_time(fd: int) -> None:
    assert list(put_marks(fd, Marks(modified_s=1_000_000_000.0))) == []
    assert os.fstat(fd).st_mtime == 1_000_000_000.0


@pytest.mark.parametrize("modified_s", [1e30, float("inf"), float("nan")])
def test_a_time_that_no_file_can_have_is_told(fd: int, modified_s: float) -> None:
    assert "cannot hold it" in next(put_marks(fd, Marks(modified_s=modified_s)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="os.setxattr is Linux's")
def test_attributes(fd: int) -> None:
    told = list(put_marks(fd, Marks(origin="http://h/x", referrer="http://r/")))
    if any("keeps none" in note for note in told):
        pytest.skip("this file system keeps no extended attributes")
    assert os.getxattr(fd, ORIGIN) == b"http://h/x"
    assert os.getxattr(fd, REFERRER) == b"http://r/"


@pytest.mark.parametrize(
    ("fault", "told"), [(errno.ENOTSUP, "keeps none"), (errno.ENOSPC, "no space"), (errno.EPERM, "not permitted")]
)
def test_what_is_refused_is_told_and_the_rest_is_done(
    fd: int, monkeypatch: pytest.MonkeyPatch, fault: int, told: str
) -> None:
    monkeypatch.setattr(marks, "_set_attribute", FakeAttributes(fault).set)
    (note,) = put_marks(fd, Marks(origin="http://h/x", modified_s=7.0))
    assert told in note
    assert os.fstat(fd).st_mtime == 7.0


def test_quarantine_on_macos(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = FakeAttributes()
    monkeypatch.setattr(marks, "_set_attribute", kept.set)
    assert list(put_marks(fd, Marks(quarantine=True))) == []
    assert kept.kept == {}
    monkeypatch.setattr("sys.platform", "darwin")
    assert list(put_marks(fd, Marks(quarantine=True))) == []
    assert re.fullmatch(rb"0081;[0-9a-f]{8};thunderdl;", kept.kept[QUARANTINE])


def test_the_call_that_macos_has(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Call:
        """fsetxattr of macOS: six arguments."""

        argtypes: object = None
        restype: object = None
        heard: tuple[object, ...] = ()
        answer = 0

        def __call__(self, *given: object) -> int:
            self.heard = given
            ctypes.set_errno(errno.EPERM)
            return self.answer

    class Libc:
        fsetxattr = Call()

    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: Libc)
    assert list(put_marks(fd, Marks(origin="http://h/é"))) == []
    assert Libc.fsetxattr.heard == (fd, ORIGIN.encode(), "http://h/é".encode(), 11, 0, 0)
    Libc.fsetxattr.answer = -1
    assert "not permitted" in next(put_marks(fd, Marks(origin="http://h/x")))
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: object())
    assert "keeps none" in next(put_marks(fd, Marks(origin="http://h/x")))


def test_every_file_of_a_folder_and_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    outside = tmp_path / "outside"
    for path in (outside, tmp_path / "in" / "a", tmp_path / "in" / "sub" / "b"):
        path.write_text(path.name)
    (tmp_path / "in" / "link").symlink_to(outside)
    os.mkfifo(tmp_path / "in" / "fifo")
    marked: list[int] = []
    mark_all(str(tmp_path / "in"), lambda fd: marked.append(os.fstat(fd).st_ino))
    expected = {(tmp_path / "in" / "a").stat().st_ino, (tmp_path / "in" / "sub" / "b").stat().st_ino}
    assert set(marked) == expected
