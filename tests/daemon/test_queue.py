"""The queue over real loopback servers: what is added is done, in order, and survives a restart."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from tests.daemon.runs import ended, hold, running, until
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.documents import wishes_of
from thunderdl.daemon.events import What
from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.line import Whence
from thunderdl.daemon.queue import NoSuchTask, NotNow, Queue
from thunderdl.errors import StorageError, TargetLocked, UsageError
from thunderdl.options import Priority


def wish(server: LoopbackServer, path: str = "/file", **changes: object) -> Wish:
    return Wish(urls=(server.url(path),), **changes)  # type: ignore[arg-type]


def names(queue: Queue) -> list[str]:
    return [job.wish.url.rpartition("/")[2] for job in queue.waiting()]


async def lined_up(queue: Queue, server: LoopbackServer, count: int = 4) -> list[Job]:
    return await queue.add([wish(server, f"/{number}") for number in range(count)], paused=True)


@pytest.fixture
def file(server: LoopbackServer, content: bytes) -> bytes:
    server.resources["/file"] = Resource(body=content)
    return content


def test_what_is_added_is_downloaded_and_told(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            with queue.events.listening() as heard:
                good, bad = await queue.add([wish(server), wish(server, "/gone")])
                await ended(good, bad)
            assert [event.what for event in heard.waiting() if event.job is good] == [
                What.ADDED, What.STARTED, What.COMPLETED,
            ]  # fmt: skip
            assert (good.state, bad.state) == (State.COMPLETE, State.FAILED)
            assert good.outcome is not None
            assert bad.outcome is not None
            assert good.outcome.path == str(tmp_path / "out" / "file")
            assert (tmp_path / "out" / "file").read_bytes() == file
            assert (bad.outcome.kind, bad.outcome.exit_code) == ("NotFound", 3)
            assert [job.gid for job in await queue.history("gone")] == [bad.gid]

    asyncio.run(run())


def test_all_of_it_is_there_after_a_restart(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    async def before() -> list[str]:
        async with running(tmp_path) as queue:
            done = await queue.add([wish(server)])
            await ended(*done)
            jobs = await lined_up(queue, server)
            await queue.move(jobs[3], 0)
            await queue.remove(jobs[1])
            return [job.gid for job in queue.waiting()]

    async def after(gids: list[str]) -> None:
        async with running(tmp_path) as queue:
            assert [job.gid for job in queue.waiting()] == gids
            assert names(queue) == ["3", "0", "2"]
            assert [job.state for job in queue.ended()] == [State.COMPLETE, State.REMOVED]

    asyncio.run(after(asyncio.run(before())))


def test_what_ran_goes_on_after_a_restart(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    server.resources["/file"].behaviour = stall_after(len(file) // 2)

    async def before() -> str:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([wish(server)])
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes >= len(file) // 4)
            return job.gid

    async def after(gid: str) -> None:
        async with running(tmp_path) as queue:
            job = queue.find(gid)
            await ended(job)
            assert job.state is State.COMPLETE
            assert (tmp_path / "out" / "file").read_bytes() == file

    gid = asyncio.run(before())
    server.resources["/file"].behaviour = None
    asyncio.run(after(gid))
    assert os.listdir(tmp_path / "out") == ["file"]


def test_no_more_run_at_once_than_the_rules_say_and_the_order_is_kept(tmp_path: Path, server: LoopbackServer) -> None:
    for number in range(4):
        server.resources[f"/{number}"] = Resource(body=b"x" * 10)

    async def run() -> None:
        async with running(tmp_path, jobs=1) as queue:
            with queue.events.listening() as heard:
                jobs = await queue.add([wish(server, f"/{number}") for number in range(4)])
                await ended(*jobs)
            begun = [event.job for event in heard.waiting() if event.what is What.STARTED]
            assert begun == jobs

    asyncio.run(run())


def test_pause_and_resume_of_one_that_runs(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    server.resources["/file"].behaviour = stall_after(len(file) // 2)

    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([wish(server)])
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes > 0)
            await queue.pause([job])
            await until(lambda: job.state is State.PAUSED)
            with pytest.raises(NotNow):
                await queue.pause([job])
            server.resources["/file"].behaviour = None
            server.release.set()
            await queue.resume([job])
            await ended(job)
            assert job.state is State.COMPLETE
            with pytest.raises(NotNow):
                await queue.resume([job])

    asyncio.run(run())


def test_the_line_is_moved_and_a_priority_takes_its_place(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            jobs = await lined_up(queue, server)
            assert await queue.move(jobs[0], 1, Whence.HERE) == 1
            assert await queue.move(jobs[3], -9, Whence.END) == 0
            assert names(queue) == ["3", "1", "0", "2"]
            await queue.change(jobs[2], replace(jobs[2].wish, priority=Priority.HIGH))
            assert names(queue) == ["2", "3", "1", "0"]
            await queue.add([wish(server, "/5", priority=Priority.LOW)], paused=True)
            await queue.add([wish(server, "/6", priority=Priority.HIGH)], paused=True)
            assert names(queue) == ["2", "6", "3", "1", "0", "5"]

    asyncio.run(run())


def test_the_order_that_priorities_make_is_there_after_a_restart(tmp_path: Path, server: LoopbackServer) -> None:
    """Each takes half of what is left between two ranks, so that all are numbered anew at some time."""

    async def before() -> list[str]:
        async with running(tmp_path) as queue:
            first, *others = await lined_up(queue, server, 70)
            for job in (first, *reversed(others[9:])):
                await queue.change(job, replace(job.wish, priority=Priority.HIGH))
            return names(queue)

    async def after() -> list[str]:
        async with running(tmp_path) as queue:
            return names(queue)

    assert asyncio.run(before()) == asyncio.run(after())


@pytest.mark.parametrize(
    ("urls", "options", "told"),
    [
        (("file:///etc/passwd",), {}, "no files of its own machine"),
        (("/etc/x.torrent",), {}, "no files of its own machine"),
        (("data:,x",), {}, "no files of its own machine"),
        (("http://h/f", "file:///etc/passwd"), {}, "a mirror must not be"),
        (("http://h/f",), {"dir": "/etc"}, "is outside of the folders"),
        (("http://h/f",), {"dir": "../.."}, "is outside of the folders"),
        (("http://h/f",), {"out": "../x"}, "x"),
        (("http://h/f",), {"refresh_cmd": "touch /tmp/x"}, "refresh_cmd cannot be set here"),
        (("http://h/f",), {"password_file": "/etc/shadow"}, "password_file cannot be set here"),
        (("http://h/f",), {"torrent": "/etc/x.torrent"}, "only a link can be named here"),
        (("http://h/f",), {"connections": "3"}, "is set for all downloads"),
        (("http://h/f",), {"nonsense": "3"}, "no such option"),
    ],
)
def test_what_nobody_may_ask_for_from_outside(
    tmp_path: Path, urls: tuple[str, ...], options: dict[str, str], told: str
) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            with pytest.raises(UsageError, match=told):
                await queue.add([Wish(urls=urls, options=options)])
            assert queue.counts() == (0, 0, 0)

    asyncio.run(run())


@pytest.mark.parametrize("name", ["refresh_cmd", "password_file", "cookies", "signed_by"])
def test_a_document_that_was_sent_is_no_program_and_no_other_file(tmp_path: Path, name: str) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            path = await queue.store.keep(b"d4:infode", ".torrent")
            with pytest.raises(UsageError, match="cannot be set here"):
                await queue.add([Wish(urls=("http://h/f",), options={name: path})])

    asyncio.run(run())


def test_a_folder_that_is_a_link_out_of_the_roots_is_outside(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            os.symlink("/etc", tmp_path / "out" / "link")
            for options in ({"dir": "link"}, {"out": "link/x"}, {"out": "./link//new/x"}):
                with pytest.raises(UsageError, match="outside"):
                    await queue.add([Wish(urls=("http://h/f",), options=options)])

    asyncio.run(run())


def test_a_folder_that_became_a_link_out_of_the_roots_is_outside(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([wish(server, options={"out": "sub/x"})], paused=True)
            (tmp_path / "else").mkdir()
            os.symlink(tmp_path / "else", tmp_path / "out" / "sub")
            await queue.resume([job])
            await ended(job)
            assert job.state is State.FAILED
            assert job.outcome is not None
            assert job.outcome.kind == "OutsideRoots"
            assert list((tmp_path / "else").iterdir()) == []

    asyncio.run(run())


def test_a_name_in_a_metalink_leads_through_no_link(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    files = "".join(f'<file name="{n}"><url>{server.url("/file")}</url></file>' for n in ("ln/esc", "sub/good"))
    document = f'<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">{files}</metalink>'

    async def run() -> None:
        async with running(tmp_path) as queue:
            (tmp_path / "else").mkdir()
            os.symlink(tmp_path / "else", tmp_path / "out" / "ln")
            bad, good = await queue.add(await wishes_of(queue, document.encode()))
            await ended(bad, good)
            assert bad.outcome is not None
            assert (bad.state, bad.outcome.kind, good.state) == (State.FAILED, "StorageError", State.COMPLETE)
            assert "it is a symbolic link" in bad.outcome.error
            assert list((tmp_path / "else").iterdir()) == []
            assert (tmp_path / "out" / "sub" / "good").read_bytes() == file

    asyncio.run(run())


def test_a_link_to_below_the_roots_is_inside(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            (tmp_path / "out" / "there").mkdir()
            os.symlink("there", tmp_path / "out" / "link")
            await queue.add([Wish(urls=("http://h/f",), options={"out": "link/x"})], paused=True)

    asyncio.run(run())


def test_a_task_is_found_by_the_beginning_of_its_gid(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            gids = ["1234000000000000", "1235000000000000"]
            jobs = await queue.add([wish(server), wish(server)], paused=True, gids=gids)
            assert queue.find("1235") is jobs[1]
            with pytest.raises(UsageError, match="several"):
                queue.find("123")
            for nothing in ("", "9", "1234000000000001", "123400000000000000"):
                with pytest.raises(NoSuchTask):
                    queue.find(nothing)
            with pytest.raises(UsageError, match="is there already"):
                await queue.add([wish(server)], gids=gids[:1])

    asyncio.run(run())


def test_a_gid_is_given_once_whoever_asks_at_the_same_time(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            gid = "5" * 16
            adding = [queue.add([wish(server, f"/{number}")], paused=True, gids=[gid]) for number in range(3)]
            first, *others = await asyncio.gather(*adding, return_exceptions=True)
            assert [str(other) for other in others] == ["a task of that gid is there already."] * 2
            assert first == list(queue.waiting())
            with pytest.raises(UsageError, match="is there already"):
                await queue.add([wish(server), wish(server)], gids=["6" * 16] * 2)
            assert [job.wish.url for job in await queue.store.open_jobs()] == [server.url("/0")]

    asyncio.run(run())


def test_a_gid_of_long_ago_is_not_given_again(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.MOST_ENDED", 1)

    async def run() -> None:
        async with running(tmp_path) as queue:
            jobs = await lined_up(queue, server, 2)
            for job in jobs:
                await queue.remove(job)
            assert queue.at_hand(jobs[0].gid) is None
            with pytest.raises(UsageError, match="is there already"):
                await queue.add([wish(server), wish(server)], gids=["7" * 16, jobs[0].gid])
            assert queue.waiting() == await queue.store.open_jobs() == []
            queue.store.save_soon()
            kept = await queue.store.job(jobs[0].gid)
            assert kept is not None
            assert (kept.state, kept.wish.url) == (State.REMOVED, server.url("/0"))

    asyncio.run(run())


def test_of_two_that_try_one_of_long_ago_again_one_does(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.MOST_ENDED", 0)

    async def run() -> None:
        async with running(tmp_path) as queue:
            hold(queue)
            (job,) = await lined_up(queue, server, 1)
            await queue.remove(job)
            one, other = await queue.store.job(job.gid), await queue.store.job(job.gid)
            assert one is not None
            assert other is not None
            await queue.retry(one)
            for again in (queue.retry(other), queue.forget([other])):
                with pytest.raises(NotNow):
                    await again
            assert list(queue.waiting()) == [one]
            assert queue.find(job.gid) is one

    asyncio.run(run())


def test_what_is_being_forgotten_is_not_tried_again_and_not_written_any_more(
    tmp_path: Path, server: LoopbackServer
) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            hold(queue)
            job, other = await lined_up(queue, server, 2)
            await queue.remove(job)
            await queue.remove(other)
            # As if the disk had been full.
            queue.store._unsaved.update((job, other))
            forgetting = asyncio.ensure_future(queue.forget([job]))
            await asyncio.sleep(0)
            with pytest.raises(NotNow, match="forgotten"):
                await queue.retry(job)
            queue.store.save_soon()
            await asyncio.gather(forgetting, queue.forget([job]))
            queue.store.save_soon()
            assert [found.gid for found in await queue.history()] == [other.gid]
            assert list(queue.ended()) == [other]

    asyncio.run(run())


def test_settings_last_and_hold(tmp_path: Path, server: LoopbackServer) -> None:
    async def before() -> None:
        async with running(tmp_path) as queue:
            await queue.change_rules({"jobs": "1", "limit": "1M", "categories": {"iso": "images"}})
            with pytest.raises(UsageError, match="outside"):
                await queue.change_rules({"dir": "/etc"})
            with pytest.raises(UsageError, match="outside"):
                await queue.change_rules({"categories": {"evil": "/etc"}})
            with pytest.raises(UsageError, match="cannot be set here"):
                await queue.change_rules({"trace": "x"})

    async def after() -> None:
        async with running(tmp_path) as queue:
            assert queue.rules.options.jobs == 1
            assert queue.rules.options.limit == 1024**2
            (job,) = await queue.add([wish(server, category="iso")])
            await ended(job)
            with pytest.raises(UsageError, match="no such category"):
                await queue.add([wish(server, category="other")])

    asyncio.run(before())
    asyncio.run(after())


def test_settings_that_cannot_be_written_do_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(settings: object) -> None:
        raise StorageError("queue.sqlite", "the disk is full")

    async def run() -> None:
        async with running(tmp_path) as queue:
            before = queue.rules
            monkeypatch.setattr(queue.store, "save_settings", full)
            with queue.events.listening() as heard, pytest.raises(StorageError):
                await queue.change_rules({"jobs": "1"})
            assert queue.rules is before
            assert list(heard.waiting()) == []
            # Nobody waits behind it.
            monkeypatch.undo()
            await queue.change_rules({"jobs": "1"})
            assert queue.rules.options.jobs == 1

    asyncio.run(run())


def test_outside_of_the_hours_nothing_runs(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    other = day[(time.localtime().tm_wday + 3) % 7]

    async def run() -> None:
        async with running(tmp_path) as queue:
            await queue.change_rules({"hours": other})
            (job,) = await queue.add([wish(server)])
            assert job.state is State.WAITING
            await queue.change_rules({"hours": None})
            await ended(job)

    asyncio.run(run())


def test_who_gives_up_waiting_leaves_nothing_behind_and_breaks_nothing(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            adding = asyncio.create_task(queue.add([wish(server)], paused=True))
            await asyncio.sleep(0)
            adding.cancel()
            await asyncio.wait([adding])
            assert queue.waiting() == []
            # The database still answers, and knows of no such task.
            assert await queue.store.open_jobs() == []
            (job,) = await lined_up(queue, server, 1)
            assert [found.gid for found in await queue.store.open_jobs()] == [job.gid]

    asyncio.run(run())


def test_what_was_refused_for_a_full_disk_is_not_written_later(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            full = StorageError("queue.sqlite", "the disk is full")
            failed: Future[None] = Future()
            failed.set_exception(full)
            with monkeypatch.context() as patched:
                patched.setattr(queue.store, "write", lambda *jobs: failed)
                with pytest.raises(StorageError, match="full"):
                    await lined_up(queue, server, 1)
            queue.store.save_soon()
            assert await queue.store.open_jobs() == []

    asyncio.run(run())


def test_another_daemon_with_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path):
            with pytest.raises(TargetLocked, match=r"another daemon.*--state"):
                async with running(tmp_path):
                    pass
        # And nobody has it afterwards.
        async with running(tmp_path):
            assert (tmp_path / "state").stat().st_mode & 0o077 == 0

    asyncio.run(run())


def test_all_that_ended_is_forgotten_also_what_is_not_at_hand(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.MOST_ENDED", 1)

    async def run() -> None:
        async with running(tmp_path) as queue:
            jobs = await queue.add([wish(server, f"/{number}") for number in range(3)])
            await ended(*jobs)
            assert len(queue.ended()) == 1
            assert len(await queue.history(state=State.FAILED)) == 3
            assert await queue.history(state=State.COMPLETE) == []
            old = next(job for job in jobs if queue.at_hand(job.gid) is None)
            found = await queue.store.job(old.gid)
            assert found is not None
            assert found.state is State.FAILED
            assert await queue.store.count_ended() == 3
            await queue.forget_ended()
            assert (await queue.history(), list(queue.ended())) == ([], [])

    asyncio.run(run())


@pytest.mark.parametrize("what", ["pause", "remove"])
def test_what_one_that_runs_was_told_to_do_is_on_the_disk_when_it_is_acknowledged(
    tmp_path: Path, server: LoopbackServer, file: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.resources["/file"].behaviour = stall_after(len(file) // 2)

    async def before() -> str:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([wish(server)])
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes > 0)
            # As if it were killed before the download has stopped: nothing of the end is written.
            monkeypatch.setattr(queue, "_is_over", lambda job, result: None)
            await (queue.pause([job]) if what == "pause" else queue.remove(job))
            return job.gid

    async def after(gid: str) -> State:
        async with running(tmp_path) as queue:
            await asyncio.sleep(0)
            return queue.find(gid).state

    gid = asyncio.run(before())
    assert asyncio.run(after(gid)) is (State.PAUSED if what == "pause" else State.REMOVED)


def test_what_is_being_removed_cannot_be_paused(tmp_path: Path, server: LoopbackServer, file: bytes) -> None:
    server.resources["/file"].behaviour = stall_after(len(file) // 2)

    async def run() -> None:
        async with running(tmp_path) as queue:
            (job,) = await queue.add([wish(server)])
            await until(lambda: (seen := queue.progress(job)) and seen.done_bytes > 0)
            removing = asyncio.ensure_future(queue.remove(job))
            await asyncio.sleep(0)
            with pytest.raises(NotNow, match="removed"):
                await queue.pause([job])
            await removing
            await ended(job)
            assert job.state is State.REMOVED

    asyncio.run(run())
