"""Another wish for one that runs: all of it holds, or nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.daemon.runs import running, until
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.jobs import Wish
from thunderdl.errors import UsageError


def test_options_are_taken_back_where_the_links_are_refused(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([Wish(urls=(server.url("/half"),))])
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes)
            task, wish = queue.task(job), job.wish
            assert task is not None
            magnet = "magnet:?xt=urn:btih:" + "a" * 40
            with pytest.raises(UsageError, match="no URL of a server"):
                await queue.change(job, replace(wish, urls=(*wish.urls, magnet), options={"task_limit": "5K"}))
            assert job.wish is wish
            assert task._download.options.task_limit is None

    asyncio.run(run())
