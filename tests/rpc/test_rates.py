"""What the daemon remembers of the last minutes, and that nothing is told to come when nothing runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.daemon.runs import until
from tests.rpc.serving import Served, serving
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.rpc.api import live


def over(folder: Path, use: Callable[[Served], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(folder) as served:
            await use(served)

    asyncio.run(run())


def test_where_nothing_runs_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TICK_S", 0.01)

    async def use(served: Served) -> None:
        looker = live.Live(served.queue)
        # It measures at every other look only.
        looker._measure = lambda: None  # type: ignore[method-assign]
        looker._now = (5, 1)
        async with looker.running():
            await served.add("http://127.0.0.1:1/x", paused=True)
            await until(lambda: looker.stat()["rate_bytes_per_s"] == 0)

    over(tmp_path, use)


def test_seconds_in_which_nothing_ran_are_remembered_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        by_s = 0.0

        @classmethod
        def monotonic(cls) -> float:
            return cls.by_s

    monkeypatch.setattr(live, "time", Later)

    async def use(served: Served) -> None:
        looker = live.Live(served.queue)
        looker._now = (5, 1)
        looker._measure = lambda: None  # type: ignore[method-assign]
        looker._rates.append((5, 1))
        Later.by_s = 4.5
        assert looker.rates() == [(5, 1), (0, 0), (0, 0), (0, 0)]
        Later.by_s = 1000.0
        assert looker.rates() == [(0, 0)] * live.MOST_RATES

    over(tmp_path, use)


def test_who_opens_a_task_is_told_its_last_minutes(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_S", 0.01)
    server.resources["/file"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/file")))["gid"]
        job = served.queue.find(gid)
        looker = live.Live(served.queue)
        async with looker.running():
            await until(lambda: (seen := served.queue.progress(job)) and seen.done_bytes)
            await until(lambda: looker.rates())
            with looker.listening(gid) as listener:
                kinds = []
                while "detail" not in kinds:
                    event = await listener.events.get()
                    assert event is not None
                    kinds.append(event.partition(b"\n")[0].decode().removeprefix("event: "))
                    if kinds[-1] == "rates":
                        told = json.loads(event.partition(b"data: ")[2])
            assert kinds == ["snapshot", "rates", "detail"]
            assert told["gid"] == gid
            assert all(len(pair) == 2 for pair in told["rates"])

    over(tmp_path, use)
