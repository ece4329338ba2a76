"""The data plane: a thread that moves bytes from many sockets into files through one wide buffer.

Measured (2 GiB from nginx on loopback): two movers with 1 MiB buffers take 1.2-1.5 s at 4, 16 and 64 lanes
and 19 MB; a thread for each lane costs memory, asyncio a third more time, 16 KiB reads twice the time.

It must not decide: which range, which source, what to do about a failure is the control plane's.
Invariants:
1. Only this thread touches a connection after :meth:`Mover.attach`; everybody else sends commands.
2. Events are posted in batches, one wake-up of the loop for each round, never one for each read.
3. Whatever goes wrong with one connection ends that connection alone, a bug of ours included: the thread goes on.
"""

from __future__ import annotations

import contextlib
import heapq
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from thunderdl.errors import BadResponse, ConnectionLost, InternalError, ThunderdlError
from thunderdl.sources.http.connection import Connection, Phase
from thunderdl.sources.http.events import Broke, Event, Finished, Headed, Lowered
from thunderdl.sources.http.faults import StoreFault, fault_of
from thunderdl.sources.http.head import END_OF_HEAD, MAX_HEAD_BYTES, Body, Parser, ResponseHead
from thunderdl.sources.http.reading import WOULD_BLOCK
from thunderdl.sources.http.transfer import COLLECT_BYTES, Store, Transfer

BUFFER_BYTES = 1024 * 1024

# Held while a command finds its mover or a connection changes hands: for a microsecond, a few times a second.
_HANDS = threading.Lock()


