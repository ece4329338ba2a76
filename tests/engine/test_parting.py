"""One limit over mirrors and peers together: on real connections, changed while they run, by the clock.

Lower bounds are wide, since these run in real time beside others; the upper ones are what is promised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.swarm import ALONE, NAME, Seed, made_torrent, seeds
from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import metainfo, seeding, write_tree
from thunderdl import Client, Options
from thunderdl.client import Task
from thunderdl.engine import pacing
from thunderdl.errors import UsageError
from thunderdl.model import Progress, SourceKind
from thunderdl.option_texts import parse_limit

KIB, MIB = 1024, 1024 * 1024
SIZE = 64 * MIB
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
LIMIT = 4 * MIB


@pytest.fixture(scope="module")
def torrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "t.torrent").write_bytes(made_torrent(folder / "seed", content=CONTENT, piece_bytes=128 * KIB))
    return folder / "t.torrent"


@dataclass(frozen=True, slots=True)
class Moved:
    """Bytes by kind in a time; rates in bytes/s."""

    by_mirrors: float
    by_peers: float

    @property
    def rate(self) -> float:
        return self.by_mirrors + self.by_peers


@contextmanager
def both_sides(torrent: Path, mirror_rate: int | None = None, peer_rate: int = 0) -> Iterator[tuple[str, Seed]]:
    limits = Limits(rate_bytes_per_s=mirror_rate) if mirror_rate else Limits()
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=limits) as mirror,
        seeds(torrent.read_bytes(), torrent.parent / "seed", 1, rate_bytes_per_s=peer_rate) as peers,
    ):
        yield mirror.url("/f"), peers[0]


@asynccontextmanager
async def begun(
    torrent: Path, folder: Path, url: str, peer: Seed, **options: Any
) -> AsyncIterator[tuple[Client, Task]]:
    settled: dict[str, Any] = {**ALONE, "dir": str(folder), "peers": (peer.address,), **options}
    async with asyncio.timeout(30), Client(Options(**settled)) as client:
        yield client, client.add(str(torrent), mirrors=(url,))


async def moved(task: Task, seconds: float) -> Moved:
    """What each side brings from now on, so long."""

    def of(progress: Progress, kind: SourceKind) -> int:
        return sum(each.bytes + each.wasted_bytes for each in progress.sources if each.kind is kind)

    before = task.progress()
    await asyncio.sleep(seconds)
    after = task.progress()
    mirrors, peers = ((of(after, kind) - of(before, kind)) / seconds for kind in (SourceKind.HTTP, SourceKind.PEERS))
    return Moved(mirrors, peers)


@pytest.mark.parametrize("options", [{"limit": LIMIT}, {"task_limit": LIMIT}])
def test_both_sides_together_keep_to_one_limit(tmp_path: Path, torrent: Path, options: dict[str, Any]) -> None:
    async def run() -> None:
        with both_sides(torrent) as (url, peer):
            async with begun(torrent, tmp_path, url, peer, **options) as (_, task):
                await asyncio.sleep(2.0)
                seen = await moved(task, 3.0)
                assert 0.6 * LIMIT <= seen.rate <= 1.12 * LIMIT, seen
                assert min(seen.by_mirrors, seen.by_peers) >= 0.2 * LIMIT, seen

    asyncio.run(run())


@pytest.mark.parametrize("slow", ["mirror", "peer"])
def test_what_one_side_cannot_bring_the_other_does(tmp_path: Path, torrent: Path, slow: str) -> None:
    async def run() -> None:
        rates = {"mirror_rate": LIMIT // 8} if slow == "mirror" else {"peer_rate": LIMIT // 8}
        with both_sides(torrent, **rates) as (url, peer):
            async with begun(torrent, tmp_path, url, peer, limit=LIMIT) as (_, task):
                await asyncio.sleep(2.0)
                seen = await moved(task, 3.0)
                assert 0.55 * LIMIT <= seen.rate <= 1.12 * LIMIT, seen

    asyncio.run(run())


def test_peers_alone_have_all_of_it_and_no_more(tmp_path: Path, torrent: Path) -> None:
    async def run() -> None:
        with both_sides(torrent) as (url, peer):
            async with begun(torrent, tmp_path, url + "-not-there", peer, limit=LIMIT) as (_, task):
                await asyncio.sleep(2.0)
                seen = await moved(task, 3.0)
                assert 0.6 * LIMIT <= seen.by_peers <= 1.12 * LIMIT, seen

    asyncio.run(run())


def test_limits_change_while_it_runs(tmp_path: Path, torrent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = [7 * 3600.0]
    monkeypatch.setattr(pacing, "LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr(pacing.Keeper.__init__, "__defaults__", (lambda: hour[0],))

    async def run() -> None:
        with both_sides(torrent) as (url, peer):
            timetable = parse_limit("08:00-18:00=512K, 2M")
            async with begun(torrent, tmp_path, url, peer, limit=timetable) as (client, task):
                await asyncio.sleep(1.5)
                assert 1.2 * MIB <= (await moved(task, 3.0)).rate <= 2.3 * MIB
                hour[0] = 9 * 3600.0
                await asyncio.sleep(1.0)
                # In whole pieces: over a shorter time one more at either end is a third.
                assert (await moved(task, 3.0)).rate <= 640 * KIB
                client.change_limit("4M")
                await asyncio.sleep(1.0)
                assert 2.2 * MIB <= (await moved(task, 3.0)).rate <= 4.6 * MIB
                task.change_limit(MIB)
                # What peers had been asked for under the limit before still comes, and is left out of what follows.
                await asyncio.sleep(2.5)
                assert 0.3 * MIB <= (await moved(task, 3.0)).rate <= 1.2 * MIB
                task.change_limit(None)
                client.change_limit(None)
                assert (await task).bytes == SIZE

    asyncio.run(run())


def test_a_folder_and_a_file_share_a_limit(tmp_path: Path) -> None:
    """One download of movers alone beside one of libtorrent alone."""
    write_tree(tmp_path / "seed", {"tree/a": CONTENT[: 32 * MIB], "tree/b": CONTENT[: 32 * MIB]})
    told = metainfo(tmp_path / "seed" / "tree")
    (tmp_path / "tree.torrent").write_bytes(told)

    async def run() -> None:
        with seeding(told, tmp_path / "seed") as seed, LoopbackServer({"/f": generated(SIZE, seed=1)}) as mirror:
            options = Options(**{**ALONE, "dir": str(tmp_path / "out"), "peers": (seed.peer,), "limit": LIMIT})
            async with asyncio.timeout(30), Client(options) as client:
                folder, file = client.add(str(tmp_path / "tree.torrent")), client.add(mirror.url("/f"))
                await asyncio.sleep(3.0)
                before = [folder.progress().done_bytes, file.progress().done_bytes]
                await asyncio.sleep(3.0)
                rates = [
                    (task.progress().done_bytes - was) / 3 for task, was in zip((folder, file), before, strict=True)
                ]
                assert 0.6 * LIMIT <= sum(rates) <= 1.12 * LIMIT, rates
                assert min(rates) >= 0.25 * LIMIT, rates

    asyncio.run(run())


def test_uploads_keep_to_a_limit_that_changes(tmp_path: Path, torrent: Path) -> None:
    """What one client seeds another fetches, as fast as the first lets it."""

    async def run() -> None:
        options: dict[str, Any] = {**ALONE, "upload_limit": parse_limit("mon-sun=512K")}
        async with asyncio.timeout(30), Client(Options(**options, dir=str(torrent.parent / "seed"))) as giver:
            giving = await giver.seed(str(torrent))
            peers = (("127.0.0.1", giving.port),)
            async with Client(Options(**{**ALONE, "dir": str(tmp_path), "peers": peers})) as taker:
                task = taker.add(str(torrent))
                await asyncio.sleep(1.0)
                assert (await moved(task, 3.0)).by_peers <= 640 * KIB
                giver.change_upload_limit("4M")
                await asyncio.sleep(1.0)
                assert 2.2 * MIB <= (await moved(task, 3.0)).by_peers <= 4.6 * MIB
                with pytest.raises(UsageError):
                    giver.change_upload_limit("soon")
                giver.change_upload_limit(None)
                assert (await task).bytes == SIZE
            await giving.stop()

    asyncio.run(run())
    assert (tmp_path / NAME).stat().st_size == SIZE
