"""One request and its answer on a :class:`thunderdl.sources.http2.line.Line`."""

from __future__ import annotations

import asyncio
from collections import deque

from thunderdl.errors import ConnectionLost
from thunderdl.sources.http2.line import STREAM_WINDOW_BYTES, Line

_CREDIT_BYTES = STREAM_WINDOW_BYTES // 4


class Stream:
    """``on_*``: what the line tells; ``head``, ``read``: who asked waits there."""

    def __init__(self, line: Line, fields: list[tuple[bytes, bytes]]) -> None:
        self._line = line
        self._head: list[tuple[bytes, bytes]] | None = None
        self._parts: deque[memoryview] = deque()
        self._ended = False
        self._broken: ConnectionLost | None = None
        # Of the stated length, what has not come yet; None where none was stated.
        self._due_bytes: int | None = None
        self._owed_bytes = 0
        self._heard: asyncio.Future[None] | None = None
        self._number = line.open(self, fields)

    async def head(self) -> list[tuple[bytes, bytes]]:
        """The fields of the answer, ``:status`` among them. Raises ConnectionLost."""
        while self._head is None:
            await self._news()
        return self._head

    async def read(self, most_bytes: int) -> bytes:
        """What is there, at least a byte; empty at the end of the answer. Raises ConnectionLost."""
        while not self._parts:
            if self._ended:
                return b""
            await self._news()
        taken: list[memoryview] = []
        room = most_bytes
        while self._parts and room:
            part = self._parts.popleft()
            if len(part) > room:
                self._parts.appendleft(part[room:])
                part = part[:room]
            taken.append(part)
            room -= len(part)
        self._owe(most_bytes - room)
        return b"".join(taken)

    def abandon(self) -> None:
        """Nobody reads on."""
        self._parts.clear()
        self._line.forget(self._number, reset=not self._ended and self._due_bytes != 0)

    def on_head(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._head = fields
        length = dict(fields).get(b"content-length", b"")
        self._due_bytes = int(length) if length.isdigit() else None
        self._wake()

    def on_data(self, data: bytes, counted: int) -> None:
        if self._due_bytes is not None:
            self._due_bytes -= len(data)
        if data:
            self._parts.append(memoryview(data))
        # Padding counts, and nobody reads it.
        self._owe(counted - len(data))
        self._wake()

    def on_end(self) -> None:
        self._ended = True
        self._wake()

    def on_broken(self, why: ConnectionLost) -> None:
        self._broken = self._broken or why
        self._wake()

    def _owe(self, count: int) -> None:
        self._owed_bytes += count
        if self._owed_bytes >= _CREDIT_BYTES and not self._ended:
            self._line.credit(self._number, self._owed_bytes)
            self._owed_bytes = 0

    async def _news(self) -> None:
        if self._ended or self._broken:
            raise self._broken or ConnectionLost("", "the answer ended before it had begun")
        self._heard = asyncio.get_running_loop().create_future()
        try:
            await self._heard
        finally:
            self._heard = None

    def _wake(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)
