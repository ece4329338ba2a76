"""Reading files over one SFTP channel, many reads in flight, so that distance costs no speed.

The reply that is next is received straight into the buffer. One that comes before its turn waits in memory, which
what is in flight bounds; one that nobody wants any more (its transfer was lowered) is thrown away when it comes.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from thunderdl.errors import BadResponse, SourceError
from thunderdl.formats import sftp
from thunderdl.sources.answering import Facts, answer, path_asked
from thunderdl.sources.carrying import READ_BYTES
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.sftp.channel import Arrival, Channel, ChannelClosed
from thunderdl.sources.sftp.faults import status_fault
from thunderdl.sources.sftp.flight import Asked, Flight

# A read that has some bytes waits for more for so long: to hand over and write a few KiB costs as much as a MiB.
GATHER_S = 0.004
ENOUGH_BYTES = 512 * 1024
# What OpenSSH's server names as its limit: no reply is longer than a packet may be.
_LARGEST_READ_BYTES = 255 * 1024
T = TypeVar("T")


class RemoteFiles:
    """A :class:`thunderdl.sources.carrying.Origin`. ``end``: called when the connection is at its end; ``lost``: says
    why the channel closed."""

    def __init__(
        self, channel: Channel, *, end: Callable[[], None], lost: Callable[[], Awaitable[SourceError]]
    ) -> None:  # fmt: skip
        self._channel, self._end, self._lost = channel, end, lost
        self._view = memoryview(bytearray(READ_BYTES))
        self._path = self._handle = b""
        self._transfer: Transfer | None = None
        self._flight = Flight()
        # How much is still to come of the reply in hand, which is the one to the first read in flight.
        self._left = 0
        self._early: dict[int, bytes | SourceError] = {}
        self._unwanted: set[int] = set()

    async def settle(self, extensions: frozenset[bytes]) -> None:
        """Learn how much the server gives at once; without its word, what every server must give."""
        if sftp.LIMITS not in extensions:
            return
        request_id = self._channel.new_id()
        await self._channel.send(sftp.ask_limits(request_id))
        arrival = await self._reply(request_id)
        payload = await self._channel.rest(arrival)
        if arrival.kind == sftp.EXTENDED_REPLY:
            most = _parsed(sftp.parse_limits, payload)
            self._flight.chunk_bytes = max(sftp.SAFE_READ_BYTES, min(most or _LARGEST_READ_BYTES, _LARGEST_READ_BYTES))

    async def head(self, transfer: Transfer) -> ResponseHead:
        try:
            return await self._head(transfer)
        except ChannelClosed:
            raise await self._lost() from None

    async def read(self, position: int, most_bytes: int) -> memoryview:
        try:
            return await self._read(position, most_bytes)
        except ChannelClosed:
            raise await self._lost() from None

    def close(self) -> None:
        self._transfer = None
        self._end()

    # -- the head

    async def _head(self, transfer: Transfer) -> ResponseHead:
        await self._drop_flight()
        path = _local_path(path_asked(transfer))
        if path != self._path:
            await self._open(path)
        head = answer(await self._facts(), transfer)
        length = head.content_length or 0 if head.status in (200, 206) else 0
        self._flight.begin(transfer.start, transfer.start + length, time.monotonic())
        self._transfer = transfer
        return head

    async def _drop_flight(self) -> None:
        """What is under way is for nobody any more, but for the reply whose head was read: that is passed over now."""
        first, unwanted = self._flight.first, self._flight.begin(0, 0, 0.0)
        if first is not None and self._left:
            if first.request_id not in self._early:
                await self._discard(self._left)
            unwanted.remove(first.request_id)
        self._left = 0
        self._unwanted.update(each for each in unwanted if each not in self._early)
        self._early.clear()

    async def _open(self, path: bytes) -> None:
        channel = self._channel
        if self._handle:
            closing = channel.new_id()
            self._unwanted.add(closing)
            await channel.send(sftp.close(closing, self._handle))
        self._path = self._handle = b""
        request_id = channel.new_id()
        await channel.send(sftp.open_file(request_id, path))
        arrival = await self._reply(request_id)
        payload = await channel.rest(arrival)
        if arrival.kind == sftp.STATUS:
            raise status_fault(_parsed(sftp.parse_status, payload))
        if arrival.kind != sftp.HANDLE:
            raise _out_of_step()
        self._path, self._handle = path, _parsed(sftp.parse_handle, payload)

    async def _facts(self) -> Facts:
        """Asked for each request: a file that has changed meanwhile is another version."""
        request_id = self._channel.new_id()
        await self._channel.send(sftp.fstat(request_id, self._handle))
        arrival = await self._reply(request_id)
        payload = await self._channel.rest(arrival)
        if arrival.kind == sftp.STATUS:
            raise status_fault(_parsed(sftp.parse_status, payload))
        if arrival.kind != sftp.ATTRS:
            raise _out_of_step()
        found = _parsed(sftp.parse_attributes, payload)
        if found.is_folder or found.is_special:
            raise BadResponse("", f"it is {'a folder; name one file in it' if found.is_folder else 'no regular file'}")
        if found.size_bytes is None:
            raise BadResponse("", "the server does not tell its size")
        return Facts(size_bytes=found.size_bytes, modified=found.modified)

    async def _reply(self, request_id: int) -> Arrival:
        """The reply to a request, while no read is wanted."""
        while True:
            arrival = await self._channel.arrival()
            if arrival.request_id == request_id:
                return arrival
            if arrival.request_id not in self._unwanted:
                raise _out_of_step()
            self._unwanted.discard(arrival.request_id)
            await self._discard(arrival.left_bytes)

    # -- the body

    async def _read(self, position: int, most_bytes: int) -> memoryview:
        view, got = self._view[:most_bytes], 0
        while got < most_bytes:
            await self._ask(position + most_bytes)
            first = self._flight.first
            if first is None:
                break
            if first.start != position + got:
                raise _out_of_step()
            if not self._left and not await self._await_reply(first, is_waiting=not got):
                break
            count = await self._take(first, view[got:], has_some=got > 0)
            if not count:
                break
            got += count
        return view[:got]

    async def _ask(self, least_end: int) -> None:
        """Keep enough reads in flight, within what the transfer still wants."""
        assert self._transfer is not None
        end, requests = max(least_end, self._transfer.end), []
        while wanted := self._flight.wants(end):
            request_id = self._channel.new_id()
            requests.append(sftp.read(request_id, self._handle, *wanted))
            self._flight.ask(request_id, wanted[1])
        if requests:
            await self._channel.send(b"".join(requests))

    async def _await_reply(self, first: Asked, *, is_waiting: bool) -> bool:
        """Have the head of the reply to ``first``, or the whole of it; whether the file goes on."""
        while first.request_id not in self._early:
            if not is_waiting and not await self._channel.readable(GATHER_S):
                return False
            arrival = await self._channel.arrival()
            if arrival.request_id == first.request_id and arrival.kind == sftp.DATA:
                await self._begin_reply(first, arrival.left_bytes)
                return True
            await self._set_aside(arrival)
        found = self._early[first.request_id]
        if isinstance(found, SourceError):
            raise found
        if not found:
            return False
        await self._begin_reply(first, len(found))
        return True

    async def _begin_reply(self, first: Asked, length: int) -> None:
        if not 0 < length <= first.length:
            raise BadResponse("", "the server sent another length than was asked for")
        self._left = length
        if length < first.length:
            request_id = self._channel.new_id()
            rest = self._flight.split(request_id, length)
            await self._channel.send(sftp.read(request_id, self._handle, *rest))

    async def _set_aside(self, arrival: Arrival) -> None:
        """A reply that is not the one whose turn it is, or no bytes."""
        request_id = arrival.request_id
        if request_id in self._unwanted:
            self._unwanted.discard(request_id)
            await self._discard(arrival.left_bytes)
            return
        if not self._flight.has(request_id) or request_id in self._early:
            raise _out_of_step()
        if arrival.kind == sftp.DATA:
            self._early[request_id] = await self._channel.collect(arrival.left_bytes)
        elif arrival.kind == sftp.STATUS:
            status = _parsed(sftp.parse_status, await self._channel.rest(arrival))
            self._early[request_id] = b"" if status.code == sftp.EOF else status_fault(status)
        else:
            raise _out_of_step()

    async def _take(self, first: Asked, view: memoryview, *, has_some: bool) -> int:
        """Some of the reply in hand; 0 where ``has_some`` is enough for now."""
        view = view[: self._left]
        early = self._early.get(first.request_id)
        if isinstance(early, bytes):
            count = len(view)
            at = len(early) - self._left
            view[:] = early[at : at + count]
        else:
            count = self._channel.receive_now(view)
            while not count:
                if not await self._channel.readable(GATHER_S if has_some else None):
                    return 0
                count = self._channel.receive_now(view)
        self._left -= count
        request_id = first.request_id
        if self._flight.came(count, time.monotonic()):
            self._early.pop(request_id, None)
        return count

    async def _discard(self, count: int) -> None:
        while count:
            part = self._view[: min(count, len(self._view))]
            if not (got := self._channel.receive_now(part)):
                await self._channel.readable(None)
            count -= got


def _local_path(path: bytes) -> bytes:
    """``/~/NAME`` lies in the user's home, as for curl; the server resolves a relative path from there."""
    return path[3:] if path.startswith(b"/~/") else path


def _parsed(parse: Callable[[bytes], T], payload: bytes) -> T:
    try:
        return parse(payload)
    except ValueError as error:
        raise BadResponse("", f"what it sent is no SFTP ({error})") from None


def _out_of_step() -> BadResponse:
    return BadResponse("", "what it sent answers nothing that was asked")
