"""aria2's RPC of a test: a queue behind a server on a free port, and calls to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.daemon.runs import running
from thunderdl.daemon.queue import Queue
from thunderdl.rpc.access import Access
from thunderdl.rpc.aria2.routes import Aria2
from thunderdl.rpc.listening import Place, opened
from thunderdl.rpc.secret import Secret
from thunderdl.rpc.server import Server

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
    """The daemon's server over a queue as :func:`tests.daemon.runs.running` makes it. Wrong tokens wait for nothing."""
    sockets = opened([Place("127.0.0.1", 0)])
    async with running(folder, **changes) as queue:
        guesses: list[str] = []
        stopped: list[bool] = []

        async def proof(token: str) -> bool:
            guesses.append(token)
            return token == SECRET

        aria2 = Aria2(queue, proof, stopped.append)
        async with aria2.running(), Server(queue, sockets, Access(), Secret(SECRET), aria2.services).running():
            yield Service(queue, sockets[0].getsockname()[1], aria2, guesses, stopped)
