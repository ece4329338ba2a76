"""A file that got its final name right before a crash is not fetched again."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tests.daemon.runs import ended, running, until
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.client import Client
from thunderdl.daemon.claims import claim_of, finished_by
from thunderdl.daemon.jobs import Claim, Job, State, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.model import Status
from thunderdl.options import Options
from thunderdl.storage.files import JOURNAL_SUFFIX
from thunderdl.task import Request


def claimed(path: Path) -> Claim:
    fd = os.open(path, os.O_RDONLY)
    try:
        return claim_of(fd, str(path.parent))
    finally:
        os.close(fd)


def test_who_has_the_name_is_found_whatever_the_name_became(tmp_path: Path) -> None:
    part = tmp_path / "f.part"
    part.write_bytes(b"content")
    claim = claimed(part)
    assert finished_by(claim) is None
    part.rename(tmp_path / "f (1)")
    assert finished_by(claim) == str(tmp_path / "f (1)")


def test_between_its_two_names_it_is_finished_and_the_first_one_goes(tmp_path: Path) -> None:
    part, final = tmp_path / "f.part", tmp_path / "f"
    part.write_bytes(b"content")
    claim = claimed(part)
    os.link(part, final)
    (tmp_path / "f.part").with_name("f.part" + JOURNAL_SUFFIX).write_bytes(b"journal")
    assert finished_by(claim) == str(final)
    assert os.listdir(tmp_path) == ["f"]


def test_another_file_of_that_inode_or_size_is_not_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"content")
    claim = claimed(path)
    path.write_bytes(b"longer content")
    assert finished_by(claim) is None
    path.unlink()
    assert finished_by(claim) is None
    gone = Claim(device=1, inode=1, folder=str(tmp_path / "gone"), size_bytes=1, modified_ns=1)
    assert finished_by(gone) is None


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_came_later_under_its_inode_is_not_it(tmp_path: Path, is_folder: bool) -> None:
    """The part was cleared away, and something else of the same size got its place on the disk."""
    path = tmp_path / "f"
    path.mkdir() if is_folder else path.write_bytes(b"content")
    claim = claimed(path)
    os.utime(path, ns=(1, claim.modified_ns + 1))
    assert finished_by(claim) is None


@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_after_a_crash_behind_the_name_the_task_is_complete(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = Resource(body=os.urandom(size))

    async def before(monkeypatch: pytest.MonkeyPatch) -> str:
        async with running(tmp_path) as queue:
            # As if it were killed right then: nothing of the end is written.
            monkeypatch.setattr(queue, "_is_over", lambda job, result: None)
            (job,) = await queue.add([Wish(urls=(server.url("/f"),))])
            await until((tmp_path / "out" / "f").exists)
            return job.gid

    async def after(gid: str) -> tuple[Queue, Job]:
        async with running(tmp_path) as queue:
            job = queue.find(gid)
            await ended(job)
            return queue, job

    with pytest.MonkeyPatch.context() as monkeypatch:
        gid = asyncio.run(before(monkeypatch))
    asked = len(server.requests)
    _, job = asyncio.run(after(gid))
    assert job.state is State.COMPLETE
    assert job.outcome is not None
    assert job.outcome.path == str(tmp_path / "out" / "f")
    assert len(server.requests) == asked
    assert os.listdir(tmp_path / "out") == ["f"]


def test_a_claimed_part_that_got_no_name_is_fetched_to_its_end(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x" * 100)

    part = tmp_path / "out" / "f.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 50)

    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([Wish(urls=(server.url("/f"),))], paused=True)
            job.claim, job.state = claimed(part), State.ACTIVE
            await queue.store.save([job])
        async with running(tmp_path) as queue:
            (job,) = (queue.find(job.gid),)
            await ended(job)
            assert job.state is State.COMPLETE

    asyncio.run(run())
    assert os.listdir(tmp_path / "out") == ["f"]


def test_one_that_was_paused_as_it_got_its_name_is_complete(tmp_path: Path) -> None:
    final = tmp_path / "out" / "f"
    final.parent.mkdir()
    final.write_bytes(b"content")

    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([Wish(urls=("http://h/f",))], paused=True)
            job.claim = claimed(final)
            await queue.store.save([job])
        async with running(tmp_path) as queue:
            assert queue.find(job.gid).state is State.COMPLETE

    asyncio.run(run())


def test_no_claim_is_waited_for_on_the_loop(tmp_path: Path, server: LoopbackServer) -> None:
    """Its disk may be slow: nothing of the daemon would answer meanwhile."""
    server.resources["/f"] = Resource(body=b"small")
    threads: list[threading.Thread] = []

    async def run() -> None:
        async with Client(Options(dir=str(tmp_path), checksum_files=False)) as client:
            request = Request(server.url("/f"), on_commit=lambda fd: threads.append(threading.current_thread()))
            assert (await client.begin(request)).status is Status.COMPLETE

    asyncio.run(run())
    assert threads
    assert threading.main_thread() not in threads
