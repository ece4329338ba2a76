"""One HTTP/2 connection (RFC 9113), shared by many streams; ``h2`` knows the frames, this moves their bytes.

All happens on the event loop, nothing blocks. It must not know of transfers or files:
:mod:`thunderdl.sources.http2.carrier` does.

A server that wants to end a connection says so with GOAWAY, and brings the streams that it has begun to their end (RFC
9113 section 6.8). nginx does after 1,000 requests (``keepalive_requests``), others whenever they are restarted.

Windows: each stream may hold STREAM_WINDOW_BYTES that nobody has read yet, so that a slow disk or a limit slows its
server down. The connection as a whole is always given back what came: a stream that waits holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error, TooManyStreamsError
from h2.settings import SettingCodes, Settings

from thunderdl.errors import ConnectionLost
from thunderdl.sources.queueing import NotTaken

if TYPE_CHECKING:
    from thunderdl.sources.http2.stream import Stream

# The protocol's own 64 KiB let one stream bring 0.6 MB/s over a path of 100 ms.
STREAM_WINDOW_BYTES = 4 * 1024 * 1024
LINE_WINDOW_BYTES = 256 * 1024 * 1024
MAX_FRAME_BYTES = 64 * 1024
_FIRST_WINDOW_BYTES = 65_535
# What came of the connection's window is given back in steps.
_LINE_CREDIT_BYTES = 8 * 1024 * 1024
_RECORD_BYTES = 16 * 1024
# Then others have their turn of the loop.
_READS_AT_ONCE = 32
# A server that makes us answer and takes no answers (CVE-2019-9512, CVE-2019-9515).
_MAX_UNSENT_BYTES = 1024 * 1024
_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


class _Protocol(H2Connection):
    """h2, but for GOAWAY: to it that is the end of the connection, and whatever comes behind it breaks the rules
    (python-hyper/h2 issue 1181)."""

    def clear_outbound_data_buffer(self) -> None:
        """Called where GOAWAY has come, right after the state was changed, and nowhere else."""
        self.state_machine.state = ConnectionState.CLIENT_OPEN


class Line:
    """``sock``: connected, not blocking, HTTP/2 agreed on. ``users``: carriers that have it; the last one closes it."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock, self._loop = sock, asyncio.get_running_loop()
        self._h2 = _Protocol(H2Configuration(client_side=True, header_encoding=None))
        self._streams: dict[int, Stream] = {}
        self._outbox = bytearray()
        self._writes = False
        self._owed_bytes = 0
        self.users = 0
        # Why it carries nothing any more; "" while it does.
        self.ended = ""
        # The server takes no further request; those that it has taken go on.
        self._is_leaving = self._has_taken = False
        # The server wants HTTP/1.1 for what it was asked (RFC 9113 section 7).
        self.wants_http1 = False
        self._begin()

    @property
    def has_room(self) -> bool:
        """Whether one more may use it."""
        return not (self.ended or self._is_leaving) and self.users < self._h2.remote_settings.max_concurrent_streams

    def _begin(self) -> None:
        wanted = {
            SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
        }  # fmt: skip
        # Not by update(): what is changed holds once the server has answered, and is not in the first frame.
        self._h2.local_settings = Settings(client=True, initial_values=wanted)
        self._h2.max_inbound_frame_size = MAX_FRAME_BYTES
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(LINE_WINDOW_BYTES - _FIRST_WINDOW_BYTES)
        self._loop.add_reader(self._sock, self._readable)
        self._flush()

    def open(self, stream: Stream, fields: list[tuple[bytes, bytes]]) -> int:
        """Send a request without a body: the stream's number. Raises ConnectionLost where that cannot be."""
        if self.ended:
            raise ConnectionLost("", self.ended)
        if self._is_leaving:
            raise self._not_taken()
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, fields, end_stream=True)
        except TooManyStreamsError:
            # It wants fewer than before: what is under way goes on.
            raise ConnectionLost("", "the server wants no further stream") from None
        except H2Error as error:
            self._end(f"HTTP/2 failed ({_shown(error)})")
            raise ConnectionLost("", self.ended) from None
        self._streams[number] = stream
        self._flush()
        return number

    def credit(self, number: int, count: int) -> None:
        """Let ``count`` more bytes of a stream come."""
        if not self.ended and number in self._streams:
            with contextlib.suppress(H2Error):
                self._h2.increment_flow_control_window(count, number)
            self._flush()

    def forget(self, number: int, *, reset: bool) -> None:
        """Nobody reads the stream any more; ``reset``: there is more of it to come."""
        if self._streams.pop(number, None) is not None and reset and not self.ended:
            with contextlib.suppress(H2Error):
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()
        self._end_if_left()

    def leave(self) -> None:
        """One user less."""
        self.users -= 1
        if self.users <= 0:
            self.close()

    def close(self) -> None:
        """End it, politely."""
        if not self.ended:
            with contextlib.suppress(H2Error):
                self._h2.close_connection()
            self._flush()
            self._end("closed")

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            if self.ended:
                return
            try:
                raw = self._sock.recv(_RECORD_BYTES)
            except _NOT_NOW:
                self._flush()
                return
            except OSError as error:
                self._end(f"the connection broke ({error.strerror or type(error).__name__})")
                return
            if not raw:
                self._end("the server closed the connection")
                return
            self._take(raw)
        self._flush()
        if not self.ended and self._sock.pending():
            # Of what TLS holds decrypted, no selector speaks.
            self._loop.call_soon(self._readable)

    def _take(self, raw: bytes) -> None:
        try:
            events = self._h2.receive_data(raw)
        except Exception as error:
            # Whatever a stranger's bytes do to h2: in a callback of the loop nobody would hear of it.
            # Its last words tell the server what was wrong.
            self._flush()
            self._end(f"the server breaks the rules of HTTP/2 ({_shown(error)})")
            return
        for event in events:
            self._hear(event)
        if self._owed_bytes >= _LINE_CREDIT_BYTES and not self.ended:
            self._h2.increment_flow_control_window(self._owed_bytes)
            self._owed_bytes = 0

    def _hear(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            count = event.flow_controlled_length or 0
            self._owed_bytes += count
            if (stream := self._streams.get(event.stream_id or 0)) is not None:
                stream.on_data(event.data or b"", count)
        elif isinstance(event, ResponseReceived):
            if (stream := self._streams.get(event.stream_id or 0)) is not None:
                stream.on_head([(bytes(name), bytes(value)) for name, value in event.headers or ()])
        elif isinstance(event, StreamEnded):
            if (stream := self._streams.get(event.stream_id or 0)) is not None:
                stream.on_end()
        elif isinstance(event, StreamReset):
            self.wants_http1 = self.wants_http1 or event.error_code == ErrorCodes.HTTP_1_1_REQUIRED
            if (stream := self._streams.pop(event.stream_id or 0, None)) is not None:
                stream.on_broken(ConnectionLost("", "the server gave the request up"))
        elif isinstance(event, ConnectionTerminated):
            self._let_go(event)

    def _let_go(self, event: ConnectionTerminated) -> None:
        """The server takes no further request, and has not taken those behind the last stream that it names. It may say
        so twice, at first of none (RFC 9113 section 6.8)."""
        if event.error_code != ErrorCodes.NO_ERROR:
            self._end("the server closed the connection")
            return
        last = min(event.last_stream_id or 0, self._h2.highest_outbound_stream_id)
        self._is_leaving, self._has_taken = True, last > 0
        for number in [number for number in self._streams if number > last]:
            self._streams.pop(number).on_broken(self._not_taken())
        self._end_if_left()

    def _end_if_left(self) -> None:
        if self._is_leaving and not self._streams:
            self._end("the server closed the connection")

    def _not_taken(self) -> ConnectionLost:
        """Asked elsewhere it costs nothing, but of a server that takes no request at all that would have no end."""
        why = "the server closed the connection"
        return NotTaken("", why) if self._has_taken else ConnectionLost("", why)

    def _flush(self) -> None:
        self._outbox += self._h2.data_to_send()
        if self.ended:
            return
        try:
            while self._outbox:
                del self._outbox[: self._sock.send(self._outbox)]
        except _NOT_NOW:
            pass
        except OSError as error:
            self._end(f"the connection broke ({error.strerror or type(error).__name__})")
            return
        if len(self._outbox) > _MAX_UNSENT_BYTES:
            self._end("the server takes no answers")
        elif self._outbox and not self._writes:
            self._writes = True
            self._loop.add_writer(self._sock, self._flush)
        elif not self._outbox and self._writes:
            self._writes = False
            self._loop.remove_writer(self._sock)

    def _end(self, why: str) -> None:
        if self.ended:
            return
        self.ended = why
        self._loop.remove_reader(self._sock)
        if self._writes:
            self._loop.remove_writer(self._sock)
        self._sock.close()
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.on_broken(ConnectionLost("", why))


def _shown(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:100]
