"""Watch folders: what settles is queued once, what cannot be used is set aside with a note."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemon.runs import hold, running
from tests.engine.runs import LIMIT_S
from thunderdl.daemon.jobs import Job, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.watching import Watcher
from thunderdl.errors import StorageError

METALINK = """<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">
<file name="a"><url>http://h/a</url></file><file name="b"><url>http://h/b</url></file></metalink>"""
MAGNET = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"


def looked(folder: Path, *, times: int = 2) -> tuple[list[str], list[str]]:
    """URLs in the queue after so many looks into ``folder/in``, and the notes."""

    async def run() -> tuple[list[str], list[str]]:
        async with running(folder) as queue:
            hold(queue)
            notes: list[str] = []
            watcher = Watcher([str(folder / "in"), str(folder / "absent")])
            for _ in range(times):
                await watcher.look(queue, notes)
            return [f"{job.wish.url}#{job.wish.options.get('files', '')}" for job in queue.waiting()], notes

    return asyncio.run(run())


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_links_and_documents_are_queued_once_they_have_settled(tmp_path: Path, inbox: Path) -> None:
    (inbox / "one.magnet").write_text(f"{MAGNET}\n\n")
    (inbox / "two.META4").write_text(METALINK)
    (inbox / "other.txt").write_text("http://h/f")
    assert looked(tmp_path, times=1) == ([], [])
    urls, notes = looked(tmp_path, times=3)
    assert notes == []
    assert urls[0].startswith(MAGNET)
    assert [url.rpartition("#")[2] for url in urls[1:]] == ["1", "2"]
    assert sorted(os.listdir(inbox)) == ["one.magnet.added", "other.txt", "two.META4.added"]


def test_one_that_still_grows_is_left_alone(tmp_path: Path, inbox: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            watcher, path = Watcher([str(inbox)]), inbox / "grows.magnet"
            for step in range(3):
                path.write_text(MAGNET[: 20 + step])
                await watcher.look(queue, [])
            assert len(queue.waiting()) == 0

    asyncio.run(run())
    assert os.listdir(inbox) == ["grows.magnet"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.torrent", "d8:announce", "x.torrent is not queued"),
        ("x.meta4", "<metalink/>", "x.meta4 is not queued"),
        ("x.magnet", "", "it holds 0 lines"),
        ("x.magnet", "file:///etc/passwd", "no files of its own machine"),
        ("x.magnet", f"{MAGNET}\nrubbish", "must begin with https"),
    ],
)
def test_what_cannot_be_used_is_set_aside_with_a_note(
    tmp_path: Path, inbox: Path, name: str, text: str, told: str
) -> None:
    (inbox / name).write_text(text)
    urls, notes = looked(tmp_path)
    assert urls == []
    assert len(notes) == 1
    assert told in notes[0]
    assert os.listdir(inbox) == [name + ".refused"]


def test_no_link_is_followed_out_of_the_folder(tmp_path: Path, inbox: Path) -> None:
    (tmp_path / "secret").write_text(MAGNET)
    os.symlink(tmp_path / "secret", inbox / "x.magnet")
    os.mkfifo(inbox / "y.magnet")
    assert looked(tmp_path) == ([], [])


def test_while_the_queue_cannot_be_written_it_stays(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: Queue, wishes: object) -> None:
        raise StorageError("queue.sqlite", "disk full")

    (inbox / "x.magnet").write_text(MAGNET)
    monkeypatch.setattr(Queue, "add", full)
    _, notes = looked(tmp_path)
    assert "is not queued yet" in notes[0]
    assert os.listdir(inbox) == ["x.magnet"]


def test_where_nothing_can_be_renamed_it_is_queued_once_and_not_every_time(tmp_path: Path, inbox: Path) -> None:
    (inbox / "x.magnet").write_text(MAGNET)
    (inbox / "x.magnet.added").mkdir()
    urls, notes = looked(tmp_path, times=8)
    assert len(urls) == 1
    assert len(notes) == 1
    assert "could not be renamed" in notes[0]


def test_a_name_that_is_too_long_for_more_behind_it_is_cut(tmp_path: Path, inbox: Path) -> None:
    names = ["\u00e9" * 123 + str(number) + ".magnet" for number in range(2)]
    for name in names:
        (inbox / name).write_text(MAGNET)
    (inbox / ("b" * 246 + ".torrent")).write_text("rubbish")
    urls, notes = looked(tmp_path)
    assert len(urls) == 2
    assert [("is not queued" in note, "renamed" in note) for note in notes] == [(True, False)]
    left = sorted(os.listdir(inbox))
    assert [name.rpartition(".")[2] for name in left] == ["refused", "added", "added"]
    assert looked(tmp_path)[1] == []
    assert sorted(os.listdir(inbox)) == left


def test_what_is_queued_as_the_daemon_stops_is_not_queued_again_by_the_next(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has its other name then: a thread that has not yet begun to give it to it begins all the same."""
    (inbox / "one.magnet").write_text(MAGNET)
    free, add = threading.Event(), Queue.add

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with asyncio.timeout(LIMIT_S), running(tmp_path) as queue:
            hold(queue)
            watcher, is_stopped = Watcher([str(inbox)]), asyncio.Event()
            await watcher.look(queue, [])

            async def stopped_meanwhile(queue: Queue, wishes: Sequence[Wish]) -> list[Job]:
                jobs = await add(queue, wishes)
                asyncio.get_running_loop().run_in_executor(None, free.wait, LIMIT_S)
                looking.cancel()
                is_stopped.set()
                return jobs

            monkeypatch.setattr(Queue, "add", stopped_meanwhile)
            looking = asyncio.create_task(watcher.look(queue, []))
            await is_stopped.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            free.set()
            with pytest.raises(asyncio.CancelledError):
                await looking
            assert len(queue.waiting()) == 1
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(run())
    assert os.listdir(inbox) == ["one.magnet.added"]
