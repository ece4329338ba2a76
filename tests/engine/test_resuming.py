"""Stopping and going on: cancel, pause, kill, torn and foreign journals, a second process, a clock that jumps."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.engine.runs import (
    LIMIT_S,
    SHORT_S,
    content_of,
    drive,
    failed,
    fetch,
    names,
    piece_hashes,
    sha256,
)
from tests.engine.stopped import CONTENT, CUT, KEPT, SIZE, stop_midway
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.client import Client, Task
from thunderdl.errors import Cancelled, StorageError, TargetLocked
from thunderdl.model import Progress, Result, Status
from thunderdl.options import Options


def asked_bytes(server: LoopbackServer) -> int:
    """Bytes that the logged requests asked for, of the file's own."""
    spans = [(request.header("Range") or f"bytes=0-{SIZE - 1}").removeprefix("bytes=") for request in server.requests]
    bounds = [tuple(map(int, span.split("-"))) for span in spans]
    return sum(min(last + 1, SIZE) - first for first, last in bounds)


def test_cancel_and_go_on(tmp_path: Path, server: LoopbackServer) -> None:
    stopped = stop_midway(server, tmp_path)
    assert stopped.status is Status.CANCELLED
    assert isinstance(stopped.error, Cancelled)
    assert stopped.error.exit_code == 130
    result = fetch(server.url("/f"), tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert CUT <= result.resumed_bytes < SIZE
    assert names(tmp_path) == ["f"]


def test_few_bytes_are_asked_for_twice(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    # One lane: no stealing, so that what is asked for is what is fetched.
    result = fetch(server.url("/f"), tmp_path, per_host=1)
    assert content_of(result) == CONTENT
    # The first request asks for 1 MiB, whatever the gap is.
    assert asked_bytes(server) <= SIZE - result.resumed_bytes + 1024 * 1024


def test_stopped_again_and_again(tmp_path: Path, server: LoopbackServer) -> None:
    for _ in range(5):
        stop_midway(server, tmp_path)
        assert (tmp_path / "f.part.journal").stat().st_size < 100_000
    assert content_of(fetch(server.url("/f"), tmp_path, checksum=sha256(CONTENT))) == CONTENT


def test_a_cancel_before_the_first_byte_leaves_nothing(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, behaviour=m.silence)

    async def script(task: Task) -> Result:
        await asyncio.to_thread(server.wait_for, lambda s: bool(s.requests))
        task.cancel()
        return await task.outcome()

    assert drive(script, server.url("/f"), tmp_path).status is Status.CANCELLED
    assert names(tmp_path) == []


def test_pause_and_resume(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))
    seen: list[Progress] = []

    async def script(task: Task) -> Result:
        paused = False
        async for progress in task:
            seen.append(progress)
            if progress.done_bytes >= CUT and not paused:
                task.pause()
                task.pause()
                paused = True
            if progress.status is Status.PAUSED:
                assert names(tmp_path) == KEPT
                server.release.set()
                task.resume()
                task.resume()
        return await task.outcome()

    result = drive(script, server.url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes >= CUT
    assert Status.PAUSED in {progress.status for progress in seen}
    assert seen[-1].status is Status.COMPLETE


def test_resume_before_the_pause_has_taken_effect(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.first(1, m.stall_after(CUT)))

    async def script(task: Task) -> Result:
        async for progress in task:
            if progress.done_bytes >= CUT and not server.release.is_set():
                task.pause()
                task.resume()
                server.release.set()
        return await task.outcome()

    result = drive(script, server.url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes >= CUT


def test_cancelled_twice_it_still_leaves_in_order(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))

    async def script(task: Task) -> Result:
        async for progress in task:
            if progress.done_bytes >= CUT:
                for _ in range(5):
                    task.cancel()
                    await asyncio.sleep(0)
        return await task.outcome()

    assert drive(script, server.url("/f"), tmp_path).status is Status.CANCELLED
    assert names(tmp_path) == KEPT
    server.release.set()
    assert fetch(server.url("/f"), tmp_path).resumed_bytes >= CUT


def test_cancel_while_paused(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))

    async def script(task: Task) -> Result:
        async for progress in task:
            if progress.status is Status.PAUSED:
                task.cancel()
            elif progress.done_bytes >= CUT:
                task.pause()
        return await task.outcome()

    assert drive(script, server.url("/f"), tmp_path).status is Status.CANCELLED
    assert names(tmp_path) == KEPT


def test_its_outcome_is_there_when_those_who_waited_before_have_heard(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))

    async def script(task: Task) -> Result:
        heard: list[Result] = []
        task.over.add_done_callback(lambda over: heard.append(over.result()))
        async for progress in task:
            if progress.status is Status.PAUSED:
                # It ends at once.
                task.cancel()
                break
            if progress.done_bytes >= CUT:
                task.pause()
        assert not heard
        result = await task.outcome()
        assert heard == [result]
        return result

    assert drive(script, server.url("/f"), tmp_path).status is Status.CANCELLED


def test_leaving_the_client_stops_what_runs(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))

    async def run() -> Result:
        async with asyncio.timeout(LIMIT_S), Client(Options(dir=str(tmp_path))) as client:
            task = client.add(server.url("/f"))
            async for progress in task:
                if progress.done_bytes >= CUT:
                    break
        return await task.outcome()

    assert asyncio.run(run()).status is Status.CANCELLED
    assert names(tmp_path) == KEPT


