"""What is done with all tasks at once, whatever each of them is about to become."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.daemon.runs import running, until
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.rpc.api.overview import pause_all, resume_all


async def begun(queue: Queue, server: LoopbackServer, *names: str) -> list[Job]:
    for name in names:
        server.resources[f"/{name}"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    jobs = await queue.add([Wish(urls=(server.url(f"/{name}"),)) for name in names])
    await until(lambda: all((seen := queue.progress(job)) and seen.done_bytes for job in jobs))
    return jobs


def test_one_that_is_being_removed_keeps_no_other_from_being_paused(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            first, second = await begun(queue, server, "a", "b")
            await asyncio.gather(queue.remove(first), pause_all(api_of(queue), cast(Any, None)))
            await until(lambda: first.state is State.REMOVED and second.state is State.PAUSED)

    asyncio.run(run())


def test_one_that_still_stops_for_a_pause_is_resumed_too(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await begun(queue, server, "a")
            before = queue.task(job)
            await asyncio.gather(queue.pause([job]), resume_all(api_of(queue), cast(Any, None)))
            await until(lambda: queue.task(job) is not before)
            assert job.state is State.ACTIVE

    asyncio.run(run())


def api_of(queue: Queue) -> Any:
    return SimpleNamespace(queue=queue)
