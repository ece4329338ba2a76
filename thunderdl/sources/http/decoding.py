"""Content codings that servers apply although identity was asked for: taken off a bounded block at a time. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# A small body may decode to a huge one (the class of urllib3's CVE-2025-66471): never at once in memory.
BLOCK_BYTES = 1 << 20
# gzip and zlib alike; what is called deflate has zlib's header (RFC 9110 section 8.4.1.2).
_EITHER = zlib.MAX_WBITS | 32


class Decoder:
    """Takes gzip or deflate off. Raises ValueError for other codings, and for a body that is broken or ends early."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        if coding.strip().lower().removeprefix("x-") not in ("gzip", "deflate"):
            raise ValueError(f"a coding called {coding!r}, which was not asked for")
        self._zlib = zlib.decompressobj(_EITHER)
        self._begun = False

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """What ``raw`` decodes to."""
        while raw:
            if self._zlib.eof:
                # Members may follow one another (RFC 1952 section 2.2).
                self._zlib = zlib.decompressobj(_EITHER)
            self._begun = True
            try:
                yield self._zlib.decompress(raw, BLOCK_BYTES)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            raw = self._zlib.unconsumed_tail or self._zlib.unused_data

    def finish(self) -> None:
        """The body is over: it must be whole."""
        if self._begun and not self._zlib.eof:
            raise ValueError("it ends early")
