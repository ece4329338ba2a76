"""Who made a socket that nobody closed: Python tells when it is collected, in the middle of some other test.

A socket that is dropped open is a ResourceWarning, and so a failure of whatever runs then; it tells the address alone.
Here each one is remembered with the test and the lines that made it.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Iterator
from types import FrameType

_FRAMES = 8
# By id: when a ring of objects is collected, weak references are gone before the warning is due.
_makers: dict[int, tuple[str, list[tuple[str, int]]]] = {}


def name_the_makers() -> None:
    """From now on the warning of an unclosed socket tells who made it."""
    begin, end = socket.socket.__init__, socket.socket.__del__  # type: ignore[attr-defined]  # of the C type

    def made(sock: socket.socket, *arguments: object, **named: object) -> None:
        begin(sock, *arguments, **named)  # type: ignore[arg-type]
        _makers[id(sock)] = os.environ.get("PYTEST_CURRENT_TEST", "no test"), list(_lines(sys._getframe(1)))

    def dropped(sock: socket.socket) -> None:
        test, lines = _makers.pop(id(sock), ("nobody knows where", []))
        try:
            if sock.fileno() != -1:
                way = " < ".join(f"{os.path.basename(name)}:{number}" for name, number in lines)
                warnings.warn(f"{sock!r} was never closed; made in {test} by {way}", ResourceWarning, stacklevel=2)
        finally:
            # Its own warning follows, which is that of the same socket.
            end(sock)

    socket.socket.__init__ = made  # type: ignore[method-assign, assignment]
    socket.socket.__del__ = dropped  # type: ignore[attr-defined]


def _lines(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    for _ in range(_FRAMES):
        if frame is None:
            return
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
