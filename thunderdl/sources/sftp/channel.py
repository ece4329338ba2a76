"""SFTP packets over one socket. On the event loop; knows no file.

The payload of a DATA packet is not collected here: whoever reads the file has it received straight into its buffer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import NamedTuple

from thunderdl.errors import BadResponse
from thunderdl.formats import sftp
from thunderdl.sources.sftp.faults import rubbish

# Length, type, id, and the first field, which each packet but VERSION has: of DATA the length of what follows.
_HEAD = struct.Struct(">IBII")


class ChannelClosed(Exception):
    """The other end closed it."""


class Arrival(NamedTuple):
    """A packet whose head is here. ``first``: its first field as a number; ``left_bytes``: what is still to come."""

    kind: int
    request_id: int
    first: int
    left_bytes: int


class Channel:
    """``sock``: non-blocking; the channel does not close it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._head = bytearray(_HEAD.size)
        self._ids = 0

    def new_id(self) -> int:
        """One that no request in flight has."""
        self._ids = (self._ids + 1) & 0xFFFFFFFF
        return self._ids

    async def send(self, packets: bytes) -> None:
        await self._loop.sock_sendall(self._sock, packets)

    async def greet(self) -> frozenset[bytes]:
        """Begin: the names of the extensions that the server has. Raises BadResponse, ChannelClosed."""
        await self.send(sftp.init())
        start = await self.collect(5)
        length, kind = struct.unpack(">IB", start)
        if not 5 <= length <= sftp.MAX_PACKET_BYTES or kind != sftp.VERSION:
            raise rubbish(start)
        payload = await self.collect(length - 1)
        try:
            version, extensions = sftp.parse_version(payload)
        except ValueError as error:
            raise BadResponse("", f"what it sent is no SFTP ({error})") from None
        if version < 3:
            raise BadResponse("", f"it speaks version {version} of SFTP, which is too old")
        return extensions

    async def arrival(self) -> Arrival:
        """Wait for the next packet. Raises BadResponse, ChannelClosed."""
        await self._fill(memoryview(self._head))
        length, kind, request_id, first = _HEAD.unpack(self._head)
        left = length - 9
        if left < 0 or length > sftp.MAX_PACKET_BYTES:
            raise BadResponse("", "what it sent is no SFTP")
        if kind == sftp.DATA and first != left:
            raise BadResponse("", "what it sent is no SFTP (a part of another length than its packet)")
        return Arrival(kind, request_id, first, left)

    async def rest(self, arrival: Arrival) -> bytes:
        """All that follows the id of a packet."""
        return arrival.first.to_bytes(4) + await self.collect(arrival.left_bytes)

    async def collect(self, count: int) -> bytes:
        buffer = bytearray(count)
        await self._fill(memoryview(buffer))
        return bytes(buffer)

    def receive_now(self, view: memoryview) -> int:
        """What is here already, 0 for nothing. Raises ChannelClosed."""
        try:
            got = self._sock.recv_into(view)
        except BlockingIOError:
            return 0
        except OSError:
            raise ChannelClosed from None
        if not got:
            raise ChannelClosed
        return got

    async def readable(self, patience_s: float | None) -> bool:
        """Whether something came within so long."""
        ready: asyncio.Future[bool] = self._loop.create_future()
        fd = self._sock.fileno()
        self._loop.add_reader(fd, _set, ready, True)
        timer = None if patience_s is None else self._loop.call_later(patience_s, _set, ready, False)
        try:
            return await ready
        finally:
            self._loop.remove_reader(fd)
            if timer is not None:
                timer.cancel()

    async def _fill(self, view: memoryview) -> None:
        while view:
            got = self.receive_now(view)
            view = view[got:]
            if view and not got:
                await self.readable(None)


def _set(ready: asyncio.Future[bool], came: bool) -> None:  # noqa: FBT001
    if not ready.done():
        ready.set_result(came)
