"""A list that comes slowly, by a clock of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import pytest

from thunderdl.errors import TimedOut
from thunderdl.sources.ftp import folders

TIMEOUT_S = 10.0


class _Slow:
    """A socket each of whose parts takes ``pause_s``."""

    def __init__(self, parts: Iterable[bytes], pause_s: float) -> None:
        self._parts, self._pause_s = iter(parts), pause_s
        self._timeout_s = self.now = 0.0

    def settimeout(self, timeout_s: float) -> None:
        assert timeout_s > 0
        self._timeout_s = timeout_s

    def recv(self, _: int) -> bytes:
        if self._pause_s > self._timeout_s:
            self.now += self._timeout_s
            raise TimeoutError
        self.now += self._pause_s
        return next(self._parts, b"")


def received(monkeypatch: pytest.MonkeyPatch, slow: _Slow) -> bytes:
    monkeypatch.setattr(folders, "time", SimpleNamespace(monotonic=lambda: slow.now), raising=False)
    return folders._received(cast("socket.socket", slow), TIMEOUT_S)


def test_lines_that_come_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow([b"type=file;", b" a\r\n"] * 100, 4.0)
    assert received(monkeypatch, slow) == b"type=file; a\r\n" * 100


def test_a_line_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow([b"x"] * 1000, 4.0)
    with pytest.raises(TimedOut, match="did not go on with its list in time"):
        received(monkeypatch, slow)
    assert slow.now == TIMEOUT_S