class Mover:
    """``wake``: called from this thread when events wait in :meth:`events`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._commands: deque[tuple[Connection, Callable[[Mover], None]]] = deque()
        self._events: deque[tuple[Callable[[object], None], object]] = deque()
        self._view = memoryview(bytearray(BUFFER_BYTES + 1))
        self._again: list[Connection] = []
        self._waiting: list[tuple[float, int, Connection]] = []
        self._bell, self._bell_far = socket.socketpair()
        self._rung = False
        self._bell.setblocking(False)
        self._bell_far.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._running = True
        self.attached: set[Connection] = set()
        self._thread = threading.Thread(target=self._run, name="thunderdl-mover", daemon=True)
        self._thread.start()

    # -- called from the control plane

    def attach(self, connection: Connection) -> None:
        """Take a connection over; from now on only this mover touches it."""
        self.attached.add(connection)
        connection.mover = self
        if not self._thread.is_alive():
            # It came after the end: nobody else would close it, unless :meth:`stop` has taken it just now.
            with contextlib.suppress(KeyError):
                self.attached.remove(connection)
                self._shut(connection)

    def ask(self, connection: Connection, transfer: Transfer) -> None:
        """Queue ``transfer`` behind what the connection is doing; its request goes out at once (pipelined)."""
        self._order(connection, lambda mover: mover._ask(connection, transfer))

    def answer(self, connection: Connection, transfer: Transfer, head: ResponseHead) -> None:
        """Let ``transfer`` have what comes next on a connection that flows on: this is its head."""
        self._order(connection, lambda mover: mover._answer(connection, transfer, head))

    def proceed(
        self, connection: Connection, transfer: Transfer, body: Body, store: Store, onto: Mover | None = None
    ) -> None:
        """Let the body of a parked opening go to ``store``; ``transfer.end`` says where to stop.

        ``onto``: the mover that takes the connection over for it.
        """
        self._order(connection, lambda mover: mover._hand_over(connection, transfer, body, store, onto or mover))

    def lower(self, connection: Connection, transfer: Transfer, end: int) -> None:
        """Lower the transfer's end, not below what is written; answered by Lowered, or by its end in passing."""
        self._order(connection, lambda mover: mover._lower(connection, transfer, end))

    def close(self, connection: Connection, error: ThunderdlError) -> None:
        """Close it; every transfer on it is answered by Broke with ``error``."""
        self._order(connection, lambda mover: mover._break(connection, error))

    def events(self) -> deque[tuple[Callable[[object], None], object]]:
        """What happened, as (whom to tell, event), oldest first; the reader pops from the left."""
        return self._events

    def stop(self) -> None:
        """Close every connection and end the thread."""
        self._running = False
        self._ring()
        self._thread.join()
        # None of this in the thread. Parked connections are not in the selector, a close may have been ordered after
        # the last round, and another mover may hand one over while the thread ends; it may end before it is rung.
        with contextlib.suppress(KeyError):
            while True:
                self._shut(self.attached.pop())
        self._selector.close()
        self._bell.close()
        self._bell_far.close()

    @staticmethod
    def _order(connection: Connection, command: Callable[[Mover], None]) -> None:
        """To be done by the mover that has the connection when its turn comes."""
        with _HANDS:
            mover = connection.mover
            assert mover is not None
            mover._commands.append((connection, command))
        mover._ring()

    def _ring(self) -> None:
        # Once for any number of commands: each system call would hand the GIL over.
        if self._rung:
            return
        self._rung = True
        # A full bell rings already; a closed one has nobody left to hear.
        with contextlib.suppress(BlockingIOError, OSError):
            self._bell_far.send(b"\0")

    # -- the thread

    def _run(self) -> None:
        while self._running:
            try:
                self._round()
            except Exception as bug:
                # Of no connection that is known: nobody is to wait for an answer that may not come.
                self._break_all(bug)

    def _round(self) -> None:
        for key, mask in self._selector.select(self._patience()):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(4096)
                # Before the commands are taken: one that comes after them rings again.
                self._rung = False
            else:
                self._guarded(key.data, mask)
        again, self._again = self._again, []
        for connection in again:
            self._guarded(connection, selectors.EVENT_READ)
        self._end_waits()
        self._obey()
        if self._events:
            self._wake()

    def _obey(self) -> None:
        while self._commands:
            connection, command = self._commands.popleft()
            try:
                command(self)
            except Exception as error:
                self._break(connection, fault_of(error))

    def _patience(self) -> float | None:
        if self._again or self._commands:
            return 0
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def _guarded(self, connection: Connection, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._send(connection)
            if mask & selectors.EVENT_READ and connection.phase is not Phase.CLOSED:
                self._turn(connection)
        except Exception as error:
            self._break(connection, fault_of(error))

    def _turn(self, connection: Connection) -> None:
        if connection.phase is Phase.IDLE and not connection.flows_on:
            # An idle connection that turns readable was closed by the server, or is out of step.
            self._break(connection, ConnectionLost("", "closed while idle"))
        elif connection.phase is Phase.HEAD:
            self._read_head(connection)
        elif connection.phase is Phase.BODY:
            self._read_body(connection)

    # -- asking

    def _ask(self, connection: Connection, transfer: Transfer) -> None:
        if connection.phase is Phase.CLOSED:
            self._post(connection, Broke(transfer, ConnectionLost("", "closed while idle"), stale=True))
            return
        # Behind another one, the time to the first byte would say nothing of the path.
        transfer.asked_at = 0.0 if connection.queue else time.monotonic()
        connection.queue.append(transfer)
        connection.outbox += transfer.request
        self._send(connection)
        if connection.phase is Phase.IDLE:
            self._expect_head(connection)

    def _send(self, connection: Connection) -> None:
        while connection.outbox:
            try:
                sent = connection.sock.send(connection.outbox)
            except WOULD_BLOCK:
                break
            del connection.outbox[:sent]
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        waits = connection.waits_until > 0 or (connection.flows_on and connection.phase is Phase.IDLE)
        parked = waits or connection.phase is Phase.PARKED
        events = (0 if parked else selectors.EVENT_READ) | (selectors.EVENT_WRITE if connection.outbox else 0)
        if events == connection.watched:
            return
        if not connection.watched:
            self._selector.register(connection.sock, events, connection)
        elif events:
            self._selector.modify(connection.sock, events, connection)
        else:
            self._selector.unregister(connection.sock)
        connection.watched = events

    def _expect_head(self, connection: Connection) -> None:
        connection.move(Phase.HEAD)
        self._watch(connection)
        if connection.carry or connection.buffered:
            self._again.append(connection)

    # -- the head

    def _read_head(self, connection: Connection) -> None:
        carried, got, ended = len(connection.carry), 0, False
        self._view[:carried] = connection.carry
        if not END_OF_HEAD.search(connection.carry):
            # A head is small: a read no larger than this leaves the body for the wide reads that follow.
            got, ended = connection.receive(self._view[carried : carried + 64 * 1024])
        filled = carried + got
        transfer = connection.queue[0]
        if filled and not transfer.first_byte_at:
            transfer.first_byte_at = time.monotonic()
        raw = bytes(self._view[: min(filled, MAX_HEAD_BYTES)])
        found = END_OF_HEAD.search(raw)
        if found is None:
            if filled >= MAX_HEAD_BYTES:
                raise BadResponse("", f"the answer's head is larger than {MAX_HEAD_BYTES // 1024} KiB")
            if ended or connection.fault is not None:
                raise connection.fault or ConnectionLost("", "closed before it answered")
            connection.carry = bytes(self._view[:filled])
            return
        connection.carry = bytes(self._view[found.end() : filled])
        self._headed(connection, transfer, raw[: found.end()])

    def _headed(self, connection: Connection, transfer: Transfer, raw: bytes) -> None:
        connection.parser = Parser("")
        transfer.head = head = connection.parser.head(raw, transfer.request)
        if head.status < 200:
            # 100 Continue and 103 Early Hints: the answer proper is still to come.
            if connection.carry:
                self._again.append(connection)
        else:
            self._judge(connection, transfer, head)

    def _answer(self, connection: Connection, transfer: Transfer, head: ResponseHead) -> None:
        if connection.phase is Phase.CLOSED:
            self._post(connection, Broke(transfer, ConnectionLost("", "closed while idle"), stale=True))
            return
        connection.queue.append(transfer)
        connection.move(Phase.HEAD)
        self._watch(connection)
        transfer.head, transfer.first_byte_at = head, time.monotonic()
        self._judge(connection, transfer, head)

    def _judge(self, connection: Connection, transfer: Transfer, head: ResponseHead) -> None:
        if transfer.opening:
            self._open(connection, transfer)
        else:
            assert transfer.judge is not None
            assert transfer.store is not None
            self._begin_body(connection, transfer, transfer.judge(head), transfer.store)

    def _open(self, connection: Connection, transfer: Transfer) -> None:
        head = transfer.head
        assert head is not None
        try:
            length = None if head.chunked else head.content_length
        except ValueError as error:
            raise BadResponse("", str(error)) from None
        if head.status in (200, 206) and not head.coded and length is not None and length <= COLLECT_BYTES:
            transfer.body, transfer.end = bytearray(), transfer.start + length
            connection.left_bytes = length
            connection.move(Phase.BODY)
            self._read_body(connection)
            return
        connection.move(Phase.PARKED)
        self._watch(connection)
        self._post(connection, Headed(transfer))

    def _hand_over(
        self, connection: Connection, transfer: Transfer, body: Body, store: Store, onto: Mover
    ) -> None:  # fmt: skip
        if onto is self or connection.phase is not Phase.PARKED or connection.watched:
            self._proceed(connection, transfer, body, store)
            return
        self._again = [other for other in self._again if other is not connection]
        self.attached.discard(connection)
        with _HANDS:
            # What was ordered of it meanwhile goes with it, in order: two threads on one connection break both.
            following = [each for each in self._commands if each[0] is connection]
            for each in following:
                self._commands.remove(each)
            onto.attach(connection)
            onto._commands.append((connection, lambda mover: mover._proceed(connection, transfer, body, store)))
            onto._commands.extend(following)
        onto._ring()

    def _proceed(self, connection: Connection, transfer: Transfer, body: Body, store: Store) -> None:
        if connection.phase is Phase.PARKED:
            self._begin_body(connection, transfer, body, store)

    def _begin_body(self, connection: Connection, transfer: Transfer, body: Body, store: Store) -> None:
        if body.start != transfer.start or not transfer.begun:
            transfer.begin(body.start, store)
        connection.left_bytes = body.length
        connection.move(Phase.BODY)
        self._watch(connection)
        self._read_body(connection)

    # -- the body

    def _read_body(self, connection: Connection) -> None:
        transfer = connection.queue[0]
        if transfer.head is not None and transfer.head.chunked:
            self._read_chunked(connection, transfer)
            return
        room = min(BUFFER_BYTES, max(0, transfer.end - transfer.position))
        if connection.left_bytes is not None:
            room = min(room, connection.left_bytes)
        if room and transfer.meter.limited:
            room = self._granted(connection, transfer, room)
            if not room:
                return
        if room and connection.ends_at is not None and transfer.position + room >= connection.ends_at:
            got, ended = self._fill_to_end(connection, transfer, room)
        else:
            got, ended = self._fill(connection, transfer, room)
        if got:
            self._take(transfer, self._view[:got])
            if connection.left_bytes is not None:
                connection.left_bytes -= got
        self._after_body(connection, transfer, ended=ended)

    def _fill_to_end(self, connection: Connection, transfer: Transfer, room: int) -> tuple[int, bool]:
        """The last byte counts once the end is seen behind it: more would mean that this is another file, or another
        part of it, and what is written and recorded is believed."""
        got, ended = self._fill(connection, transfer, room, spare=1)
        if got > room:
            raise BadResponse("", "sends more than the size that it stated")
        if got == room and not ended:
            got -= 1
            connection.carry = bytes(self._view[got : got + 1])
        return got, ended

    def _fill(self, connection: Connection, transfer: Transfer, room: int, spare: int = 0) -> tuple[int, bool]:
        """Up to ``room`` bytes at the head of the buffer, and ``spare``: what was carried, then what the socket has."""
        carried = min(len(connection.carry), room)
        self._view[:carried], connection.carry = connection.carry[:carried], connection.carry[carried:]
        got, ended = connection.receive(self._view[carried : room + spare])
        if carried + got < room and transfer.meter.limited:
            transfer.meter.give_back(room - carried - got)
        return carried + got, ended

    def _after_body(self, connection: Connection, transfer: Transfer, *, ended: bool) -> None:
        left = connection.left_bytes
        if left == 0 or transfer.position >= transfer.end:
            if left == 0 and transfer.position < transfer.end and transfer.body is None:
                # Shorter than asked is in order (RFC 9110 section 14.2): the rest is for another lease.
                transfer.end = transfer.position
            transfer.whole = left == 0
            self._complete(connection, transfer, clean=(left == 0 or connection.flows_on) and not ended)
        elif ended and left is None:
            transfer.whole, transfer.end = True, transfer.position
            self._complete(connection, transfer, clean=False)
        else:
            self._go_on(connection, ended)

    def _read_chunked(self, connection: Connection, transfer: Transfer) -> None:
        room = self._granted(connection, transfer, BUFFER_BYTES) if transfer.meter.limited else BUFFER_BYTES
        if not room:
            return
        got, ended = self._fill(connection, transfer, room)
        assert connection.parser is not None
        content, last = connection.parser.chunked_body(self._view[:got])
        fits = content[: max(0, transfer.end - transfer.position)]
        if fits:
            self._take(transfer, memoryview(fits))
        if last or len(fits) < len(content):
            transfer.whole = last and len(fits) == len(content)
            transfer.end = transfer.position
            # The parser may hold bytes of what follows: such a connection is not used again.
            self._complete(connection, transfer, clean=False)
        else:
            self._go_on(connection, ended)

    def _go_on(self, connection: Connection, ended: bool) -> None:
        if ended:
            raise ConnectionLost("", "closed in the middle of the body")
        if connection.buffered or (connection.carry and not connection.flows_on):
            self._again.append(connection)
        elif connection.fault is not None:
            raise connection.fault

    def _take(self, transfer: Transfer, view: memoryview) -> None:
        try:
            transfer.take(view)
        except OSError as error:
            raise StoreFault(error) from error

    def _complete(self, connection: Connection, transfer: Transfer, *, clean: bool) -> None:
        transfer.finish()
        reusable = clean and transfer.head is not None and transfer.head.keep_alive
        connection.queue.popleft()
        connection.served += 1
        self._post(connection, Finished(transfer, reusable))
        if not reusable:
            self._break(connection, ConnectionLost("", "closed after the body"), fresh=True)
        elif connection.queue:
            self._expect_head(connection)
        else:
            connection.move(Phase.IDLE)
            if connection.flows_on:
                self._watch(connection)

    def _granted(self, connection: Connection, transfer: Transfer, want: int) -> int:
        granted, wait_s = transfer.meter.take(id(connection), min(want, 256 * 1024))
        if not granted:
            connection.waits_until = time.monotonic() + wait_s
            heapq.heappush(self._waiting, (connection.waits_until, id(connection), connection))
            self._watch(connection)
        return granted

    def _end_waits(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            connection = heapq.heappop(self._waiting)[2]
            connection.waits_until = 0.0
            if connection.phase is not Phase.CLOSED:
                self._watch(connection)
                self._guarded(connection, selectors.EVENT_READ)

    # -- ends

    def _lower(self, connection: Connection, transfer: Transfer, end: int) -> None:
        if connection.phase is Phase.CLOSED or transfer not in connection.queue:
            return
        transfer.end = min(transfer.end, max(end, transfer.position))
        self._post(connection, Lowered(transfer, transfer.end))
        if transfer is connection.queue[0] and transfer.position >= transfer.end and connection.phase is Phase.BODY:
            self._after_body(connection, transfer, ended=False)

    def _break(self, connection: Connection, error: ThunderdlError | OSError, *, fresh: bool = False) -> None:
        """Close, and tell everybody who waits. ``fresh``: those queued did nothing wrong and are to be asked anew."""
        if connection.phase is Phase.CLOSED:
            return
        head = connection.queue[0] if connection.queue else None
        answered = head is not None and head.first_byte_at > 0
        lost = not answered and isinstance(error, ConnectionLost)
        # What follows an answer that was longer than it said is no head: out of step, not a fault of this request.
        garbled = head is not None and head.head is None and isinstance(error, BadResponse)
        stale = fresh or (connection.served > 0 and (lost or garbled))
        self._shut(connection)
        while connection.queue:
            transfer = connection.queue.popleft()
            if not isinstance(error, InternalError):
                # After a bug position and hash need not belong together: what has no record is fetched again.
                transfer.finish()
            self._post(connection, Broke(transfer, error, stale=stale))

    def _break_all(self, bug: Exception) -> None:
        # First, so that what was ordered meanwhile is among those who are told.
        self._obey()
        for connection in list(self.attached):
            self._break(connection, InternalError(bug))
        if self._events:
            self._wake()

    def _shut(self, connection: Connection) -> None:
        if connection.watched:
            self._selector.unregister(connection.sock)
            connection.watched = 0
        connection.move(Phase.CLOSED)
        self.attached.discard(connection)
        connection.sock.close()

    def _post(self, connection: Connection, event: Event) -> None:
        self._events.append((connection.heard or event.transfer.notify, event))
