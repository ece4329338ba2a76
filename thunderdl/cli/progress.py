"""A share that is done, on one line of a terminal that is wiped in the end."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from thunderdl.cli.views import Paper
from thunderdl.quantities import percent, size

EVERY_S = 0.1
_WIPE = "\r\x1b[K"


class Gauge:
    """``word``: what is being done; ``shown``: whether anything is written at all."""

    def __init__(self, word: str, *, shown: bool, stream: Paper | None = None) -> None:
        self._word, self._shown, self._stream = word, shown, stream or sys.stderr
        self._told_at = 0.0

    def show(self, done_bytes: int, whole_bytes: int) -> None:
        """So much is done now."""
        now = time.monotonic()
        if self._shown and now - self._told_at >= EVERY_S:
            self._told_at = now
            told = f"{self._word}  {percent(done_bytes, whole_bytes)}  {size(done_bytes)} of {size(whole_bytes)}"
            self._write(f"{_WIPE}{told}")

    def __enter__(self) -> Gauge:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._told_at:
            self._write(_WIPE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
