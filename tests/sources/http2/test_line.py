"""A connection whose other end does not listen, or takes no further request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

import hpack
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame

from tests.engine.runs import LIMIT_S
from thunderdl.errors import ConnectionLost
from thunderdl.sources.http2 import line as module
from thunderdl.sources.http2.line import Line
from thunderdl.sources.http2.stream import Stream
from thunderdl.sources.queueing import NotTaken


class Deaf:
    """In the place of a TLS socket: what is sent finds no room."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock

    def recv(self, count: int) -> bytes:
        return self._sock.recv(count)

    def send(self, raw: bytes) -> int:
        raise ssl.SSLWantWriteError

    def pending(self) -> int:
        return 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


def test_a_server_that_asks_and_takes_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2019-9512: else what it is to be told fills the memory."""
    monkeypatch.setattr(module, "_MAX_UNSENT_BYTES", 4096)
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    for number in range(500):
        server.ping(number.to_bytes(8, "big"))

    async def run() -> str:
        ours, theirs = socket.socketpair()
        with theirs:
            line = Line(cast(ssl.SSLSocket, Deaf(ours)))
            theirs.sendall(server.data_to_send())
            await turns()
        return line.ended

    assert asyncio.run(run()) == "the server takes no answers"


def test_no_more_use_it_than_the_server_wants_streams() -> None:
    server = H2Connection(H2Configuration(client_side=False))
    server.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    server.initiate_connection()

    async def run() -> list[bool]:
        ours, theirs = socket.socketpair()
        with theirs:
            line = Line(cast(ssl.SSLSocket, Deaf(ours)))
            theirs.sendall(server.data_to_send())
            await turns()
            seen = []
            for line.users in range(4):
                seen.append(line.has_room)
            line.close()
            return [*seen, line.has_room]

    assert asyncio.run(run()) == [True, True, False, False, False]


class Server:
    """The other end of a line, frame by frame: h2 itself sends nothing more once it has said GOAWAY."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._encoder = sock, hpack.Encoder()
        sock.sendall(SettingsFrame(0).serialize())

    async def send(self, *frames: Frame) -> None:
        self._sock.sendall(b"".join(frame.serialize() for frame in frames))
        await turns()

    def head(self, number: int) -> HeadersFrame:
        return HeadersFrame(number, self._encoder.encode([(":status", "206")]), flags=["END_HEADERS"])


async def on_a_line(script: Callable[[Line, Server], Awaitable[None]]) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        line = Line(cast(ssl.SSLSocket, Deaf(ours)))
        try:
            async with asyncio.timeout(LIMIT_S):
                await script(line, Server(theirs))
        finally:
            line.close()


FIELDS = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/")]


def test_a_server_that_takes_no_further_request_brings_what_it_has_taken() -> None:
    """GOAWAY (RFC 9113 section 6.8): h2 alone calls whatever follows a breach of the rules."""

    async def script(line: Line, server: Server) -> None:
        taken, refused = Stream(line, FIELDS), Stream(line, FIELDS)
        goaway = GoAwayFrame(0, last_stream_id=1)
        await server.send(goaway, server.head(1), DataFrame(1, b"one"), DataFrame(1, b"two"))
        with pytest.raises(NotTaken):
            await refused.head()
        with pytest.raises(NotTaken):
            Stream(line, FIELDS)
        assert (line.has_room, line.ended) == (False, "")
        assert await taken.read(100) == b"onetwo"
        await server.send(PingFrame(0, b"12345678"), DataFrame(1, b"three", flags=["END_STREAM"]))
        assert (await taken.read(100), await taken.read(100)) == (b"three", b"")
        taken.abandon()
        assert line.ended

    asyncio.run(on_a_line(script))


def test_a_server_that_says_so_twice() -> None:
    """At first without a last stream, since requests may be under way to it."""

    async def script(line: Line, server: Server) -> None:
        first, second = Stream(line, FIELDS), Stream(line, FIELDS)
        await server.send(server.head(1), GoAwayFrame(0, last_stream_id=2**31 - 1), server.head(3))
        assert await second.head() == [(b":status", b"206")]
        await server.send(GoAwayFrame(0, last_stream_id=3), DataFrame(1, b"one"), DataFrame(3, b"two"))
        assert (await first.read(100), await second.read(100)) == (b"one", b"two")

    asyncio.run(on_a_line(script))


def test_that_a_server_takes_no_request_at_all_is_a_fault() -> None:
    """Else it would be asked over and over, with no wait between."""

    async def refuses(line: Line, server: Server) -> None:
        refused = Stream(line, FIELDS)
        await server.send(GoAwayFrame(0, last_stream_id=0))
        with pytest.raises(ConnectionLost) as raised:
            await refused.head()
        assert not isinstance(raised.value, NotTaken)

    async def leaves(line: Line, server: Server) -> None:
        await server.send(GoAwayFrame(0, last_stream_id=2**31 - 1))
        with pytest.raises(ConnectionLost) as raised:
            Stream(line, FIELDS)
        assert not isinstance(raised.value, NotTaken)

    asyncio.run(on_a_line(refuses))
    asyncio.run(on_a_line(leaves))


def test_a_server_that_ends_it_for_a_fault() -> None:
    async def script(line: Line, server: Server) -> None:
        stream = Stream(line, FIELDS)
        await server.send(server.head(1), GoAwayFrame(0, last_stream_id=1, error_code=ErrorCodes.ENHANCE_YOUR_CALM))
        assert line.ended
        with pytest.raises(ConnectionLost):
            await stream.read(100)

    asyncio.run(on_a_line(script))


async def turns() -> None:
    """Let the loop read what is there."""
    for _ in range(100):
        await asyncio.sleep(0)
