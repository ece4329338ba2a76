"""One FTP connection as a carrier: the control connection in a thread, the data connections with the movers.

A retrieval runs to the end of the file, whatever range was asked for. So the stream stays open behind a range, and
the next one goes on with it where it begins there, as a lane's next lease mostly does: no round trip. Any other closes
the data connection, hears what the server says to that, and retrieves anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from thunderdl.errors import Cancelled, ConnectionLost, SourceError, ThunderdlError
from thunderdl.sources.answering import Facts, answer, path_asked
from thunderdl.sources.base import Ground
from thunderdl.sources.ftp.serving import Retrieval, Server
from thunderdl.sources.http.connection import Connection
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.events import Broke, Finished, Headed, Lowered
from thunderdl.sources.http.head import Body
from thunderdl.sources.http.transfer import Store, Transfer
from thunderdl.sources.queueing import QueueCarrier

if TYPE_CHECKING:
    from thunderdl.formats.listings import Entry
    from thunderdl.sources.http.mover import Mover

# How long a stream is held for the next range: the server sends nothing meanwhile, and may tire of it.
HOLD_S = 1.0
R = TypeVar("R")


class Stream:
    """A file on its way, up to ``position``; its bytes are the mover's business."""

    def __init__(self, retrieval: Retrieval, heard: Callable[[object], None], mover: Mover) -> None:
        self.retrieval, self.position = retrieval, retrieval.start
        ends_at = retrieval.facts.size_bytes
        self.connection = Connection(retrieval.sock, heard=heard, flows_on=True, ends_at=ends_at)
        mover.attach(self.connection)

    def goes_on_at(self, transfer: Transfer) -> bool:
        """Whether what is asked for is what comes next."""
        return self.position == transfer.start and self.retrieval.path == _path_of(transfer)


