"""The carrier of SFTP: the channel is read, hashed and written by one thread, a slice of time after another.

Between slices the loop applies what was ordered meanwhile. A thread that waits longer is woken by the end of the
channel. Measured (1 GiB on loopback): through the loop and a disk thread for each MiB 2.3 s, in slices 1.6 s: while
somebody else writes, ``ssh`` has only the 208 KiB of a socket to go on with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from thunderdl.errors import BadResponse, ConnectionLost, IsFolder, SourceError, ThunderdlError, TimedOut
from thunderdl.sources.answering import Facts, answer, path_asked
from thunderdl.sources.carrying import CallCarrier
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.sftp.channel import ChannelClosed
from thunderdl.sources.sftp.remote_file import RemoteFile

if TYPE_CHECKING:
    from thunderdl.formats.listings import Entry
    from thunderdl.sources.base import OnDisk

# An order waits for so long; a change of threads costs 0.1 ms.
SLICE_S = 0.05
T = TypeVar("T")


class InThread(Protocol):
    """Runs what blocks in a thread of its own."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


class RemoteOrigin:
    """The :class:`thunderdl.sources.carrying.Origin`. ``end``: called when the connection is at its end; ``lost``:
    says why the channel closed; ``timeout_s``: within which each part of a list is here."""

    def __init__(
        self, file: RemoteFile, in_thread: InThread, *,
        end: Callable[[], None], lost: Callable[[], Awaitable[SourceError]], timeout_s: float,
    ) -> None:  # fmt: skip
        self._file, self._in_thread, self._end, self._lost = file, in_thread, end, lost
        self._timeout_s = timeout_s
        self._is_ended = False

    async def head(self, transfer: Transfer) -> ResponseHead:
        return await self._call(lambda: self._head(transfer))

    async def read(self, position: int, most_bytes: int) -> memoryview:
        raise NotImplementedError

    async def pump(self, transfer: Transfer, room: int) -> int | None:
        """Have up to ``room`` bytes hashed and written; 0 at the end of the file, None where nothing came just now."""
        return await self._call(lambda: self._pump(transfer, room))

    async def listed(self, path: bytes) -> list[Entry]:
        """What is in a folder; at most a few more than a list may have."""
        # Loaded by whoever mirrors, as for FTP.
        from thunderdl.formats.listings import MAX_ENTRIES

        # Of the slashes at its end the root alone needs one; nothing is left of the user's home.
        there = b"/" if not path.strip(b"/") else _remote_path(path).rstrip(b"/") or b"."
        handle = await self._in_time(lambda: self._file.enter(there))
        entries: list[Entry] = []
        passed_over = 0
        while len(entries) <= MAX_ENTRIES and (found := await self._in_time(lambda: self._file.look(handle))):
            entries += [entry for entry in found if entry is not None]
            passed_over += found.count(None)
            if passed_over > MAX_ENTRIES:
                raise BadResponse("", f"it lists more than {MAX_ENTRIES} links and the like")
        await self._in_time(lambda: self._file.leave(handle))
        return entries

    def close(self) -> None:
        self._is_ended = True
        self._end()

    async def _in_time(self, work: Callable[[], T]) -> T:
        """One answer of a list: nobody else notices a server that is silent there. Whoever is told that it was closes
        the connection, which ends the wait of the thread."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._call(work)
        except TimeoutError:
            raise TimedOut("", "did not go on with its list in time") from None

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await self._in_thread(work)
        except ChannelClosed:
            raise (ConnectionLost("", "closed") if self._is_ended else await self._lost()) from None

    def _head(self, transfer: Transfer) -> ResponseHead:
        found = self._file.open(_remote_path(path_asked(transfer)))
        if found.is_folder:
            raise IsFolder("")
        if found.is_special:
            raise BadResponse("", "it is no regular file")
        if found.size_bytes is None:
            raise BadResponse("", "the server does not tell its size")
        head = answer(Facts(size_bytes=found.size_bytes, modified=found.modified), transfer)
        if head.status in (200, 206):
            self._file.begin(transfer.start, transfer.start + (head.content_length or 0))
        return head

    def _pump(self, transfer: Transfer, room: int) -> int | None:
        done, until = 0, time.monotonic() + SLICE_S
        while done < room and (patience_s := until - time.monotonic()) > 0:
            view = self._file.read(room - done, transfer.end, patience_s)
            if view is None:
                return done or None
            if not view:
                return done
            transfer.take(view)
            done += len(view)
        return done


class RemoteCarrier(CallCarrier):
    """A CallCarrier whose origin writes by itself."""

    # A slice of time ends each step.
    most_bytes = 1 << 62

    def __init__(self, origin: RemoteOrigin, on_disk: OnDisk) -> None:
        super().__init__(origin, on_disk)
        self._remote = origin

    def close(self, error: ThunderdlError) -> None:
        super().close(error)
        # Also where a thread is at work: it may be waiting for what never comes.
        self._remote.close()

    async def listed(self, path: bytes) -> list[Entry]:
        """A :class:`thunderdl.sources.base.Lister`'s."""
        return await self._remote.listed(path)

    async def _bring(self, transfer: Transfer, room: int) -> int:
        while True:
            got = await self._pumped(transfer, room)
            if got is not None:
                return got
            self._lower_now(transfer)
            if (room := min(room, transfer.end - transfer.position)) <= 0:
                return 0

    async def _pumped(self, transfer: Transfer, room: int) -> int | None:
        try:
            return await self._undisturbed(self._remote.pump(transfer, room))
        except SourceError:
            if self._closing is not None:
                raise asyncio.CancelledError from None
            raise


def _remote_path(path: bytes) -> bytes:
    """``/~/NAME`` lies in the user's home, as for curl; the server resolves a relative path from there."""
    return path[3:] if path.startswith(b"/~/") else path
