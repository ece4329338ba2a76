"""What a thread opens for somebody who has been cancelled meanwhile is closed again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer
from thunderdl.client import Client, Task
from thunderdl.engine.driver import Driver
from thunderdl.engine.ranged import Ranged
from thunderdl.model import Status
from thunderdl.options import Options


@pytest.mark.parametrize("stops", [1, 3])
def test_what_is_opened_for_a_cancelled_one_is_let_go_before_it_has_ended(stops: int) -> None:
    """However often it is cancelled while it waits: who ends a client may not know that its download was stopped."""
    began, go_on = threading.Event(), threading.Event()
    let_go: list[str] = []

    def work() -> str:
        began.set()
        go_on.wait(LIMIT_S)
        return "opened"

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Client() as client:
            opening = asyncio.create_task(client.session.opened(let_go.append, work))
            await asyncio.to_thread(began.wait, LIMIT_S)
            for _ in range(stops):
                opening.cancel()
                await _heard()
            waited = not opening.done() and not let_go
            go_on.set()
            assert waited
            with pytest.raises(asyncio.CancelledError):
                await opening
            assert let_go == ["opened"]

    asyncio.run(run())


@pytest.mark.parametrize("stops", [1, 3])
def test_who_was_cancelled_ends_after_the_work_that_is_waited_for_to_its_end(stops: int) -> None:
    """Also where the work fails: that it was cancelled is what is told."""
    began, go_on = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go_on.wait(LIMIT_S)
        raise OSError(28, "No space left on device")

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Client() as client:
            ending = asyncio.create_task(client.session.to_its_end(work))
            await asyncio.to_thread(began.wait, LIMIT_S)
            for _ in range(stops):
                ending.cancel()
                await _heard()
            waited = not ending.done()
            go_on.set()
            assert waited
            with pytest.raises(asyncio.CancelledError):
                await ending

    asyncio.run(run())


def test_a_stream_whose_reader_is_cancelled_again_as_it_ends_gives_back_its_connections(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.resources["/f"] = generated(16 << 20, behaviour=m.stall_after(8 << 20))
    stop = Driver.stop

    async def run() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(driver: Driver) -> None:
            began.set()
            await go_on.wait()
            await stop(driver)

        async def read(client: Client) -> None:
            async for _ in client.stream(server.url("/f")):
                reading.cancel()

        monkeypatch.setattr(Driver, "stop", slowly)
        async with asyncio.timeout(LIMIT_S), Client(Options(retries=0)) as client:
            reading = asyncio.create_task(read(client))
            await began.wait()
            reading.cancel()
            await _heard()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert not client.session.pool.taken
            assert not any(mover.attached for mover in client.session.pool._movers)

    asyncio.run(run())


@pytest.mark.parametrize("stop", [Task.pause, Task.cancel])
def test_a_download_that_is_stopped_while_it_fails_leaves_its_file_to_the_next(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, stop: Callable[[Task], None]
) -> None:
    """It was on its way out already, with its file still open and locked."""
    whole = generated(8 << 20)
    server.resources["/f"] = replace(whole, behaviour=m.after(1, m.status(404)))
    leave = Ranged.leave

    async def run() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(ranged: Ranged) -> None:
            began.set()
            await go_on.wait()
            await leave(ranged)

        monkeypatch.setattr(Ranged, "leave", slowly)
        options = Options(dir=str(tmp_path), retries=0, connections=1, checksum_files=False)
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            task = client.add(server.url("/f"))
            await began.wait()
            stop(task)
            await _heard()
            go_on.set()
            server.resources["/f"] = whole
            if stop is Task.pause:
                async for progress in task:
                    if progress.status is Status.PAUSED:
                        break
                task.resume()
            else:
                await task.outcome()
                task = client.add(server.url("/f"))
            result = await task.outcome()
            assert result.status is Status.COMPLETE, result.error
            assert result.resumed_bytes

    asyncio.run(run())


async def _heard() -> None:
    """The loop has gone round often enough for a task to have had its cancellation, and to have ended by it."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_nobody_writes_to_the_file_of_a_stream_that_was_stopped(tmp_path: Path, server: LoopbackServer) -> None:
    """Its descriptor is soon that of another file; and its place at the host is free."""
    server.resources["/f"] = generated(8 << 20, behaviour=m.together(m.no_ranges, m.chunked, m.stall_after(4 << 20)))

    async def run() -> None:
        options = Options(dir=str(tmp_path), retries=0, checksum_files=False)
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            task = client.add(server.url("/f"))
            async for progress in task:
                if progress.done_bytes >= 1 << 20:
                    task.cancel()
            await task.outcome()
            assert not client.session.pool.taken
            assert not any(mover.attached for mover in client.session.pool._movers)

    asyncio.run(run())
