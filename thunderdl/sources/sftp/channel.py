"""SFTP packets over one socket. Blocking: to be used by one thread at a time; knows no file.

Whoever waits here without end is woken by a shutdown of the socket, which reads as its end. The payload of a DATA
packet is not collected: whoever reads the file has it received straight into the buffer.
"""

from __future__ import annotations

import select
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
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(sock, select.POLLIN)
        self._writable.register(sock, select.POLLOUT)
        self._head = bytearray(_HEAD.size)
        self._head_bytes = 0
        self._ids = 0

    def new_id(self) -> int:
        """One that no request in flight has."""
        self._ids = (self._ids + 1) & 0xFFFFFFFF
        return self._ids

    def send(self, packets: bytes) -> None:
        """Raises ChannelClosed."""
        view = memoryview(packets)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self._writable.poll()
            except OSError:
                raise ChannelClosed from None

    def greet(self) -> frozenset[bytes]:
        """Begin: the names of the extensions that the server has. Raises BadResponse, ChannelClosed."""
        self.send(sftp.init())
        start = self.collect(5)
        length, kind = struct.unpack(">IB", start)
        if not 5 <= length <= sftp.MAX_PACKET_BYTES or kind != sftp.VERSION:
            raise rubbish(start)
        try:
            version, extensions = sftp.parse_version(self.collect(length - 1))
        except ValueError as error:
            raise BadResponse("", f"what it sent is no SFTP ({error})") from None
        if version < 3:
            raise BadResponse("", f"it speaks version {version} of SFTP, which is too old")
        return extensions

    def arrival(self, patience_s: float | None = None) -> Arrival | None:
        """The next packet; None where it does not begin within so long. Raises BadResponse, ChannelClosed."""
        while self._head_bytes < _HEAD.size:
            got = self.receive(memoryview(self._head)[self._head_bytes :], patience_s)
            if not got:
                return None
            self._head_bytes += got
        self._head_bytes = 0
        length, kind, request_id, first = _HEAD.unpack(self._head)
        left = length - 9
        if left < 0 or length > sftp.MAX_PACKET_BYTES:
            raise BadResponse("", "what it sent is no SFTP")
        if kind == sftp.DATA and first != left:
            raise BadResponse("", "what it sent is no SFTP (a part of another length than its packet)")
        return Arrival(kind, request_id, first, left)

    def rest(self, arrival: Arrival) -> bytes:
        """All that follows the id of a packet."""
        return arrival.first.to_bytes(4) + self.collect(arrival.left_bytes)

    def collect(self, count: int) -> bytes:
        """So many bytes. Raises ChannelClosed."""
        buffer = bytearray(count)
        view = memoryview(buffer)
        while view:
            view = view[self.receive(view) :]
        return bytes(buffer)

    def receive(self, view: memoryview, patience_s: float | None = None) -> int:
        """Some bytes; 0 where none come within so long, None: without end. Raises ChannelClosed."""
        while True:
            try:
                got = self._sock.recv_into(view)
            except BlockingIOError:
                if not self._readable.poll(None if patience_s is None else patience_s * 1000):
                    return 0
                continue
            except OSError:
                raise ChannelClosed from None
            if not got:
                raise ChannelClosed
            return got
