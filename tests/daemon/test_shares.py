"""What is whole goes on being shared: after a restart, after a kill, after a pause; by what was asked for in all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.runs import LIMIT_S, ended, hold, rules_of, running, until
from tests.engine.runs import told_of
from tests.engine.test_collections import FILES, SIZE, Scene, scene_of
from tests.engine.test_seeding import free_port
from tests.servers.leecher import Leecher, leecher
from tests.servers.torrents import metainfo, tree_of, write_tree
from thunderdl.daemon import shares
from thunderdl.daemon.clearing import remove_with_files
from thunderdl.daemon.events import What
from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.queue import NotNow, Queue
from thunderdl.engine import sharing_back
from thunderdl.errors import StorageError
from thunderdl.sources.swarm.torrent import load


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)
    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 0.05)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Leecher]:
    with leecher(tmp_path / "theirs") as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(tmp_path)


def alone(*ports: int, **more: Any) -> dict[str, Any]:
    peers = tuple(("127.0.0.1", port) for port in ports)
    return {"utp": False, "pex": False, "port": free_port(), "peers": peers, "ratio": 9.0, **more}


async def shared(queue: Queue, scene: Scene, url: str = "") -> Job:
    """A task that has come as far as being shared, with all that is written down of it."""
    link = url or await queue.store.keep(scene.metainfo, ".torrent")
    (job,) = await queue.add([Wish(urls=(link,))])
    await until(lambda: job in queue._shares and job.whole is not None)
    await queue.store.save([])
    return job


async def first_told(queue: Queue, scene: Scene) -> Job:
    """A task in the first moment in which it says that it is shared."""
    link = await queue.store.keep(scene.metainfo, ".torrent")
    (job,) = await queue.add([Wish(urls=(link,))])
    task = queue.task(job)
    assert task is not None
    await until(lambda: task.is_sharing)
    return job


def whole_path(tmp_path: Path) -> str:
    return str(tmp_path / "out" / "Set")


async def given_to(other: Leecher, scene: Scene, queue: Queue) -> None:
    """The other end has all of it. It comes to us: if we had come before it knew the torrent we were turned away, and
    would come again in a minute."""
    handle = other.add(scene.metainfo, ("127.0.0.1", queue.rules.options.port or 0))
    await asyncio.to_thread(other.finish, handle)


def first_run(tmp_path: Path, scene: Scene, then: Callable[[Queue, Job], Awaitable[None]], url: str = "") -> None:
    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                await then(queue, await shared(queue, scene, url))

    asyncio.run(run())


async def nothing(queue: Queue, job: Job) -> None:
    pass


@pytest.mark.parametrize("link", ["torrent", "magnet"])
def test_it_goes_on_after_a_restart(tmp_path: Path, scene: Scene, other: Leecher, link: str) -> None:
    first_run(tmp_path, scene, nothing, load(scene.metainfo, "").magnet if link == "magnet" else "")

    async def after() -> None:
        async with running(tmp_path, **alone(other.port)) as queue:
            (job,) = queue.active()
            await given_to(other, scene, queue)
            task = queue.task(job)
            assert task is not None
            await until(lambda: task.progress().uploaded_bytes >= told_of(SIZE))
            assert task.progress().path == whole_path(tmp_path)
            assert task.progress().done_bytes == SIZE
            await queue.remove(job)
            await ended(job)
            assert job.state is State.COMPLETE
            assert job.outcome is not None
            assert (job.outcome.path, job.outcome.verified) == (whole_path(tmp_path), ("pieces:sha1",))
            assert job.whole is None

    asyncio.run(after())
    assert tree_of(tmp_path / "theirs") == FILES


def test_it_goes_on_after_a_kill(tmp_path: Path, scene: Scene, other: Leecher) -> None:
    async def killed(queue: Queue, job: Job) -> None:
        # As it is on the disk in the midst of it.
        await asyncio.to_thread(shutil.copytree, tmp_path / "state", tmp_path / "copied")

    first_run(tmp_path, scene, killed)
    # Documents are known by where they are.
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copied").rename(tmp_path / "state")

    async def after() -> None:
        async with running(tmp_path, **alone(other.port)) as queue:
            (job,) = queue.active()
            await given_to(other, scene, queue)
            await queue.pause([job])
            await until(lambda: job.state is State.PAUSED)
            assert job.outcome is not None
            assert (job.outcome.path, job.outcome.verified) == (whole_path(tmp_path), ("pieces:sha1",))

    asyncio.run(after())


def test_killed_in_the_first_moment_of_it_it_goes_on(
    tmp_path: Path, scene: Scene, other: Leecher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that comes with the clock has come yet."""

    async def before() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                await first_told(queue, scene)
                await asyncio.to_thread(shutil.copytree, tmp_path / "state", tmp_path / "copied")

    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 3600.0)
    asyncio.run(before())
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "copied").rename(tmp_path / "state")

    async def after() -> None:
        async with running(tmp_path, **alone(other.port)) as queue:
            (job,) = queue.active()
            await given_to(other, scene, queue)
            await queue.remove(job)
            await ended(job)
            assert job.outcome is not None
            assert (job.state, job.outcome.path) == (State.COMPLETE, whole_path(tmp_path))

    asyncio.run(after())


