"""Limits kept by the clock, and changed while downloads run."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, fetch
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import LoopbackServer
from tests.stopwatch import Stopwatch
from thunderdl import Client, Options
from thunderdl.engine import driver, pacing
from thunderdl.engine.pacing import Keeper
from thunderdl.errors import UsageError
from thunderdl.option_texts import parse_limit
from thunderdl.timetable import DAY_S

KIB, MIB = 1024, 1024 * 1024
EIGHT = 8 * 3600.0


def test_a_timetable_changes_the_rate_by_itself() -> None:
    async def run() -> None:
        applied: list[int | None] = []
        loop = asyncio.get_running_loop()
        began = loop.time()
        keeper = Keeper(applied.append, lambda: EIGHT - 0.05 + loop.time() - began)
        keeper.keep(parse_limit("08:00-18:00=1M, 5M"))
        assert applied == [5 * MIB]
        await asyncio.sleep(0.08)
        assert applied[-1] == MIB
        keeper.keep(1000)
        assert applied[-1] == 1000
        keeper.close()

    asyncio.run(run())


def test_a_clock_that_is_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where summer time ends, or somebody sets the clock, no border is reached at the time foreseen."""
    monkeypatch.setattr(pacing, "LOOK_AGAIN_S", 0.01)

    async def run() -> None:
        applied: list[int | None] = []
        wall = [EIGHT - 3600]
        keeper = Keeper(applied.append, lambda: wall[0])
        keeper.keep(parse_limit("08:00-18:00=1M, 5M"))
        wall[0] = EIGHT + 60
        await asyncio.sleep(0.03)
        keeper.close()
        assert applied[-1] == MIB

    asyncio.run(run())


def test_what_was_replaced_is_kept_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_AGAIN_S", 0.01)

    async def run() -> None:
        applied: list[int | None] = []
        keeper = Keeper(applied.append, lambda: 0.0)
        keeper.keep(parse_limit("08:00-18:00=1M, 5M"))
        keeper.keep(None)
        await asyncio.sleep(0.03)
        assert applied == [5 * MIB, None]

    asyncio.run(run())


def test_the_wall_clock_is_local_time() -> None:
    local = time.localtime()
    expected = local.tm_wday * DAY_S + local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec
    assert pacing.second_of_week() == pytest.approx(expected, abs=2.0)


@pytest.mark.parametrize("options", [{"limit": 4 * MIB}, {"task_limit": 4 * MIB}, {"limit": parse_limit("mon-sun=4M")}])
def test_a_limit_holds_for_ranges(tmp_path: Path, options: dict[str, Any], server: LoopbackServer) -> None:
    server.resources["/file"] = generated(2 * MIB)
    watch = Stopwatch()
    result = fetch(server.url("/file"), tmp_path, **options)
    assert len(content_of(result)) == 2 * MIB
    assert watch.wall_s > 0.4
    assert watch.took_s < 1.5
    assert result.wasted_bytes == 0


def test_a_limit_that_one_connection_reaches_gets_no_more_of_them(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further one would bring nothing, and what lies unread in its socket buffers was sent in vain."""
    monkeypatch.setattr(driver, "TICK_S", 0.1)
    server.resources["/file"] = generated(8 * MIB)
    result = fetch(server.url("/file"), tmp_path, limit=4 * MIB)
    assert result.error is None
    assert server.connections == 1
    assert server.total_sent == 8 * MIB


def test_a_limit_holds_for_a_small_file_and_is_no_silence(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = generated(100 * KIB)
    began = time.monotonic()
    result = fetch(server.url("/file"), tmp_path, limit=200 * KIB, timeout=0.2)
    assert result.error is None
    assert time.monotonic() - began > 0.3


def test_a_limit_that_slows_lanes_down_is_no_silence(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = generated(512 * KIB)
    result = fetch(server.url("/file"), tmp_path, limit=512 * KIB, timeout=0.2)
    assert result.error is None
    assert result.wasted_bytes == 0


def test_limits_change_while_it_runs(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = generated(64 * MIB)

    async def run() -> None:
        async with Client(Options(dir=str(tmp_path), limit=200 * KIB)) as client:
            task = client.add(server.url("/file"))

            async def measured(seconds: float) -> float:
                before = task.progress().done_bytes
                await asyncio.sleep(seconds)
                return (task.progress().done_bytes - before) / seconds

            await asyncio.sleep(0.3)
            assert await measured(0.3) < 300 * KIB
            client.change_limit("4M")
            await asyncio.sleep(0.2)
            assert 3 * MIB < await measured(0.4) < 5 * MIB
            task.change_limit(500 * KIB)
            await asyncio.sleep(0.2)
            assert 350 * KIB < await measured(0.4) < 750 * KIB
            task.change_limit(None)
            client.change_limit("00:00-24:00=0")
            result = await task
            assert result.wasted_bytes == 0

    asyncio.run(run())


def test_downloads_share_a_limit_whatever_their_lanes(tmp_path: Path, server: LoopbackServer) -> None:
    for name in ("/one", "/two", "/three"):
        server.resources[name] = generated(16 * MIB)

    async def run() -> None:
        async with Client(Options(dir=str(tmp_path), limit=3 * MIB)) as client:
            tasks = [client.add(server.url(name)) for name in ("/one", "/two")]
            tasks.append(client.add(server.url("/three"), priority="high"))
            await asyncio.sleep(0.6)
            before = [task.progress().done_bytes for task in tasks]
            await asyncio.sleep(1.0)
            got = [task.progress().done_bytes - was for task, was in zip(tasks, before, strict=True)]
            shares = [each / sum(got) for each in got]
            assert shares == pytest.approx([1 / 5, 1 / 5, 3 / 5], abs=0.06)
            assert sum(got) == pytest.approx(3 * MIB, rel=0.2)

    asyncio.run(run())


def test_a_limit_holds_for_a_coded_body(tmp_path: Path, server: LoopbackServer) -> None:
    body = random.Random(1).randbytes(600 * KIB)
    coded = m.together(m.no_ranges, m.gzip_coded)
    server.resources["/file"] = Resource(body=body, behaviour=coded)
    began = time.monotonic()
    assert content_of(fetch(server.url("/file"), tmp_path, limit=1024 * KIB)) == body
    assert time.monotonic() - began > 0.4


def test_a_limit_holds_for_a_stream_in_one_go(server: LoopbackServer) -> None:
    body = random.Random(1).randbytes(600 * KIB)
    server.resources["/file"] = Resource(body=body, behaviour=m.no_ranges)

    async def run() -> bytes:
        async with Client(Options(limit=1024 * KIB)) as client:
            return b"".join([part async for part in client.stream(server.url("/file"))])

    began = time.monotonic()
    assert asyncio.run(run()) == body
    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize("limit", ["quick", -1, 0.5, "08:00=1M"])
def test_what_is_no_limit_is_refused(tmp_path: Path, limit: Any) -> None:
    async def run() -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            with pytest.raises(UsageError, match=r"^limit"):
                client.change_limit(limit)

    asyncio.run(run())
    with pytest.raises(UsageError, match="limit"):
        Options(task_limit=limit)
