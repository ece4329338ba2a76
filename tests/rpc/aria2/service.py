"""aria2's RPC of a test: a queue behind a server on a free port, and calls to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from tests.daemon.runs import running
from thunderdl.daemon.queue import Queue
from thunderdl.rpc.aria2.routes import Aria2

SECRET = "s3cret"


class Reply(NamedTuple):
    """``body``: as JSON, None where it is none."""

    status: int
    body: Any
    type: str


@dataclass
class Service:
    """``guesses``: what was taken for the secret, in order; ``stopped``: how it was told to end."""

    queue: Queue
    port: int
    app: Aria2
    guesses: list[str] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jsonrpc"

    async def post(self, body: bytes | str, path: str = "/jsonrpc", *, method: str = "POST") -> Reply:
        """Send it as it is."""
        data = body.encode() if isinstance(body, str) else body
        head, _, answer = (await self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
            .encode() + data
        )).partition(b"\r\n\r\n")  # fmt: skip
        lines = head.decode().lower().split("\r\n")
        kind = next((line.partition(": ")[2] for line in lines if line.startswith("content-type")), "")
        try:
            found = json.loads(answer)
        except ValueError:
            found = answer
        return Reply(int(lines[0].split()[1]), found, kind)

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.close()

    async def ask(self, method: str, *params: object) -> Reply:
        """Call it, with the token."""
        call = {"jsonrpc": "2.0", "id": "q", "method": method, "params": [f"token:{SECRET}", *params]}
        return await self.post(json.dumps(call))

    async def call(self, method: str, *params: object) -> Any:
        """The result of a call that must have one."""
        reply = await self.ask(method, *params)
        assert reply.status == 200, reply
        assert reply.body["id"] == "q"
        return reply.body["result"]

    async def refusal(self, method: str, *params: object) -> str:
        """The message of a call that must fail."""
        reply = await self.ask(method, *params)
        assert reply.status == 400, reply
        assert reply.body["error"]["code"] == 1
        return str(reply.body["error"]["message"])


@asynccontextmanager
async def serving(folder: Path, **changes: object) -> AsyncIterator[Service]:
    """A service over a queue as :func:`tests.daemon.runs.running` makes it."""
    with free_socket() as listening:
        async with running(folder, **changes) as queue:
            guesses: list[str] = []
            stopped: list[bool] = []

            async def proof(token: str) -> bool:
                guesses.append(token)
                return token == SECRET

            aria2 = Aria2(queue, proof, stopped.append)
            async with aria2.running(), answering(aria2, listening):
                yield Service(queue, listening.getsockname()[1], aria2, guesses, stopped)


@contextmanager
def free_socket() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        yield listening


@asynccontextmanager
async def answering(app: Callable[..., Any], listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app, http="httptools", ws="websockets-sansio", loop="none", interface="asgi3", lifespan="off", log_config=None,
        access_log=False, timeout_graceful_shutdown=1, ws_max_size=1 << 22,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = _leave_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.002)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextmanager
def _leave_signals() -> Iterator[None]:
    yield