@pytest.mark.parametrize("what", ["paused", "stopped"])
def test_stopped_in_the_first_moment_of_it_it_goes_on(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async def before() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                job = await first_told(queue, scene)
                if what == "paused":
                    await queue.pause([job])
                    await until(lambda: job.state is State.PAUSED)

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            (job,) = queue.active() or queue.waiting()
            assert job.whole is not None

    monkeypatch.setattr("thunderdl.daemon.queue.TICK_S", 3600.0)
    asyncio.run(before())
    asyncio.run(after())


def test_what_was_sent_before_counts(tmp_path: Path, scene: Scene, other: Leecher) -> None:
    async def given(queue: Queue, job: Job) -> None:
        # Peers of one task come with its options; here the queue's know the other end from the start.
        task = queue.task(job)
        assert task is not None
        await given_to(other, scene, queue)
        await until(lambda: task.progress().uploaded_bytes >= told_of(SIZE))

    async def before() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1], other.port)) as queue:
                await given(queue, await shared(queue, scene))

    async def after() -> None:
        async with running(tmp_path, **alone(ratio=0.5)) as queue:
            job = queue.active()[0] if queue.active() else queue.ended()[0]
            await ended(job)
            assert job.outcome is not None
            assert (job.state, job.outcome.uploaded_bytes >= told_of(SIZE)) == (State.COMPLETE, True)

    asyncio.run(before())
    asyncio.run(after())


def test_paused_and_resumed_it_is_shared_again(tmp_path: Path, scene: Scene, other: Leecher) -> None:
    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1], other.port, jobs=1)) as queue:
                with queue.events.listening() as heard:
                    job = await shared(queue, scene)
                    await queue.pause([job])
                    await until(lambda: job.state is State.PAUSED)
                    assert queue.position(job) == 0
                    hold(queue)
                    # Neither hours nor the limit on downloads hold back what only gives.
                    await queue.resume([job])
                    assert job.state is State.ACTIVE
                    await given_to(other, scene, queue)
                    told = [event.what for event in heard.waiting() if event.job is job]
                assert told.count(What.SHARED) == 1
                assert told[-1] is not What.COMPLETED

    asyncio.run(run())


def test_resumed_while_it_still_stops_it_waits_for_no_download(tmp_path: Path, scene: Scene) -> None:
    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                job = await shared(queue, scene)
                hold(queue)
                before = queue.task(job)
                # The second before the first one's cancellation is heard of.
                await asyncio.gather(queue.pause([job]), queue.resume([job]))
                await until(lambda: queue.task(job) is not before)
                assert job.state is State.ACTIVE

    asyncio.run(run())


def test_what_cannot_be_shared_any_more_keeps_what_was_sent(tmp_path: Path, scene: Scene, other: Leecher) -> None:
    async def before() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1], other.port)) as queue:
                task = queue.task(await shared(queue, scene))
                assert task is not None
                await given_to(other, scene, queue)
                await until(lambda: task.progress().uploaded_bytes >= told_of(SIZE))

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            job = (*queue.active(), *queue.ended())[0]
            await ended(job)
            assert job.outcome is not None
            assert "not shared any more" in job.outcome.notes[-1]
            assert job.outcome.uploaded_bytes >= told_of(SIZE)

    asyncio.run(before())
    shutil.rmtree(tmp_path / "out" / "Set")
    asyncio.run(after())


