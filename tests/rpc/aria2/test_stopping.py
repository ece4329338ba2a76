"""What clients are told of a task that is being stopped, by the first question that comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.daemon.runs import LIMIT_S, until
from tests.rpc.aria2.service import Service, serving
from tests.rpc.aria2.test_calling import URI
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.rpc.aria2 import stopping
from thunderdl.rpc.aria2.methods import METHODS
from thunderdl.rpc.aria2.session import Session
from thunderdl.task import Task

PAUSES = [("pause", "paused"), ("forcePause", "paused"), ("pauseAll", "paused"), ("forcePauseAll", "paused")]
STEERED = [*PAUSES, ("remove", "removed"), ("forceRemove", "removed")]
KEYS = ["gid", "status"]


class Held:
    """Stops that are asked for happen when they are let go."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.has_let_go = False

    def let_go(self) -> None:
        self.has_let_go = True
        for task in self.tasks:
            _CANCEL(task)


_CANCEL = Task.cancel


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    stops = Held()

    def cancel(task: Task) -> None:
        if stops.has_let_go:
            _CANCEL(task)
        else:
            stops.tasks.append(task)

    monkeypatch.setattr(Task, "cancel", cancel)
    # Only the test that is about the limit has one that may pass.
    monkeypatch.setattr(stopping, "STOP_S", LIMIT_S)
    return stops


@asynccontextmanager
async def one_runs(folder: Path, server: LoopbackServer) -> AsyncIterator[tuple[Service, Session, str]]:
    """And two are paused."""
    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))
    async with serving(folder) as service:
        await service.call("aria2.addUri", [URI], {"pause": "true"})
        gid = str(await service.call("aria2.addUri", [server.url("/s")]))
        await service.call("aria2.addUri", [URI], {"pause": "true"})
        job = service.queue.find(gid)
        await until(lambda: (seen := service.queue.progress(job)) and seen.done_bytes > 1_000_000)
        yield service, service.app._session, gid


async def asked(session: Session, method: str, *params: object) -> object:
    values = [*params, *[None] * (len(METHODS[f"aria2.{method}"].params) - len(params))]
    return await METHODS[f"aria2.{method}"].run(session, *values)


@contextmanager
def ended_by(held: Held) -> Iterator[None]:
    try:
        yield
    finally:
        held.let_go()


@pytest.mark.parametrize(("method", "state"), STEERED, ids=[name for name, _ in STEERED])
def test_the_first_questions_are_answered_by_the_state_that_it_was_stopped_for(
    method: str, state: str, held: Held, tmp_path: Path, server: LoopbackServer
) -> None:
    async def run() -> None:
        async with one_runs(tmp_path, server) as (service, session, gid):
            before, after = [job.gid for job in service.queue.waiting()]
            with ended_by(held):
                await service.call(f"aria2.{method}", *([] if method.endswith("All") else [gid]))
                assert len(held.tasks) == 1
                questions = [
                    asked(session, "tellStatus", gid, KEYS), asked(session, "tellActive", KEYS),
                    asked(session, "tellWaiting", 0, 9, KEYS), asked(session, "tellStopped", 0, 9, KEYS),
                    asked(session, "getGlobalStat"),
                ]  # fmt: skip
                telling = [asyncio.ensure_future(each) for each in questions]
                # All of them are asked, and nothing has stopped.
                await asyncio.sleep(0)
            status, active, waiting, ended, stat = await asyncio.gather(*telling)
            is_paused = state == "paused"
            line = [before, gid, after] if is_paused else [before, after]
            assert status == {"gid": gid, "status": state}
            assert active == []
            assert waiting == [{"gid": each, "status": "paused"} for each in line]
            assert ended == ([] if is_paused else [{"gid": gid, "status": state}])
            assert isinstance(stat, dict)
            counts = [stat[name] for name in ("numActive", "numWaiting", "numStopped")]
            assert counts == ["0", str(len(line)), "0" if is_paused else "1"]

    asyncio.run(run())


def test_what_does_not_stop_is_told_as_running_in_every_answer_and_is_waited_for_once(
    held: Held, tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_S", 0.01)

    async def run() -> None:
        async with one_runs(tmp_path, server) as (service, session, gid):
            with ended_by(held):
                await service.call("aria2.pause", gid)
                mine = {"gid": gid, "status": "active"}
                assert await service.call("aria2.tellStatus", gid, KEYS) == mine
                monkeypatch.setattr(stopping, "STOP_S", None)
                assert await service.call("aria2.tellActive", KEYS) == [mine]
                assert mine not in await service.call("aria2.tellWaiting", 0, 9, KEYS)
                assert (await service.call("aria2.getGlobalStat"))["numActive"] == "1"
            await until(lambda: service.queue.task(service.queue.find(gid)) is None)
            assert (await service.call("aria2.tellStatus", gid))["status"] == "paused"
            assert session.slow == set()

    asyncio.run(run())


def test_one_that_goes_on_as_it_is_stopped_is_not_waited_for(
    held: Held, tmp_path: Path, server: LoopbackServer
) -> None:
    async def run() -> None:
        async with one_runs(tmp_path, server) as (service, _, gid):
            with ended_by(held):
                await service.call("aria2.pause", gid)
                await service.call("aria2.unpause", gid)
                assert (await service.call("aria2.tellStatus", gid))["status"] == "active"

    asyncio.run(run())


def test_of_one_that_was_removed_there_are_no_uris(held: Held, tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with one_runs(tmp_path, server) as (service, session, gid):
            with ended_by(held):
                await service.call("aria2.remove", gid)
                telling = asyncio.create_task(asked(session, "getUris", gid))
                await asyncio.sleep(0)
            (told,) = await asyncio.gather(telling, return_exceptions=True)
            assert str(told) == f"No URI data is available for GID#{gid}"

    asyncio.run(run())
