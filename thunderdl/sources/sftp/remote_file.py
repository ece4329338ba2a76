"""One file at a time over one SFTP channel, many reads in flight, so that distance costs no speed. Blocking.

The reply that is next is received straight into the buffer. One that comes before its turn waits in memory, which
what is in flight bounds; one that nobody wants any more (its transfer was lowered) is thrown away when it comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from thunderdl.errors import BadResponse, SourceError
from thunderdl.formats import sftp
from thunderdl.sources.sftp.channel import Arrival, Channel
from thunderdl.sources.sftp.faults import status_fault
from thunderdl.sources.sftp.flight import Asked, Flight

if TYPE_CHECKING:
    from thunderdl.formats.listings import Entry

# As much as a socket between processes holds at once by Linux' default (net.core.rmem_max).
BUFFER_BYTES = 256 * 1024
# What OpenSSH's server names as its limit: no reply is longer than a packet may be.
_LARGEST_READ_BYTES = 255 * 1024
T = TypeVar("T")


class RemoteFile:
    """After :meth:`greet`, :meth:`open` a path; then :meth:`begin` a range and :meth:`read` it. Each raises SourceError
    for what the server says or is, ChannelClosed where the channel ends."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._path = self._handle = b""
        self._flight = Flight()
        # How much is still to come of the reply in hand, which is the one to the first read in flight.
        self._left = 0
        self._early: dict[int, bytes | SourceError] = {}
        self._unwanted: set[int] = set()

    def greet(self) -> None:
        """Begin, and learn how much the server gives at once; without its word, what every server must give."""
        if sftp.LIMITS not in self._channel.greet():
            return
        kind, payload = self._answer(sftp.ask_limits)
        if kind == sftp.EXTENDED_REPLY:
            most = _parsed(sftp.parse_limits, payload) or _LARGEST_READ_BYTES
            self._flight.chunk_bytes = max(sftp.SAFE_READ_BYTES, min(most, _LARGEST_READ_BYTES))

    def open(self, path: bytes) -> sftp.Attributes:
        """Open it where it is not open already; what it is now, asked each time: it may have changed."""
        self._drop_flight()
        if path != self._path:
            self._reopen(path)
        payload = self._expected(sftp.ATTRS, lambda request_id: sftp.fstat(request_id, self._handle))
        return _parsed(sftp.parse_attributes, payload)

    def enter(self, path: bytes) -> bytes:
        """Begin to look into a folder; the handle to :meth:`look` by, and to :meth:`leave`."""
        self._drop_flight()
        return _parsed(sftp.parse_handle, self._expected(sftp.HANDLE, lambda each: sftp.open_folder(each, path)))

    def look(self, handle: bytes) -> list[Entry | None]:
        """The next few names in a folder, None for each link and what else is neither file nor folder; empty at its
        end."""
        # Loaded by whoever mirrors, as for FTP.
        from thunderdl.formats.listings import Entry

        kind, payload = self._answer(lambda each: sftp.read_folder(each, handle))
        if kind == sftp.STATUS and _parsed(sftp.parse_status, payload).code == sftp.EOF:
            return []
        names = _parsed(sftp.parse_names, _payload_of(sftp.NAME, kind, payload))
        if not names:
            # It would be asked for ever.
            raise _out_of_step()
        return [Entry(name, *_told(at)) if at.is_folder or at.is_file else None for name, at in names]

    def leave(self, handle: bytes) -> None:
        """Have it closed; nobody waits for the answer."""
        closing = self._channel.new_id()
        self._unwanted.add(closing)
        self._channel.send(sftp.close(closing, handle))

    def begin(self, start: int, end: int) -> None:
        """What is read next. Begins at once: the first bytes are on their way while somebody decides."""
        self._flight.begin(start, end, time.monotonic())
        self._ask(end)

    def read(self, most_bytes: int, end: int, patience_s: float) -> memoryview | None:
        """What comes next, good until the next call; empty at the end of the file; None where nothing came for so
        long. ``end``: up to where more is going to be read."""
        self._ask(end)
        first = self._flight.first
        if first is None:
            return self._view[:0]
        if not self._left and (has_begun := self._await_reply(first, patience_s)) is not True:
            return None if has_begun is None else self._view[:0]
        view = self._view[: min(most_bytes, self._left)]
        early = self._early.get(first.request_id)
        if isinstance(early, bytes):
            at, count = len(early) - self._left, len(view)
            view[:] = early[at : at + count]
        else:
            count = self._channel.receive(view, patience_s)
        self._left -= count
        if count and self._flight.came(count, time.monotonic()):
            self._early.pop(first.request_id, None)
        return view[:count] if count else None

    # -- inside

    def _reopen(self, path: bytes) -> None:
        if self._handle:
            self.leave(self._handle)
        self._path = self._handle = b""
        payload = self._expected(sftp.HANDLE, lambda request_id: sftp.open_file(request_id, path))
        self._path, self._handle = path, _parsed(sftp.parse_handle, payload)

    def _expected(self, wanted: int, request: Callable[[int], bytes]) -> bytes:
        """The payload of an answer of the kind that is wanted."""
        return _payload_of(wanted, *self._answer(request))

    def _answer(self, request: Callable[[int], bytes]) -> tuple[int, bytes]:
        """Send a request while no read is wanted: kind and payload of the answer."""
        request_id = self._channel.new_id()
        self._channel.send(request(request_id))
        while True:
            arrival = self._channel.arrival()
            assert arrival is not None
            if arrival.request_id == request_id:
                return arrival.kind, self._channel.rest(arrival)
            self._pass_over(arrival)

    def _drop_flight(self) -> None:
        """What is under way is for nobody any more, but for the reply whose head was read: that is passed over now."""
        first, unwanted = self._flight.first, self._flight.begin(0, 0, 0.0)
        if first is not None and self._left:
            if first.request_id not in self._early:
                self._discard(self._left)
            unwanted.remove(first.request_id)
        self._left = 0
        self._unwanted.update(each for each in unwanted if each not in self._early)
        self._early.clear()

    def _ask(self, end: int) -> None:
        """Keep enough reads in flight."""
        requests = []
        while wanted := self._flight.wants(end):
            request_id = self._channel.new_id()
            requests.append(sftp.read(request_id, self._handle, *wanted))
            self._flight.ask(request_id, wanted[1])
        if requests:
            self._channel.send(b"".join(requests))

    def _await_reply(self, first: Asked, patience_s: float) -> bool | None:
        """Have the head of the reply to ``first``: whether the file goes on; None where none came for so long."""
        while (found := self._early.get(first.request_id)) is None:
            arrival = self._channel.arrival(patience_s)
            if arrival is None:
                return None
            if arrival.request_id == first.request_id and arrival.kind == sftp.DATA:
                self._begin_reply(first, arrival.left_bytes)
                return True
            self._set_aside(arrival)
        if isinstance(found, SourceError):
            raise found
        if found:
            self._begin_reply(first, len(found))
        return bool(found)

    def _begin_reply(self, first: Asked, length: int) -> None:
        _check_length(length, first)
        self._left = length
        if length < first.length:
            request_id = self._channel.new_id()
            rest = self._flight.split(request_id, length)
            self._channel.send(sftp.read(request_id, self._handle, *rest))

    def _set_aside(self, arrival: Arrival) -> None:
        """A reply that is not the one whose turn it is, or no bytes."""
        request_id = arrival.request_id
        asked = self._flight.find(request_id)
        if asked is None or request_id in self._early:
            self._pass_over(arrival)
        elif arrival.kind == sftp.DATA:
            # Before it is held: what is asked for bounds the memory.
            _check_length(arrival.left_bytes, asked)
            self._early[request_id] = self._channel.collect(arrival.left_bytes)
        elif arrival.kind == sftp.STATUS:
            status = _parsed(sftp.parse_status, self._channel.rest(arrival))
            self._early[request_id] = b"" if status.code == sftp.EOF else status_fault(status)
        else:
            raise _out_of_step()

    def _pass_over(self, arrival: Arrival) -> None:
        if arrival.request_id not in self._unwanted:
            raise _out_of_step()
        self._unwanted.discard(arrival.request_id)
        self._discard(arrival.left_bytes)

    def _discard(self, count: int) -> None:
        while count:
            count -= self._channel.receive(self._view[: min(count, BUFFER_BYTES)])


def _check_length(length: int, asked: Asked) -> None:
    if not 0 < length <= asked.length:
        raise BadResponse("", "the server sent another length than was asked for")


def _told(found: sftp.Attributes) -> tuple[bool, int | None, str]:
    """What an Entry says behind its name."""
    size = None if found.is_folder else found.size_bytes
    return found.is_folder, size, "" if found.modified is None else str(found.modified)


def _payload_of(wanted: int, kind: int, payload: bytes) -> bytes:
    if kind == sftp.STATUS:
        raise status_fault(_parsed(sftp.parse_status, payload))
    if kind != wanted:
        raise _out_of_step()
    return payload


def _parsed(parse: Callable[[bytes], T], payload: bytes) -> T:
    try:
        return parse(payload)
    except ValueError as error:
        raise BadResponse("", f"what it sent is no SFTP ({error})") from None


def _out_of_step() -> BadResponse:
    return BadResponse("", "what it sent answers nothing that was asked")
