"""The event stream: whole pictures and what changed since, cheap however many wait, and nobody slow holds it up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.runs import running, until
from tests.rpc.serving import Served, listening, next_of, serving
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.errors import StorageError
from thunderdl.rpc.api.live import FIRST_WAITING, MOST_BEHIND, MOST_CHANGES, Listener, Live


def over(folder: Path, use: Callable[[Served], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(folder) as served:
            await use(served)

    asyncio.run(run())


@asynccontextmanager
async def looked_at(folder: Path) -> AsyncIterator[tuple[Queue, Live]]:
    async with running(folder) as queue:
        live = Live(queue)
        async with live.running():
            yield queue, live


async def paused(queue: Queue, count: int) -> list[Job]:
    wishes = [Wish(urls=(f"http://127.0.0.1:1/{number}",)) for number in range(count)]
    return await queue.add(wishes, paused=True)


async def heard(listener: Listener, kind: str) -> Any:
    """The value of the next event of that name."""
    while True:
        event = await listener.events.get()
        assert event is not None
        head, _, data = event.decode().partition("\ndata: ")
        if head == f"event: {kind}":
            return json.loads(data)


def test_a_move_tells_the_new_order(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        gids = [(await served.add(f"http://127.0.0.1:1/{number}", paused=True))["gid"] for number in range(3)]
        async with listening(served) as events:
            snapshot = await next_of(events, "snapshot")
            assert [task["gid"] for task in snapshot["tasks"]] == gids
            await served.client.post(f"/api/v1/tasks/{gids[2]}/move", json={"to": "top"})
            assert await next_of(events, "order") == {"waiting": [gids[2], gids[0], gids[1]]}

    over(tmp_path, use)


def test_what_is_forgotten_is_gone_and_settings_are_told(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        task = await served.add("http://127.0.0.1:1/x", paused=True)
        async with listening(served) as events:
            await next_of(events, "snapshot")
            await served.client.patch("/api/v1/settings", json={"limit": "1M"})
            assert (await next_of(events, "settings"))["limit"] == "1M"
            await served.client.delete(f"/api/v1/tasks/{task['gid']}")
            changed = await next_of(events, "tasks")
            assert [each["state"] for each in changed["changed"]] == ["removed"]
            await served.client.delete(f"/api/v1/tasks/{task['gid']}")
            assert (await next_of(events, "tasks"))["gone"] == [task["gid"]]

    over(tmp_path, use)


def test_details_of_one_task_are_told_to_who_wants_them(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/file")))["gid"]
        async with listening(served, gid) as events:
            await next_of(events, "snapshot")
            first = await next_of(events, "detail")
            assert first["gid"] == gid
            while not first["done_bytes"]:
                first = await next_of(events, "detail")
            assert first["sources"][0]["url"] == server.url("/file")

    over(tmp_path, use)


def test_many_changes_at_once_are_one_picture_of_what_is_shown(tmp_path: Path) -> None:
    async def run() -> None:
        async with looked_at(tmp_path) as (queue, live):
            with live.listening(None) as listener:
                assert (await heard(listener, "snapshot"))["counts"]["paused"] == 0
                await paused(queue, MOST_CHANGES + 1)
                told = await heard(listener, "snapshot")
            assert told["counts"]["paused"] == MOST_CHANGES + 1
            assert len(told["tasks"]) == FIRST_WAITING

    asyncio.run(run())


def test_who_is_slow_loses_what_is_old_and_gets_the_picture_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with looked_at(tmp_path) as (queue, live):
            with live.listening(None) as slow, live.listening(None) as quick:
                await heard(quick, "snapshot")
                for _ in range(MOST_BEHIND):
                    slow.put(b"event: stat\ndata: {}\n\n")
                assert slow.is_lost
                (job,) = await paused(queue, 1)
                assert [each["gid"] for each in (await heard(quick, "tasks"))["changed"]] == [job.gid]
                # It reads again: not the rest of the old, but what holds now.
                while not slow.events.empty():
                    slow.events.get_nowait()
                await queue.move(job, 0)
                assert [each["gid"] for each in (await heard(slow, "snapshot"))["tasks"]] == [job.gid]

    asyncio.run(run())


def test_what_was_brought_before_anybody_listened_is_remembered(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def run() -> None:
        async with looked_at(tmp_path) as (queue, live):
            (job,) = await queue.add([Wish(urls=(server.url("/file"),))])
            await until(lambda: live.snapshot()["rates"])
            assert all(len(pair) == 2 for pair in live.snapshot()["rates"])
            await queue.remove(job)

    asyncio.run(run())


def test_a_listener_that_comes_while_it_stops_is_sent_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with looked_at(tmp_path) as (_, live):
            live.close()
            with live.listening(None) as listener:
                assert listener.events.get_nowait() is None

    asyncio.run(run())


def test_the_stream_goes_on_after_all_is_paused_while_an_addition_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(served: Served) -> None:
        writing: Future[None] = Future()
        async with listening(served) as events:
            await next_of(events, "snapshot")
            with monkeypatch.context() as patched:
                patched.setattr(served.queue.store, "write", lambda *_: writing)
                adding = asyncio.create_task(served.queue.add([Wish(urls=("http://127.0.0.1:1/x",))]))
                await asyncio.sleep(0)
                pausing = asyncio.create_task(served.client.post("/api/v1/queue/pause"))
                await until(lambda: pausing.done() or served.queue.waiting()[0].state is State.PAUSED)
                writing.set_exception(StorageError("queue.sqlite", "the disk is full"))
                await asyncio.wait([adding, pausing])
                assert isinstance(adding.exception(), StorageError)
            (gid,) = [(await served.add("http://127.0.0.1:1/y", paused=True))["gid"]]
            (told,) = (await next_of(events, "tasks"))["changed"]
            assert told["gid"] == gid

    over(tmp_path, use)