def test_one_that_cannot_be_begun_again_is_complete_all_the_same(tmp_path: Path, scene: Scene) -> None:
    """As failed it would be fetched a second time with the next try."""

    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                await queue.change_rules({"categories": {"iso": ""}})
                link = await queue.store.keep(scene.metainfo, ".torrent")
                (job,) = await queue.add([Wish(urls=(link,), category="iso")])
                await until(lambda: job.whole is not None)
                await queue.pause([job])
                await until(lambda: job.state is State.PAUSED)
                await queue.change_rules({"categories": {}})
                await queue.resume([job])
                assert job.state is State.COMPLETE
                assert job.outcome is not None
                assert (job.outcome.path, job.outcome.verified) == (whole_path(tmp_path), ("pieces:sha1",))
                assert (job.outcome.kind, job.outcome.error) == ("", "")
                assert job.outcome.notes[-1].startswith("not shared any more: ")

    asyncio.run(run())


def test_paused_it_stays_so_over_a_restart(tmp_path: Path, scene: Scene) -> None:
    async def pause(queue: Queue, job: Job) -> None:
        await queue.pause([job])

    first_run(tmp_path, scene, pause)

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            (job,) = queue.waiting()
            assert (job.state, job.whole is not None) == (State.PAUSED, True)
            await queue.remove(job)
            # It was downloaded, whatever became of the sharing.
            assert job.state is State.COMPLETE

    asyncio.run(after())


def test_killed_while_it_stopped_it_is_known_where_it_lies(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(queue: Queue, job: Job) -> None:
        await until(lambda: job.outcome is not None)
        # Nothing that comes after the pause is written any more.
        await queue.store.save([job])
        monkeypatch.setattr(queue.store, "save_soon", lambda jobs=(): None)
        await queue.pause([job])

    first_run(tmp_path, scene, killed)

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            (job,) = queue.waiting()
            await queue.remove(job)
            assert job.outcome is not None
            assert (job.state, job.outcome.path) == (State.COMPLETE, whole_path(tmp_path))
            assert job.outcome.verified == ("pieces:sha1",)

    asyncio.run(after())


def test_removed_right_before_the_stop_it_is_complete(tmp_path: Path, scene: Scene) -> None:
    removing: list[asyncio.Task[None]] = []

    async def remove(queue: Queue, job: Job) -> None:
        removing.append(asyncio.create_task(queue.remove(job)))
        # It has begun, and the share has not stopped.
        await asyncio.sleep(0)

    first_run(tmp_path, scene, remove)
    assert removing[0].done()

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            (job,) = queue.ended()
            assert job.outcome is not None
            assert (job.state, job.outcome.path, job.whole) == (State.COMPLETE, whole_path(tmp_path), None)

    asyncio.run(after())


def test_it_waits_for_no_download(tmp_path: Path, scene: Scene) -> None:
    first_run(tmp_path, scene, nothing)

    async def after() -> None:
        rules = rules_of(tmp_path, **alone(jobs=1))
        queue = Queue(str(tmp_path / "state"), rules)
        async with asyncio.timeout(LIMIT_S), queue.running():
            hold(queue)
            (job,) = queue.active()
            assert queue.waiting() == []
            assert job in queue._shares

    asyncio.run(after())


def test_one_that_was_removed_meanwhile_ends_with_a_note(tmp_path: Path, scene: Scene) -> None:
    first_run(tmp_path, scene, nothing)
    shutil.rmtree(tmp_path / "out" / "Set")

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            job = (*queue.active(), *queue.ended())[0]
            await ended(job)
            assert job.state is State.COMPLETE
            assert job.outcome is not None
            assert "not shared any more" in job.outcome.notes[-1]

    asyncio.run(after())


def test_how_it_stands_is_written_down_now_and_then(
    tmp_path: Path, scene: Scene, other: Leecher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "KEEP_S", 0.1)

    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1], other.port)) as queue:
                job = await shared(queue, scene)
                await given_to(other, scene, queue)
                await until(lambda: job.whole is not None and job.whole.sent_bytes >= told_of(SIZE))
                assert job.whole is not None
                assert 0 < job.whole.shared_s < LIMIT_S

    asyncio.run(run())


def test_a_torrent_that_cannot_be_kept_is_tried_again(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "KEEP_S", 0.1)

    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                link = await queue.store.keep(scene.metainfo, ".torrent")
                kept, tries = queue.store.keep, 0

                async def full(document: bytes, suffix: str) -> str:
                    nonlocal tries
                    tries += 1
                    if tries == 1:
                        raise StorageError(link, "the disk is full")
                    return await kept(document, suffix)

                monkeypatch.setattr(queue.store, "keep", full)
                (job,) = await queue.add([Wish(urls=(link,))])
                await until(lambda: job.whole is not None)
                assert tries == 2

    asyncio.run(run())


