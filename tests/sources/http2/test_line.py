"""A connection whose other end does not listen."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from thunderdl.sources.http2 import line as module
from thunderdl.sources.http2.line import Line


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


async def turns() -> None:
    """Let the loop read what is there."""
    for _ in range(100):
        await asyncio.sleep(0)
