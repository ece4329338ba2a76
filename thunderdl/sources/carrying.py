"""A carrier for protocols whose bytes come by calls rather than from a socket of their own: local files, SFTP, memory.

Reading may be cancelled at any moment, writing is always waited for:
when a transfer is said to be broken, nobody writes for it any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from thunderdl.errors import BadResponse, ConnectionLost, ThunderdlError
from thunderdl.sources.base import OnDisk
from thunderdl.sources.http.events import Headed, Lowered
from thunderdl.sources.http.head import Body, ResponseHead
from thunderdl.sources.http.transfer import COLLECT_BYTES, Store, Transfer
from thunderdl.sources.queueing import QueueCarrier

if TYPE_CHECKING:
    from thunderdl.sources.http.mover import Mover

# As the movers' buffers: less costs calls, more costs memory for each lane.
READ_BYTES = 1024 * 1024
# What a limit grants at once, as for the movers.
GRANT_BYTES = 256 * 1024
T = TypeVar("T")


class Origin(Protocol):
    """Where the bytes of a :class:`CallCarrier` come from: one connection, which asks for one file after another."""

    async def head(self, transfer: Transfer) -> ResponseHead:
        """What :func:`thunderdl.sources.answering.answer` says of it. Raises SourceError."""

    async def read(self, position: int, most_bytes: int) -> bytes | memoryview:
        """Up to ``most_bytes`` of the file that the last head was of; empty where it ends. May be cancelled. Raises
        SourceError. What was handed out is used no more when this is called again."""

    def close(self) -> None:
        """The connection is at its end. May be called more than once."""


class CallCarrier(QueueCarrier):
    """A :class:`thunderdl.sources.base.Carrier` over an Origin. ``most_bytes``: what is read at once."""

    most_bytes = READ_BYTES

    def __init__(self, origin: Origin, on_disk: OnDisk) -> None:
        super().__init__()
        self._origin, self._on_disk = origin, on_disk
        self._go: asyncio.Future[tuple[Body, Store]] | None = None
        # New ends that came while somebody wrote, applied behind that.
        self._ends: dict[Transfer, int] = {}
        self._writing = False
        # Whether what the task waits for is for nobody any more: its transfer was lowered to what is written.
        self._is_cut_short = False

    # -- the verbs

    def proceed(
        self, transfer: Transfer, body: Body, store: Store, choose: Callable[[Mover], Mover] | None = None
    ) -> None:  # fmt: skip
        if self._go is not None and not self._go.done() and self._queue[0] is transfer:
            self._go.set_result((body, store))

    def lower(self, transfer: Transfer, end: int) -> None:
        if self.is_closed or transfer not in self._queue:
            return
        self._ends[transfer] = end
        if self._writing and transfer is self._queue[0]:
            return
        # At once, and not behind the next byte: a source that is silent may bring none, and others wait for the answer.
        self._lower_now(transfer)
        if transfer is self._queue[0] and transfer.begun and transfer.position >= transfer.end:
            self._cut_short()

    def close(self, error: ThunderdlError) -> None:
        if self.is_closed:
            return
        self.is_closed, self._closing = True, error
        if self._task is None:
            self._shut()
        elif not self._writing:
            self._interrupt()

    # -- the task

    async def _carry(self, transfer: Transfer) -> None:
        if not transfer.opening and transfer.position >= transfer.end:
            # Lowered to nothing while it waited: there is no such range to ask for.
            self._end(transfer, is_whole=False)
            return
        head = transfer.head = await self._origin.head(transfer)
        transfer.first_byte_at = time.monotonic()
        if transfer.opening:
            left = await self._open(transfer, head)
        else:
            assert transfer.judge is not None
            assert transfer.store is not None
            body = transfer.judge(head)
            transfer.begin(body.start, transfer.store)
            left = body.length
        while left != 0 and transfer.position < transfer.end:
            got = await self._step(transfer, left)
            # Behind each, so that a step is never one of no bytes: no limit grants those.
            self._lower_now(transfer)
            if not got and transfer.position < transfer.end:
                if left is not None:
                    raise ConnectionLost("", "the file ended before its stated size")
                left = 0
            left = None if left is None else left - got
        self._end(transfer, is_whole=left == 0)

    async def _open(self, transfer: Transfer, head: ResponseHead) -> int | None:
        """How much follows, once it is known where the bytes go."""
        try:
            length = head.content_length
        except ValueError as error:
            raise BadResponse("", str(error)) from None
        if head.status in (200, 206) and length is not None and length <= COLLECT_BYTES:
            transfer.body, transfer.end = bytearray(), transfer.start + length
            return length
        self._go = self._loop.create_future()
        self._tell(Headed(transfer))
        body, store = await self._go
        self._go = None
        if body.start != transfer.start or not transfer.begun:
            transfer.begin(body.start, store)
        return body.length

    async def _step(self, transfer: Transfer, left: int | None) -> int:
        """How many bytes came: 0 at the end of the file, and where the transfer was cut short."""
        granted = 0
        try:
            granted = await self._granted(transfer, left)
            got = await self._bring(transfer, granted)
        except asyncio.CancelledError:
            if not self._was_cut_short():
                raise
            got = 0
        if transfer.meter.limited and got < granted:
            transfer.meter.give_back(granted - got)
        return got

    async def _granted(self, transfer: Transfer, left: int | None) -> int:
        """How much may be brought now, once a limit allows it."""
        while True:
            room = transfer.end - transfer.position
            room = min(self.most_bytes, room if left is None else min(room, left))
            if not transfer.meter.limited:
                return room
            granted, wait_s = transfer.meter.take(id(self), min(room, GRANT_BYTES))
            if granted:
                return granted
            await asyncio.sleep(wait_s)

    def _cut_short(self) -> None:
        """End the wait for bytes that nobody wants any more."""
        if self._task is not None and not self._is_cut_short:
            self._is_cut_short = True
            self._task.cancel()

    def _was_cut_short(self) -> bool:
        """Whether a cancellation was that, and nothing else beside it."""
        was, self._is_cut_short = self._is_cut_short, False
        return was and self._task is not None and self._task.uncancel() == 0 and self._closing is None

    async def _bring(self, transfer: Transfer, room: int) -> int:
        """Have up to ``room`` bytes written: how many; 0 where the file ends. For who reads and writes in one go."""
        part = await self._origin.read(transfer.position, room)
        if len(part) > room:
            raise BadResponse("", "sent more than was asked for")
        # The end may have been lowered meanwhile.
        part = part[: transfer.end - transfer.position]
        if len(part):
            await self._write(transfer, memoryview(part))
        return len(part)

    async def _write(self, transfer: Transfer, part: memoryview) -> None:
        if transfer.body is not None:
            transfer.take(part)
        else:
            await self._undisturbed(self._on_disk(transfer.take, part))

    async def _undisturbed(self, writing: Awaitable[T]) -> T:
        """Wait for what writes to its end, whatever is ordered meanwhile."""
        self._writing = True
        try:
            result = await writing
        finally:
            self._writing = False
        if self._closing is not None:
            raise asyncio.CancelledError
        return result

    def _lower_now(self, transfer: Transfer) -> None:
        if (end := self._ends.pop(transfer, None)) is not None:
            transfer.end = min(transfer.end, max(end, transfer.position))
            self._tell(Lowered(transfer, transfer.end))

    def _end(self, transfer: Transfer, *, is_whole: bool) -> None:
        self._lower_now(transfer)
        # Shorter than asked is in order (RFC 9110 section 14.2): the rest is for another lease.
        transfer.end, transfer.whole = transfer.position, is_whole
        transfer.finish()
        self._finish(transfer)

    def _shut(self) -> None:
        self._origin.close()