@pytest.mark.parametrize("when", ["shared", "paused"])
def test_it_is_removed_with_its_files(tmp_path: Path, scene: Scene, when: str) -> None:
    async def remove(queue: Queue, job: Job) -> None:
        (tmp_path / "out" / "Set" / "mine.txt").write_text("mine")
        if when == "paused":
            await queue.pause([job])
            await until(lambda: job.state is State.PAUSED)
        await remove_with_files(queue, job)
        assert tree_of(tmp_path / "out") == {"Set/mine.txt": b"mine"}
        assert queue.counts() == (0, 0, 0)
        assert await queue.history() == []

    first_run(tmp_path, scene, remove)


def test_a_torrent_that_another_task_has_is_refused_with_a_sentence(tmp_path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with running(tmp_path, **alone()) as queue:
            link = await queue.store.keep(scene.metainfo, ".torrent")
            await queue.add([Wish(urls=(link,)), Wish(urls=(link,))])
            await until(queue.ended)
            (second,) = queue.ended()
            assert second.outcome is not None
            assert "under way here already; name it once, or remove the other" in second.outcome.error

    asyncio.run(run())


@pytest.mark.parametrize("how", ["removed", "removed with files", "paused"])
def test_it_may_be_stopped_before_it_is_shared_again(tmp_path: Path, scene: Scene, how: str) -> None:
    first_run(tmp_path, scene, nothing)

    async def after() -> None:
        async with running(tmp_path, **alone()) as queue:
            (job,) = queue.active()
            if how == "paused":
                await queue.pause([job])
                await until(lambda: job.state is State.PAUSED)
                await queue.remove(job)
            elif how == "removed":
                await queue.remove(job)
                await ended(job)
            if how != "removed with files":
                assert job.outcome is not None
                assert (job.state, job.outcome.path) == (State.COMPLETE, whole_path(tmp_path))
                assert job.outcome.done_bytes == SIZE
                # That the sharing was stopped is nothing that is wrong with it.
                assert (job.outcome.kind, job.outcome.exit_code) == ("", 0)
            await remove_with_files(queue, job)
            assert tree_of(tmp_path / "out") == {}
            assert queue.counts() == (0, 0, 0)

    asyncio.run(after())


def test_a_folder_whose_torrent_is_gone_is_told_to_be_removed_by_hand(tmp_path: Path, scene: Scene) -> None:
    async def remove(queue: Queue, job: Job) -> None:
        shutil.rmtree(tmp_path / "state" / "documents")
        with pytest.raises(NotNow, match="remove it by hand"):
            await remove_with_files(queue, job)
        assert queue.active() == [job]

    first_run(tmp_path, scene, remove)
    assert tree_of(tmp_path / "out") == FILES


def test_a_single_file_goes_although_its_torrent_is_gone(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    write_tree(origin, {"alone.bin": b"a" * 200_000})
    scene = Scene("", metainfo(origin / "alone.bin"), origin, tmp_path / "target")

    async def remove(queue: Queue, job: Job) -> None:
        shutil.rmtree(tmp_path / "state" / "documents")
        await remove_with_files(queue, job)

    first_run(tmp_path, scene, remove)
    assert tree_of(tmp_path / "out") == {}


def test_files_of_the_folder_that_were_not_wanted_are_not_its(tmp_path: Path, scene: Scene) -> None:
    """Another task of the same torrent may have put them there, or the user."""

    async def remove(queue: Queue, job: Job) -> None:
        (tmp_path / "out" / "Set" / "d").write_bytes(b"of somebody else")
        await remove_with_files(queue, job)
        assert tree_of(tmp_path / "out") == {"Set/d": b"of somebody else"}

    async def run() -> None:
        with scene.seeding() as seed:
            async with running(tmp_path, **alone(seed.peer[1])) as queue:
                link = await queue.store.keep(scene.metainfo, ".torrent")
                (job,) = await queue.add([Wish(urls=(link,), options={"files": "*.bin"})])
                await until(lambda: job.whole is not None)
                await remove(queue, job)

    asyncio.run(run())
