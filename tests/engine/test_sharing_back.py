"""A finished download that goes on sharing; its pieces came from mirrors, from peers, or both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import drive, shared_until, told_of
from tests.engine.test_seeding import free_port
from tests.servers.leecher import Leecher, leecher
from tests.servers.loopback import LoopbackServer, Resource
from tests.stopwatch import Stopwatch
from thunderdl.client import Task
from thunderdl.engine import sharing_back
from thunderdl.engine.creating import create_torrent
from thunderdl.engine.sharing_back import Goal, SharingBack
from thunderdl.model import Progress, Result, Status

CONTENT = random.Random(12).randbytes(2_000_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)


@pytest.fixture
def torrent(tmp_path: Path) -> str:
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "f.bin").write_bytes(CONTENT)
    return create_torrent(str(tmp_path / "origin" / "f.bin"), str(tmp_path / "t.torrent")).path


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Leecher]:
    with leecher(tmp_path / "theirs") as running:
        yield running


def shared(torrent: str, server: LoopbackServer, other: Leecher, folder: Path, **more: object) -> Result:
    server.resources["/f.bin"] = Resource(body=CONTENT)

    async def outcome(task: Task) -> Result:
        return await task.outcome()

    settled: dict[str, object] = {
        "mirrors": (server.url("/f.bin"),), "dht": False, "lsd": False, "utp": False, "port": free_port(),
        "peers": (("127.0.0.1", other.port),), "script": outcome,
    }  # fmt: skip
    settled |= more
    return drive(url=torrent, folder=folder, **settled)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["f.bin", "renamed.bin"])
def test_pieces_of_a_mirror_are_shared_under_the_final_name(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path, name: str
) -> None:
    handle = other.add(Path(torrent).read_bytes())
    until = shared_until(lambda: other.finish(handle), len(CONTENT))
    result = shared(torrent, server, other, tmp_path / "ours", ratio=9.0, out=name, script=until)
    assert result.status is Status.COMPLETE
    assert result.path == str(tmp_path / "ours" / name)
    assert result.uploaded_bytes >= told_of(len(CONTENT))
    assert (tmp_path / "theirs" / "f.bin").read_bytes() == CONTENT
    assert (tmp_path / "ours" / name).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "ours").iterdir()] == [name]


def test_without_being_asked_it_ends_with_the_file(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path
) -> None:
    for more in ({}, {"ratio": 0.0}):
        folder = tmp_path / f"ours{len(more)}"
        assert shared(torrent, server, other, folder, **more).status is Status.COMPLETE


def test_it_ends_by_time_and_that_is_no_part_of_the_download(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path
) -> None:
    began = time.monotonic()
    seen: list[Progress] = []

    async def watch(task: Task) -> Result:
        async for progress in task:
            seen.append(progress)
        return await task.outcome()

    result = shared(torrent, server, other, tmp_path / "ours", seed_time=0.5, script=watch)
    whole_s = time.monotonic() - began
    assert whole_s > 0.5
    assert result.seconds < whole_s - 0.4
    assert Status.SHARING in {progress.status for progress in seen}
    assert seen[-1].status is Status.COMPLETE


def test_who_cancels_the_sharing_keeps_the_file(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path
) -> None:
    async def stop(task: Task) -> Result:
        async for progress in task:
            if progress.status is Status.SHARING:
                task.cancel()
        return await task.outcome()

    result = shared(torrent, server, other, tmp_path / "ours", ratio=100.0, script=stop)
    assert (result.status, result.error) == (Status.COMPLETE, None)
    assert (tmp_path / "ours" / "f.bin").read_bytes() == CONTENT


def test_who_cancels_as_the_sharing_ends_of_itself_still_has_it_leave_the_swarm(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, left = SharingBack.stop, list[str]()

    async def stop(task: Task) -> Result:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(sharing: SharingBack) -> None:
            began.set()
            await go_on.wait()
            await leave(sharing)
            left.append("left")

        monkeypatch.setattr(SharingBack, "stop", slowly)
        await began.wait()
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        return await task.outcome()

    result = shared(torrent, server, other, tmp_path / "ours", seed_time=0.0, script=stop)
    assert (result.status, result.error, left) == (Status.COMPLETE, None, ["left"])


def test_a_peer_that_came_while_downloading_goes_on_at_once(
    torrent: str, server: LoopbackServer, other: Leecher, tmp_path: Path
) -> None:
    """It is known by the port that it listens at, though it came to us."""
    port = free_port()
    handle = other.add(Path(torrent).read_bytes(), ("127.0.0.1", port))
    # The leecher tries again each second; we are slow enough to be found.
    watch = Stopwatch()
    until = shared_until(lambda: other.finish(handle), len(CONTENT))
    result = shared(
        torrent, server, other, tmp_path / "ours", ratio=9.0, port=port, peers=(), limit=1_000_000, script=until
    )  # fmt: skip
    assert result.uploaded_bytes >= told_of(len(CONTENT))
    assert watch.took_s < 12


@pytest.mark.parametrize(
    ("goal", "sent", "shared_s", "reached"),
    [
        (Goal(ratio=1.0), 99, 9e9, ""),
        (Goal(ratio=1.0), 100, 0, "ratio"),
        (Goal(ratio=0.5, seconds=10), 49, 10, "time"),
        (Goal(ratio=0.5, seconds=10), 49, 9.9, ""),
        (Goal(), 10**9, 9e9, ""),
    ],
)
def test_goals(goal: Goal, sent: int, shared_s: float, reached: str) -> None:
    assert goal.reached(sent, 100, shared_s) == reached
