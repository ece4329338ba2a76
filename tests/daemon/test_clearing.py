"""Tasks removed with their files: what is theirs goes, whatever happened to the daemon meanwhile; nothing else does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.daemon.runs import ended, running, until
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import headers, stall_after, together
from thunderdl.daemon.clearing import remove_with_files
from thunderdl.daemon.documents import wishes_of
from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.options import Exists
from thunderdl.timetable import DAYS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 0.05)


@pytest.fixture
def half(server: LoopbackServer) -> str:
    """The URL of a file of which half comes."""
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    return server.url("/half")


async def begun(queue: Queue, url: str, category: str = "") -> Job:
    (job,) = await queue.add([Wish(urls=(url,), category=category)])
    await until(lambda: (seen := queue.progress(job)) and seen.done_bytes)
    return job


def another_day() -> dict[str, str]:
    return {"hours": json.dumps(DAYS[(time.localtime().tm_wday + 3) % 7])}


def test_a_part_goes_with_a_task_that_waits_after_a_kill(tmp_path: Path, half: str) -> None:
    async def before() -> None:
        async with running(tmp_path) as queue:
            job = await begun(queue, half)
            await until(lambda: job.outcome)
            await queue.store.save_settings(another_day())
            await asyncio.to_thread(shutil.copytree, tmp_path / "state", tmp_path / "copied")

    async def after() -> None:
        async with running(tmp_path) as queue:
            (job,) = queue.waiting()
            assert os.listdir(tmp_path / "out") != []
            await remove_with_files(queue, job)

    asyncio.run(before())
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copied").rename(tmp_path / "state")
    asyncio.run(after())
    assert os.listdir(tmp_path / "out") == []


def test_what_it_is_called_is_written_down_as_soon_as_its_part_is_there(
    tmp_path: Path, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 60.0)

    async def run() -> None:
        async with running(tmp_path) as queue:
            job = await begun(queue, half)
            await queue.store.save([])
            (kept,) = await queue.store.open_jobs()
            assert (kept.gid, kept.outcome and kept.outcome.name) == (job.gid, "half")

    asyncio.run(run())


def test_a_part_goes_with_a_task_whose_server_is_gone_when_it_goes_on(
    tmp_path: Path, server: LoopbackServer, half: str
) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            server.resources["/half"].behaviour = together(
                headers(("Content-Disposition", 'attachment; filename="other.bin"')), stall_after(1 << 18)
            )
            job = await begun(queue, half)
            await queue.pause([job])
            await until(lambda: job.state is State.PAUSED)
            del server.resources["/half"]
            await queue.resume([job])
            await ended(job)
            assert job.state is State.FAILED
            await remove_with_files(queue, job)

    asyncio.run(run())
    assert os.listdir(tmp_path / "out") == []


def test_a_part_goes_with_a_task_that_could_not_be_begun_again(tmp_path: Path, half: str) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            await queue.change_rules({"categories": {"iso": ""}})
            job = await begun(queue, half, "iso")
            await queue.pause([job])
            await until(lambda: job.state is State.PAUSED)
            await queue.change_rules({"categories": {}})
            await queue.resume([job])
            assert job.state is State.FAILED
            await queue.change_rules({"categories": {"iso": ""}})
            await remove_with_files(queue, job)

    asyncio.run(run())
    assert os.listdir(tmp_path / "out") == []


def test_a_file_that_was_there_before_stays(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * 1000)

    async def run() -> None:
        async with running(tmp_path, exists=Exists.SKIP) as queue:
            (tmp_path / "out" / "file").write_text("the user's")
            (job,) = await queue.add([Wish(urls=(server.url("/file"),))])
            await ended(job)
            assert job.state is State.COMPLETE
            await remove_with_files(queue, job)
            assert queue.ended() == []

    asyncio.run(run())
    assert (tmp_path / "out" / "file").read_text() == "the user's"


@pytest.mark.parametrize("is_named_by", ["option", "metalink"])
@pytest.mark.parametrize("then", ["pause", "remove"])
def test_a_part_goes_that_is_below_a_folder_of_its_name(tmp_path: Path, half: str, then: str, is_named_by: str) -> None:
    file = f'<file name="deep/er/x.bin"><url>{half}</url></file>'
    document = f'<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">{file}</metalink>'

    async def run() -> None:
        async with running(tmp_path) as queue:
            wishes = [Wish(urls=(half,), options={"out": "deep/er/x.bin"})]
            if is_named_by == "metalink":
                wishes = await wishes_of(queue, document.encode())
            (job,) = await queue.add(wishes)
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes)
            await (queue.pause([job]) if then == "pause" else queue.remove(job))
            await until(lambda: job.state is not State.ACTIVE)
            assert os.listdir(tmp_path / "out" / "deep" / "er") != []
            await remove_with_files(queue, job)

    asyncio.run(run())
    assert os.listdir(tmp_path / "out" / "deep" / "er") == []