def test_a_client_that_is_left_and_cancelled_again_ends_its_threads(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))

    async def use(has_begun: asyncio.Event) -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            async for progress in client.add(server.url("/f")):
                if progress.done_bytes >= CUT:
                    has_begun.set()
                    await asyncio.Future()

    async def run() -> None:
        before, has_begun = set(threading.enumerate()), asyncio.Event()
        user = asyncio.create_task(use(has_begun))
        async with asyncio.timeout(LIMIT_S):
            await has_begun.wait()
            for _ in range(5):
                user.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await user
        left = [thread.name for thread in set(threading.enumerate()) - before]
        assert not [name for name in left if name.startswith("thunderdl")], left

    asyncio.run(run())
    assert names(tmp_path) == KEPT


def test_the_last_checks_after_a_stop_need_no_server(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1)
    # Every byte is there when the checksum turns out to be mistyped.
    assert fetch(server.url("/f"), tmp_path, checksum=sha256(b"wrong")).error is not None
    assert names(tmp_path) == KEPT
    server.die()
    result = fetch(server.url("/f"), tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes == SIZE


def test_bytes_damaged_on_the_disk_are_found_by_piece_hashes(tmp_path: Path, server: LoopbackServer) -> None:
    hashes = piece_hashes(CONTENT)
    stop_midway(server, tmp_path, piece_hashes=hashes)
    with (tmp_path / "f.part").open("r+b") as part:
        part.seek(70_000)
        part.write(b"rotten")
    assert content_of(fetch(server.url("/f"), tmp_path, piece_hashes=hashes)) == CONTENT


PROGRAM = """
import sys, thunderdl
result = thunderdl.get(sys.argv[1], sys.argv[2], retries=0, timeout=20)
"""


def test_a_second_process_on_one_target(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))
    with subprocess.Popen([sys.executable, "-c", PROGRAM, server.url("/f"), str(tmp_path)]) as first:
        server.wait_for(lambda s: s.sent["/f"] >= CUT, LIMIT_S)
        while not (tmp_path / "f.part.journal").exists():
            os.sched_yield()
        result = fetch(server.url("/f"), tmp_path)
        failed(result, TargetLocked, 11, str(first.pid) if sys.platform == "linux" else "")
        server.release.set()
        assert first.wait(LIMIT_S) == 0
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert names(tmp_path) == ["f"]


def test_two_tasks_of_one_client_on_one_target(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1)

    async def run() -> list[Result]:
        async with asyncio.timeout(LIMIT_S), Client(Options(dir=str(tmp_path), retries=0)) as client:
            tasks = [client.add(server.url("/f")) for _ in range(2)]
            return [await task.outcome() for task in tasks]

    results = asyncio.run(run())
    assert sorted(result.status.value for result in results) == ["complete", "failed"]
    assert all(isinstance(result.error, StorageError | None) or "exists" in str(result.error) for result in results)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_killed_and_gone_on(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))
    with subprocess.Popen([sys.executable, "-c", PROGRAM, server.url("/f"), str(tmp_path)]) as killed:
        server.wait_for(lambda s: s.sent["/f"] >= 2 * CUT, LIMIT_S)
        killed.send_signal(signal.SIGKILL)
    assert "f" not in names(tmp_path)
    server.release.set()
    server.resources["/f"] = generated(SIZE, seed=1)
    assert content_of(fetch(server.url("/f"), tmp_path, checksum=sha256(CONTENT))) == CONTENT


@pytest.mark.parametrize("jump_s", [-10_000_000_000, -86_400, 86_400, 10_000_000_000])
def test_a_clock_that_jumps(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    real = time.time
    calls = iter(range(1 << 30))
    # Back and forth with every look.
    monkeypatch.setattr(time, "time", lambda: real() + (jump_s if next(calls) % 2 else 0))
    stop_midway(server, tmp_path)
    result = fetch(server.url("/f"), tmp_path, timeout=2.0)
    assert content_of(result) == CONTENT
    assert 0 <= result.seconds < LIMIT_S


def test_memory_does_not_grow_with_the_file(tmp_path: Path, server: LoopbackServer) -> None:
    size = 24 * 1024 * 1024
    server.resources["/f"] = generated(size, seed=1)
    fetch(server.url("/f"), tmp_path / "warm")
    tracemalloc.start()
    try:
        assert fetch(server.url("/f"), tmp_path / "a").error is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two movers' buffers, the server's own blocks for each connection, and little else.
    assert peak < 16 * 1024 * 1024


def test_progress_is_steady(tmp_path: Path) -> None:
    seen: list[Progress] = []

    async def script(task: Task) -> Result:
        async for progress in task:
            seen.append(progress)
        return await task.outcome()

    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=Limits(rate_bytes_per_s=10 * SIZE)) as server:
        result = drive(script, server.url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert seen[-1].done_bytes == SIZE
    assert seen[-1].status is Status.COMPLETE
    assert set(seen[-1].piece_map) == {255}
    assert all(progress.size_bytes in (None, SIZE) for progress in seen)


def test_a_limit_holds(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1)
    result = fetch(server.url("/f"), tmp_path, limit=8 * SIZE)
    assert content_of(result) == CONTENT
    assert result.seconds > SHORT_S / 5
