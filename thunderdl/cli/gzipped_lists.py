"""Lists that are gzip, as aria2 reads its input files and writes a session file that is called ``….gz``.

What is read is as lazy as any list: a few kilobytes that stand for an endless one cost a few kilobytes.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO

from thunderdl.errors import UsageError


class Unpacked(io.RawIOBase):
    """The octets of a list; reading raises UsageError where the gzip is damaged or ends early. ``name``: of the list,
    for messages."""

    def __init__(self, packed: BinaryIO, name: str) -> None:
        self._packed, self._name = packed, name
        self._gzip = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, room: memoryview, /) -> int:  # type: ignore[override]  # what BufferedReader gives
        try:
            octets = self._gzip.read1(len(room))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            reason = "its gzip is damaged or ends early; what stands before that was read."
            raise UsageError(f"{self._name}: {reason}") from None
        room[: len(octets)] = octets
        return len(octets)

    def close(self) -> None:
        self._packed.close()
        super().close()
