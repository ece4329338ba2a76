"""What happens by the clock goes on, whatever one time of it meets, and the log says what that was."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.runs import LIMIT_S, ended, running, until
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.cli.serving import _Told
from thunderdl.daemon.jobs import State, Wish
from thunderdl.daemon.ticking import every
from thunderdl.daemon.watching import Watcher

BUG = RuntimeError("what nobody foresaw")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 0.01)
    monkeypatch.setattr("thunderdl.daemon.watching.LOOK_S", 0.01)


def test_a_task_that_comes_due_begins_whatever_another_work_of_the_clock_meets(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    server.resources["/f"] = Resource(body=b"x" * 10)

    async def run() -> None:
        async with running(tmp_path) as queue:
            kept = asyncio.Event()

            def keep(*_: object) -> Any:
                kept.set()
                raise BUG

            monkeypatch.setattr(queue._shares, "keep", keep)
            due = time.time() + 1_000_000
            (job,) = await queue.add([Wish(urls=(server.url("/f"),), not_before=due)])
            await kept.wait()
            assert job in queue.waiting()
            monkeypatch.setattr(queue, "_clock", lambda: due)
            await ended(job)
            assert job.state is State.COMPLETE
            assert len(queue.notes) == 1
            assert "RuntimeError: what nobody foresaw" in queue.notes[0]

    asyncio.run(run())


@pytest.mark.parametrize(("path", "state"), [("/f", State.COMPLETE), ("/gone", State.FAILED)])
@pytest.mark.parametrize("place", ["thunderdl.daemon.queue.outcome_of", "thunderdl.daemon.shares.Shares.ended"])
def test_a_task_ends_whatever_its_end_meets(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, place: str, path: str, state: State
) -> None:  # fmt: skip
    """In no list it could neither be seen, nor stopped, nor tried again."""
    server.resources["/f"] = Resource(body=b"x" * 10)

    def meets(*_: object) -> Any:
        raise BUG

    async def run() -> None:
        async with running(tmp_path) as queue:
            monkeypatch.setattr(place, meets)
            (job,) = await queue.add([Wish(urls=(server.url(path),))])
            await ended(job)
            monkeypatch.undo()
            assert (job.state, list(queue.ended()), list(queue.active())) == (state, [job], [])
            assert job.outcome is not None
            assert (job.outcome.path is not None) is (path == "/f")
            assert "RuntimeError: what nobody foresaw" in queue.notes[0]

    asyncio.run(run())


def test_a_watch_folder_is_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            watcher, notes, looks = Watcher([str(tmp_path)]), list[str](), list[object]()

            def look(*_: object) -> Any:
                looks.append(None)
                raise BUG

            monkeypatch.setattr(watcher, "look", look)
            watching = asyncio.create_task(watcher.watch(queue, notes))
            await until(lambda: len(looks) > 2 or watching.done())
            assert not watching.done()
            watching.cancel()
            assert len(notes) == 1

    asyncio.run(run())


def test_what_goes_wrong_is_told_again_where_it_is_another_or_had_been_well() -> None:
    meets = iter([BUG, BUG, ValueError("other"), None, ValueError("other"), None])
    notes, done = list[str](), asyncio.Event()

    def work() -> None:
        if error := next(meets):
            raise error

    def tell(note: str) -> None:
        notes.append(note)
        if len(notes) == 3:
            done.set()

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S):
            ticking = asyncio.create_task(every(0, (work,), tell))
            await done.wait()
            ticking.cancel()

    asyncio.run(run())
    assert [note.partition("not: ")[2].partition(" –")[0] for note in notes] == [
        "RuntimeError: what nobody foresaw", "ValueError: other", "ValueError: other",
    ]  # fmt: skip


def test_a_log_on_a_full_disk_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: str) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    _Told().append("what went wrong")