class FtpCarrier(QueueCarrier):
    """A :class:`thunderdl.sources.base.Carrier`."""

    def __init__(self, server: Server, ground: Ground, threads: DaemonThreads[None]) -> None:
        super().__init__()
        self._server, self._ground, self._threads = server, ground, threads
        self._stream: Stream | None = None
        # While the head of the queue is with a mover: its end.
        self._over: asyncio.Future[Finished | Broke] | None = None
        self._running: Future[None] | None = None

    # -- the verbs

    def proceed(
        self, transfer: Transfer, body: Body, store: Store, choose: Callable[[Mover], Mover] | None = None
    ) -> None:  # fmt: skip
        if self._stream is not None and self._over is not None:
            self._stream.connection.proceed(transfer, body, store, choose)

    def lower(self, transfer: Transfer, end: int) -> None:
        if self.is_closed or transfer not in self._queue:
            return
        if self._over is not None and self._stream is not None and transfer is self._queue[0]:
            self._stream.connection.lower(transfer, end)
            return
        transfer.end = min(transfer.end, max(end, transfer.position))
        self._tell(Lowered(transfer, transfer.end))

    def close(self, error: ThunderdlError) -> None:
        if self.is_closed:
            return
        self.is_closed, self._closing = True, error
        if self._over is not None and self._stream is not None:
            # The mover writes its last byte first.
            self._stream.connection.close(error)
        elif self._task is not None:
            self._interrupt()
        else:
            self._shut()

    # -- the task

    async def _rest(self) -> bool:
        if self._stream is None:
            return False
        try:
            await asyncio.wait_for(self._asked.wait(), HOLD_S)
        except TimeoutError:
            await self._end_stream()
        return True

    async def _carry(self, transfer: Transfer) -> None:
        if not transfer.opening and transfer.position >= transfer.end:
            # Lowered to nothing while it waited.
            self._finish(transfer, reusable=True)
            return
        if self._stream is not None and self._stream.goes_on_at(transfer):
            # It says nothing of the path to the server how soon that comes.
            transfer.asked_at = 0.0
        else:
            await self._end_stream()
            await self._retrieve(transfer)
            if not transfer.opening and transfer.position >= transfer.end:
                # Lowered to nothing meanwhile: no head could speak of that range.
                self._finish(transfer, reusable=True)
                return
        event = await self._moved(transfer)
        stream = self._stream
        assert stream is not None
        if isinstance(event, Broke):
            await self._broke(event)
        if self._closing is not None:
            # The order met a stream that was through: what the server says to that is waited for by nobody.
            raise self._closing
        stream.position += transfer.position - transfer.start
        size = stream.retrieval.facts.size_bytes
        reusable = True
        if size is None or stream.position >= size:
            reusable = await self._end(sent_all=size is not None)
        self._finish(transfer, reusable=reusable)

    async def _retrieve(self, transfer: Transfer) -> None:
        path = _path_of(transfer)
        facts = await self._in_thread(lambda: self._server.facts(path), _nothing)
        if answer(facts, transfer).status == 416:
            await self._refuse(transfer, facts)
        retrieval = await self._in_thread(lambda: self._server.retrieve(path, transfer.start, facts), _discard)
        if transfer.opening:
            # No range of it can be had: all of it comes.
            transfer.start = transfer.position = retrieval.start
        self._stream = Stream(retrieval, self._heard, self._ground.least_busy())

    async def _refuse(self, transfer: Transfer, facts: Facts) -> None:
        """The range is behind the end: nothing follows but the close of whoever asked."""
        transfer.head = answer(facts, transfer)
        if transfer.judge is not None:
            transfer.judge(transfer.head)
        self._tell(Headed(transfer))
        await self._loop.create_future()

    async def _moved(self, transfer: Transfer) -> Finished | Broke:
        """Have a mover take the transfer's part of the stream."""
        stream = self._stream
        assert stream is not None
        self._over = self._loop.create_future()
        stream.connection.answer(transfer, answer(stream.retrieval.facts, transfer))
        try:
            return await asyncio.shield(self._over)
        finally:
            self._over = None

    def _heard(self, event: object) -> None:
        """What the mover says, on the loop."""
        if isinstance(event, Finished | Broke):
            if self._over is not None and not self._over.done():
                self._over.set_result(event)
        elif isinstance(event, Headed | Lowered):
            event.transfer.notify(event)

    async def _broke(self, event: Broke) -> None:
        """Say why: where the data connection ended, the server tells on the other one."""
        self._stream = None
        if self._closing is None and isinstance(event.error, ConnectionLost):
            raise await self._in_thread(self._server.broke, _nothing)
        raise event.error

    async def _end(self, *, sent_all: bool) -> bool:
        """The last byte is there. Whether the connection can go on."""
        # First: ProFTPD says nothing before it has seen our end closed, too.
        self._drop_stream()
        return await self._in_thread(lambda: self._server.ended(sent_all=sent_all), _nothing)

    async def _end_stream(self) -> None:
        """Close a data connection in the middle of the file."""
        if self._stream is not None:
            self._drop_stream()
            try:
                await self._in_thread(self._server.broken_off, _nothing)
            except SourceError:
                # A server that is confused by it: a fresh connection does.
                raise ConnectionLost("", "closed after a part of the file") from None

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.connection.close(Cancelled())

    # -- ends

    async def listed(self, path: bytes) -> list[Entry]:
        """A :class:`thunderdl.sources.base.Lister`'s."""
        # Loaded by whoever mirrors: the parsers of lists cost every file a hundredth of its start.
        from thunderdl.sources.ftp.folders import listing

        while self._task is not None:
            # A stream that was held for a next range.
            await asyncio.wait({self._task})
        if self.is_closed:
            raise ConnectionLost("", "closed while idle")
        return await self._in_thread(lambda: listing(self._server, path[1:]), _nothing)

    def _shut(self) -> None:
        self._drop_stream()
        if self._running is None or self._running.done():
            self._server.control.close()
        else:
            self._server.control.interrupt()

    async def _in_thread(self, call: Callable[[], R], unwanted: Callable[[R], None]) -> R:
        """What ``call`` returns or raises; ``unwanted`` has it where nobody waits for it any more."""
        made: list[R] = []
        running = self._running = self._threads.submit(lambda: made.append(call()))
        try:
            await asyncio.wrap_future(running)
        except OSError as error:
            # No file is written there.
            raise ConnectionLost("", f"the connection broke ({error.strerror or type(error).__name__})") from None
        except asyncio.CancelledError:

            def over(_: Future[None]) -> None:
                if made:
                    unwanted(made.pop())
                self._server.control.close()

            running.add_done_callback(over)
            raise
        return made.pop()


def _path_of(transfer: Transfer) -> bytes:
    """By RFC 1738 section 3.2.2 from the folder of the login on, unless it begins with a slash (``%2F``) of its own."""
    return path_asked(transfer)[1:]


def _discard(retrieval: Retrieval) -> None:
    retrieval.sock.close()


def _nothing(_: object) -> None:
    return
