"""The server from end to end: tasks in, tasks out, events, and a stop that waits for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.runs import ended
from tests.engine.runs import LIMIT_S
from tests.rpc.serving import listening, next_of, serving
from tests.servers.loopback import LoopbackServer, Resource


def test_what_is_posted_is_downloaded_and_told(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/file"] = Resource(body=content)

    async def run() -> None:
        async with serving(tmp_path) as served:
            task = await served.add(server.url("/file"))
            job = served.queue.find(task["gid"])
            await ended(job)
            answer = (await served.client.get("/api/v1/tasks")).json()
            assert answer["total"] == 1
            (told,) = answer["tasks"]
            assert (told["gid"], told["state"], told["name"]) == (task["gid"], "complete", "file")
            assert told["done_bytes"] == told["size_bytes"] == len(content)
            assert told["path"] == str(tmp_path / "out" / "file")

    asyncio.run(run())


def test_events_tell_of_what_happens(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with serving(tmp_path) as served, listening(served) as events:
            first = await next_of(events, "snapshot")
            assert first["tasks"] == []
            task = await served.add(server.url("/file"), paused=True)
            changed = await next_of(events, "tasks")
            assert changed == {"changed": [task], "gone": []}
            stat = await next_of(events, "stat")
            assert (stat["waiting"], stat["paused"]) == (0, 1)

    asyncio.run(run())


def test_it_stops_at_once_with_open_streams(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as served, listening(served) as events:
            await next_of(events, "snapshot")
            served.server.stop()
            # It is ended by the server, not cut off.
            async with asyncio.timeout(LIMIT_S):
                assert {kind async for kind, _ in events} <= {"stat", "tasks"}

    asyncio.run(run())


def test_it_stops_without_a_word_beside_half_a_body(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with serving(tmp_path) as served:
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            head = (
                "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99"
            )
            writer.write(f"{head}\r\n\r\n{{".encode())
            # Answered after the other one was begun.
            await served.stranger.get("/healthz")
        writer.close()

    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []
