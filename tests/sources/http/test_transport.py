"""httpx over sockets of ours."""

from __future__ import annotations

import asyncio
import fcntl
import resource
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from thunderdl.sources.http.transport import _Stream

# More than select() can wait for.
HIGH = 1100


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two, of which the first has a high number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= HIGH:
        pytest.skip("no such descriptor is to be had here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HIGH + 1), hard))
    low, other = socket.socketpair()
    with low, other, socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH)) as high:
        high.setblocking(False)
        yield high, other
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_descriptor_of_any_number_is_waited_for(ends: tuple[socket.socket, socket.socket]) -> None:
    """A daemon with many lanes open has them."""
    ours, other = ends
    stream, sent = _Stream(cast(Any, ours)), bytes(4_000_000)

    async def run() -> bytes:
        threading.Timer(0.05, other.sendall, (b"answer",)).start()
        assert await stream.read(100, 5.0) == b"answer"
        reader = asyncio.create_task(asyncio.to_thread(_all_of, other, len(sent)))
        await stream.write(sent, 5.0)
        return await reader

    assert asyncio.run(run()) == sent


def _all_of(sock: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        got += sock.recv(1 << 16)
    return bytes(got)
