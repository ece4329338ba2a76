"""A daemon of a test: its queue and its server in this loop, at a port of its own, and a client that has the secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.daemon.runs import running
from thunderdl.daemon.queue import Queue
from thunderdl.rpc.access import Access
from thunderdl.rpc.exchange import App
from thunderdl.rpc.listening import Place, opened
from thunderdl.rpc.secret import Secret
from thunderdl.rpc.server import Server

SECRET = "the-secret-of-this-test"


@dataclass
class Served:
    """``client`` sends the secret, ``stranger`` sends none; ``port``: where it listens."""

    queue: Queue
    server: Server
    client: httpx.AsyncClient
    stranger: httpx.AsyncClient
    port: int

    async def add(self, *urls: str, **more: object) -> dict[str, Any]:
        """A task that was added, as it was answered."""
        answer = await self.client.post("/api/v1/tasks", json={"urls": urls, **more})
        assert answer.status_code == 201, answer.text
        (task,) = answer.json()["tasks"]
        return dict(task)


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    access: Access | None = None,
    secret: Secret | None = None,
    services: Mapping[str, App] | None = None,
    **changes: object,
) -> AsyncIterator[Served]:
    """A daemon whose queue is as ``running`` makes it. Wrong secrets wait for a hundredth of a second."""
    sockets = opened([Place("127.0.0.1", 0)])
    port = sockets[0].getsockname()[1]
    base, bearer = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {SECRET}"}
    async with running(folder, **changes) as queue:
        server = Server(queue, sockets, access or Access(), secret or Secret(SECRET, delay_s=0.01), services or {})
        async with (
            server.running(),
            httpx.AsyncClient(base_url=base, headers=bearer, trust_env=False, verify=False) as client,
            httpx.AsyncClient(base_url=base, trust_env=False, verify=False) as stranger,
        ):
            yield Served(queue, server, client, stranger, port)


@asynccontextmanager
async def listening(served: Served, task: str = "") -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """The events of a stream, as name and value."""
    query = {"task": task} if task else {}
    async with served.client.stream("GET", "/api/v1/events", params=query) as answer:
        assert answer.status_code == 200
        yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def next_of(events: AsyncIterator[tuple[str, Any]], kind: str) -> Any:
    """The next event of that name."""
    async for name, value in events:
        if name == kind:
            return value
    raise AssertionError(f"the stream ended before {kind}")
