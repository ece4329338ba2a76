"""What is complete, checked again by the checksum that it was found right by."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from pathlib import Path

import pytest

from tests.daemon.runs import ended, running, until
from tests.servers.loopback import LoopbackServer, Resource
from tests.stopwatch import Stopwatch
from thunderdl.daemon import rechecking as module
from thunderdl.daemon.jobs import Job, Wish
from thunderdl.daemon.queue import NoSuchTask, NotNow, Queue
from thunderdl.daemon.rechecking import recheck
from thunderdl.model import Digest
from thunderdl.verify import hash_file


async def completed(queue: Queue, server: LoopbackServer, body: bytes = b"x" * 1000) -> Job:
    server.resources["/file"] = Resource(body=body)
    checksum = f"sha256={hashlib.sha256(body).hexdigest()}"
    (job,) = await queue.add([Wish(urls=(server.url("/file"),), options={"checksum": checksum})])
    await ended(job)
    return job


class Slow:
    """Hashing that takes until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        monkeypatch.setattr(module, "hash_file", self)

    def __call__(self, path: str, algorithm: str) -> Digest:
        self.begun.set()
        self.goes_on.wait(30)
        return hash_file(path, algorithm)


def test_the_end_does_not_wait_until_it_is_checked(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)

    async def run() -> None:
        async with running(tmp_path) as queue:
            checking = asyncio.create_task(recheck(queue, await completed(queue, server)))
            await until(slow.begun.is_set)
            checking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await checking

    watch = Stopwatch()
    asyncio.run(run())
    assert watch.took_s < 5
    slow.goes_on.set()


def test_what_is_forgotten_while_it_is_checked_does_not_come_back(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)

    async def run() -> None:
        async with running(tmp_path) as queue:
            job = await completed(queue, server)
            checking = asyncio.create_task(recheck(queue, job))
            await until(slow.begun.is_set)
            await queue.forget([job])
            with queue.events.listening() as heard:
                slow.goes_on.set()
                with pytest.raises(NoSuchTask):
                    await checking
                assert list(heard.waiting()) == []
            assert await queue.history() == []

    asyncio.run(run())


def test_nothing_is_changed_where_it_is_refused(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([Wish(urls=(server.url("/gone"),))])
            await ended(job)
            wish = job.wish
            with queue.reserving([job.gid]), pytest.raises(NotNow, match="is being forgotten"):
                await recheck(queue, job)
            assert job.wish is wish
            await recheck(queue, job)
            assert job.wish.options == {"verify_resumed": "yes"}

    asyncio.run(run())
