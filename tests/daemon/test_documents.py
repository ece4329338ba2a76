"""Documents that are kept: for as long as a task names them."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tests.daemon.runs import hold, running
from thunderdl.daemon.jobs import Job, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.errors import DiskFull
from thunderdl.model import Whole


async def naming(queue: Queue, how: str) -> tuple[Job, str]:
    path = await queue.store.keep(f"d{how}".encode(), ".meta4" if how == "option" else ".torrent")
    link = "http://127.0.0.1:1/f"
    wishes = {
        "url": Wish(urls=(path,)), "whole": Wish(urls=(link,)),
        "option": Wish(urls=(link,), options={"metalink": path}),
    }  # fmt: skip
    (job,) = await queue.add([wishes[how]], paused=True)
    if how == "whole":
        job.whole = Whole(path="/f", size_bytes=1, torrent=path, since=0.0)
    return job, os.path.basename(path)


def kept(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "état" / "state" / "documents"))


@pytest.mark.parametrize("has_ended", [False, True])
@pytest.mark.parametrize("how", ["url", "option", "whole"])
def test_those_that_a_task_names_are_kept_until_it_is_forgotten(tmp_path: Path, how: str, has_ended: bool) -> None:
    folder = tmp_path / "état"
    folder.mkdir()

    async def before() -> str:
        async with running(folder) as queue:
            hold(queue)
            job, name = await naming(queue, how)
            if has_ended and how != "whole":
                await queue.remove(job)
            await queue.store.save([job])
            await queue.store.keep(b"dlooked into", ".torrent")
            (folder / "state" / "documents" / "other").write_text("not one of ours")
            return name

    async def forget() -> None:
        async with running(folder) as queue:
            job = [*queue.open(), *queue.ended()][0]
            if not job.state.has_ended:
                await queue.remove(job)
            await queue.forget([job])
            assert name in kept(tmp_path)

    async def after() -> None:
        async with running(folder):
            pass

    name = asyncio.run(before())
    assert len(kept(tmp_path)) == 3
    asyncio.run(forget())
    assert kept(tmp_path) == sorted([name, "other"])
    asyncio.run(after())
    assert kept(tmp_path) == ["other"]


def test_those_that_a_damaged_database_may_name_are_kept(tmp_path: Path) -> None:
    async def once() -> None:
        async with running(tmp_path) as queue:
            await queue.store.keep(b"dof a task", ".torrent")

    asyncio.run(once())
    (tmp_path / "state" / "queue.sqlite.damaged-20260101-000000").write_bytes(b"")
    documents = os.listdir(tmp_path / "state" / "documents")
    asyncio.run(once())
    assert os.listdir(tmp_path / "state" / "documents") == documents


def test_on_a_full_disk_one_is_to_be_added_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "")

    async def run() -> None:
        async with running(tmp_path) as queue:
            monkeypatch.setattr(os, "write", full)
            with pytest.raises(DiskFull) as caught:
                await queue.store.keep(b"d", ".torrent")
            monkeypatch.undo()
            assert caught.value.advice == "free some space, then add it again"

    asyncio.run(run())
