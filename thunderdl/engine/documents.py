"""Small documents that tell of a download: brought into memory, never longer than they may be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.errors import BadResponse, StorageError, TimedOut, UsageError, printable
from thunderdl.options import Options

if TYPE_CHECKING:
    from thunderdl.engine.session import Session

_WINDOW_BYTES = 4 * 1024 * 1024
# A byte now and then is no silence, and would last for days. Long, for it may have to wait for a connection first.
UNASKED_S = 600.0

MOST_KEPT = 512


class Shelf:
    """Documents that several downloads of a session may want: each is fetched once, what is not there as well."""

    def __init__(self) -> None:
        self._kept: dict[str, asyncio.Task[bytes | None]] = {}

    async def get(self, url: str, ask: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """What ``ask`` brings, or has brought before."""
        if url not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[url] = asyncio.ensure_future(ask())
        # Whoever asked first may be cancelled; others wait for it, too.
        return await asyncio.shield(self._kept[url])

    def close(self) -> None:
        """Wait for nothing any more."""
        for task in self._kept.values():
            task.cancel()


async def fetched(
    session: Session, url: str, options: Options, *, most_bytes: int, told_by: str = "", is_asked_for: bool = True
) -> bytes:  # fmt: skip
    """What is at ``url``. ``told_by``: who named it, where the user did not; ``is_asked_for``: False for what only may
    be there, which has :data:`UNASKED_S` in all.

    Raises BadResponse for more than ``most_bytes``, ThunderdlError.
    """
    try:
        async with asyncio.timeout(None if is_asked_for else UNASKED_S):
            return await _fetched(session, url, options, most_bytes, told_by)
    except TimeoutError:
        raise TimedOut(url, f"not all of it came within {UNASKED_S:g} seconds") from None


async def _fetched(session: Session, url: str, options: Options, most_bytes: int, told_by: str) -> bytes:
    from thunderdl.engine.streaming import stream

    # What the user gave to check the file with is not for what tells of it, nor is a new link for an expired one.
    plain = replace(
        options,
        torrent=None,
        metalink=None,
        mirror_list=None,
        signed_by=None,
        checksum=None,
        piece_hashes=None,
        out=None,
        files=None,
        refresh=None,
        refresh_cmd=None,
    )
    parts, total = list[bytes](), 0
    async for part in stream(session, (url,), plain, _WINDOW_BYTES, told_by):
        total += len(part)
        if total > most_bytes:
            raise BadResponse(url, f"it is larger than the {most_bytes} bytes that it may have")
        parts.append(part)
    return b"".join(parts)


def read(path: str, most_bytes: int) -> bytes:
    """What is in the file at ``path``; blocks. Raises UsageError for more than ``most_bytes``, StorageError."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > most_bytes:
                raise UsageError(f"{printable(path)}: larger than the {most_bytes} bytes that it may have.")
            return file.read(most_bytes)
    except OSError as error:
        raise StorageError(path, error.strerror or "cannot be read") from None
