"""What a running task tells of its pieces, files, peers and swarm; the servers and seeds are real, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.engine.runs import cancelled_at, content_of, drive, piece_hashes
from tests.engine.swarm import ALONE, CONTENT, NAME, PIECE_BYTES, SIZE, Kind, made_torrent, seeds
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.leecher import leecher
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import content, metainfo, seeding, write_tree
from thunderdl.client import Task
from thunderdl.core.trust import Version
from thunderdl.engine import sharing_back
from thunderdl.engine.facts import Facts
from thunderdl.model import FileProgress, PieceTable, Result, Status, UrlUse
from thunderdl.options import Options
from thunderdl.sources.swarm import crowd
from thunderdl.sources.swarm.torrent import TorrentFile

COUNT = -(-SIZE // PIECE_BYTES)
PACE = Limits(rate_bytes_per_s=8 * 1024 * 1024)
FILES = {"Set/a.bin": content(900_000), "Set/sub/b.iso": content(500_000, 2), "Set/sub/c.txt": b"", "Set/d": b"d"}


def looked(task: Task, see: Callable[[Task], bool]) -> Any:
    """Wait until a look shows it."""

    async def wait() -> None:
        while not see(task):
            assert not task.over.done(), task.over
            await asyncio.sleep(0.01)

    return wait()


def set_bits(table: PieceTable) -> set[int]:
    return {piece for piece in range(table.count) if piece in table}


def sole(files: tuple[FileProgress, ...]) -> FileProgress:
    (only,) = files
    return only


# -- from servers


def test_pieces_of_a_file_from_mirrors_grow_until_all_are_there(tmp_path: Path) -> None:
    server = LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE)

    async def watch(task: Task) -> Result:
        assert task.pieces() is None
        before = set[int]()
        async for progress in task:
            if (table := task.pieces()) is not None:
                assert (table.piece_length, table.count) == (256 * 1024, 25)
                assert before <= set_bits(table)
                before = set_bits(table)
                assert len(before) * table.piece_length <= progress.done_bytes + table.piece_length
                assert task.pieces() is table, "made again though nothing has changed"
        result = await task.outcome()
        assert before
        last = task.pieces()
        assert last is not None
        assert last.bitfield == b"\xff\xff\xff\x80"
        return result

    with server:
        drive(watch, server.url("/f"), tmp_path)


def test_with_hashes_of_pieces_those_are_the_pieces_and_only_proven_ones_count(tmp_path: Path) -> None:
    server = LoopbackServer({"/f": generated(SIZE, seed=1, behaviour=m.corrupt_from(0))}, limits=PACE)

    async def watch(task: Task) -> Result:
        tables = []
        async for _ in task:
            tables.append(task.pieces())
        known = [table for table in tables if table is not None]
        assert {(table.piece_length, table.count) for table in known} == {(PIECE_BYTES, COUNT)}
        assert not any(0 in table for table in known)
        return await task.outcome()

    with server:
        result = drive(watch, server.url("/f"), tmp_path, piece_hashes=piece_hashes(CONTENT, PIECE_BYTES))
    assert result.status is Status.FAILED


def owned(task: Task) -> set[int]:
    """Whose the cells of the map are; whatever there is of one came from somebody."""
    cells, owners = task.progress().piece_map, task.piece_sources()
    assert len(cells) == len(owners)
    assert [at for at, cell in enumerate(cells) if cell and not owners[at]] == []
    return set(owners)


def test_each_cell_of_the_map_is_of_who_brought_it(tmp_path: Path) -> None:
    one, other = (LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) for _ in range(2))

    async def watch(task: Task) -> Result:
        assert task.piece_sources() == b""
        seen = set[int]()
        async for progress in task:
            if progress.piece_map:
                seen = owned(task)
        assert seen == {1, 2}
        return await task.outcome()

    with one, other:
        drive(watch, one.url("/f"), tmp_path, mirrors=[other.url("/f")])


def test_what_an_earlier_run_brought_is_of_nobody(tmp_path: Path) -> None:
    async def stop(task: Task) -> Result:
        return await cancelled_at(task, lambda progress: progress.done_bytes >= SIZE // 2)

    async def watch(task: Task) -> Result:
        async for progress in task:
            if progress.piece_map and progress.done_bytes > progress.resumed_bytes:
                assert {0, 1} >= set(task.piece_sources())
        assert set(task.piece_sources()) == {0, 1}
        return await task.outcome()

    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as server:
        drive(stop, server.url("/f"), tmp_path)
        drive(watch, server.url("/f"), tmp_path)


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_small_file_that_came_at_once(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = Resource(body=bytes(size))

    async def watch(task: Task) -> Result:
        file = sole(task.files())
        assert (file.index, file.path, file.size_bytes) == (1, str(tmp_path / "f"), None)
        result = await task.outcome()
        table, file = task.pieces(), sole(task.files())
        assert table is not None
        assert set_bits(table) == set(range(table.count))
        assert table.count == -(-size // table.piece_length)
        assert (file.path, file.size_bytes, file.done_bytes) == (result.path, size, size)
        assert task.progress().path == result.path
        assert (task.peers(), task.swarm()) == ((), None)
        return result

    drive(watch, server.url("/f"), tmp_path)


def test_where_nobody_tells_the_size_there_are_no_pieces(tmp_path: Path) -> None:
    unsized = generated(SIZE, seed=1, behaviour=m.together(m.no_ranges, m.chunked))

    async def watch(task: Task) -> Result:
        connections = set()
        async for progress in task:
            assert task.pieces() is None or progress.status in (Status.VERIFYING, Status.COMPLETE)
            connections.add(progress.connections)
        assert 1 in connections
        return await task.outcome()

    with LoopbackServer({"/f": unsized}, limits=PACE) as server:
        drive(watch, server.url("/f"), tmp_path)


def test_the_urls_of_a_file_and_what_becomes_of_each(tmp_path: Path) -> None:
    slow = Limits(rate_bytes_per_s=1024 * 1024)
    with (
        LoopbackServer(
            {"/f": generated(SIZE, seed=1), "/r": Resource(body=b"", behaviour=m.redirect("/f"))}, limits=slow
        ) as one,
        LoopbackServer({"/f": Resource(body=b"", behaviour=m.status(404))}) as gone,
        LoopbackServer({"/f": Resource(body=b"", behaviour=m.silence)}) as silent,
    ):
        urls = (one.url("/r"), gone.url("/f"), silent.url("/f"))

        async def watch(task: Task) -> Result:
            await looked(
                task,
                lambda task: (
                    [url.use for url in sole(task.files()).urls] == [UrlUse.USED, UrlUse.BANNED, UrlUse.WAITING]
                ),
            )
            told = sole(task.files()).urls
            assert tuple(url.url for url in told) == urls
            assert [url.current_url for url in told] == [one.url("/f"), *urls[1:]]
            await looked(task, lambda task: sole(task.files()).urls[0].rate_bytes_per_s > 0)
            progress = task.progress()
            assert progress.path == str(tmp_path / "r")
            assert progress.connections == sum(source.lanes for source in progress.sources) > 0
            task.cancel()
            return await task.outcome()

        drive(watch, urls[0], tmp_path, mirrors=urls[1:])


def test_a_relative_folder_gives_absolute_paths(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.resources["/f"] = Resource(body=b"x")

    async def watch(task: Task) -> Result:
        assert sole(task.files()).path == str(tmp_path / "sub" / "f")
        result = await task.outcome()
        assert sole(task.files()).path == task.progress().path == str(tmp_path / "sub" / "f")
        return result

    drive(watch, server.url("/f"), Path("sub"))


# -- from a swarm


@pytest.fixture
def quick_trackers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "TRACKERS_EVERY_S", 0.0)


def dated(folder: Path, *trackers: str) -> Path:
    tree = cast(dict[bytes, Any], lt.bdecode(made_torrent(folder / "seed", Kind.HYBRID)))
    tree |= {b"comment": b"of a test", b"creation date": 1_700_000_000}
    if trackers:
        tree[b"announce-list"] = [[tracker.encode()] for tracker in trackers]
    (folder / "t.torrent").write_bytes(lt.bencode(cast(Any, tree)))
    return folder / "t.torrent"


def test_a_file_from_peers_and_a_mirror(tmp_path: Path) -> None:
    torrent = dated(tmp_path)
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=Limits(rate_bytes_per_s=512 * 1024)) as mirror,
        seeds(torrent.read_bytes(), tmp_path / "seed", 1, rate_bytes_per_s=1024 * 1024) as (seed,),
    ):

        async def watch(task: Task) -> Result:
            await looked(task, lambda task: bool(task.peers()) and task.peers()[0].down_bytes_per_s > 0)
            (peer,) = task.peers()
            assert (peer.address, peer.port) == seed.address
            assert (peer.is_seed, peer.progress, peer.bitfield) == (True, 1.0, b"")
            assert len(peer.peer_id) == 20
            assert "libtorrent" in peer.client
            assert not peer.peer_choking
            (peer,) = task.peers(with_bitfields=True)
            assert peer.bitfield == b"\xff" * (COUNT // 8) + bytes([0xFF00 >> COUNT % 8 & 0xFF])
            await looked(task, lambda task: bool(set_bits(table_of(task))) and owned(task) >= {1, 2})
            table, swarm = table_of(task), task.swarm()
            assert (table.piece_length, table.count) == (PIECE_BYTES, COUNT)
            assert swarm is not None
            assert [len(swarm.info_hash_v1), len(swarm.info_hash_v2)] == [40, 64]
            assert (swarm.name, swarm.comment, swarm.created) == (NAME, "of a test", 1_700_000_000)
            assert (swarm.is_single, swarm.is_seeding, swarm.has_metadata) == (True, False, True)
            assert (swarm.seeders, swarm.peers) == (1, 1)
            progress = task.progress()
            assert progress.connections == 1 + sum(
                each.lanes for each in progress.sources if each.url == mirror.url("/f")
            )
            file = sole(task.files())
            assert file.path == str(tmp_path / "out" / NAME)
            assert [url.url for url in file.urls] == [mirror.url("/f")]
            assert file.selected
            seed.handle.set_upload_limit(0)
            result = await task.outcome()
            assert set_bits(table_of(task)) == set(range(COUNT))
            return result

        result = drive(
            watch, str(torrent), tmp_path / "out", mirrors=(mirror.url("/f"),), **{**ALONE, "peers": (seed.address,)}
        )
    assert content_of(result) == CONTENT


def table_of(task: Task) -> PieceTable:
    return task.pieces() or PieceTable(piece_length=1, count=0, bitfield=b"")


def test_a_folder_in_part_and_its_web_seed(tmp_path: Path) -> None:
    write_tree(tmp_path / "origin", FILES)
    made = metainfo(tmp_path / "origin" / "Set")
    (tmp_path / "set.torrent").write_bytes(made)
    slow = Limits(rate_bytes_per_s=400_000)
    with (
        LoopbackServer({f"/base/{name}": Resource(body=held) for name, held in FILES.items()}, limits=slow) as web,
        seeding(made, tmp_path / "origin", upload_limit=600_000) as seed,
    ):
        paths = list[str | None]()

        async def watch(task: Task) -> Result:
            assert task.files() == ()
            await looked(task, lambda task: any(url.use is UrlUse.USED for url in first_urls(task)))
            await looked(task, lambda task: bool(set_bits(table_of(task))))
            files = task.files()
            root = tmp_path / "out" / "Set"
            ordered = sorted(FILES)
            assert [file.path for file in files] == [str(root / name.partition("/")[2]) for name in ordered]
            assert [file.size_bytes for file in files] == [len(FILES[name]) for name in ordered]
            assert [file.index for file in files] == [1, 2, 3, 4]
            assert [file.selected for file in files] == [True, True, False, False]
            assert [url.url for url in first_urls(task)] == [web.url("/base/Set/a.bin")]
            table = table_of(task)
            there = sum(min(PIECE_BYTES, 900_000 - piece * PIECE_BYTES) for piece in set_bits(table) if piece < 14)
            assert files[0].done_bytes == there > 0
            swarm = task.swarm()
            assert swarm is not None
            assert (swarm.is_single, swarm.name) == (False, "Set")
            result = await task.outcome()
            assert [file.done_bytes for file in task.files() if file.selected] == [900_000, 1]
            paths.extend(file.path for file in task.files() if file.selected)
            return result

        drive(
            watch, str(tmp_path / "set.torrent"), tmp_path / "out", mirrors=(web.url("/base/"),), peers=(seed.peer,),
            dht=False, lsd=False, utp=False, files="Set/a.bin,Set/d",
        )  # fmt: skip
        assert [Path(path or "").stat().st_size for path in paths] == [900_000, 1]


@pytest.mark.parametrize("chosen", [None, {1, 3}, {4}])
def test_which_files_are_wanted_is_known_without_a_list_of_them(
    chosen: set[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Number 2 is padding or a link, which are no files.
    files = tuple(
        TorrentFile(path=f"Set/sub/{number}", size_bytes=1, start=number, index=number) for number in (0, 1, 3, 4)
    )
    torrent = SimpleNamespace(files=files, is_single=False, size_bytes=5, piece_length=PIECE_BYTES, web_seeds=())
    ranged = SimpleNamespace(torrent=torrent, chosen=chosen, here=None, web_seeds=())
    download = SimpleNamespace(ranged=ranged, path=None, is_whole=False, options=Options(torrent="x"), crowd=None)
    facts = Facts(cast(Any, download))
    assert facts.wanted() is None
    download.path = str(tmp_path / "Mine")
    listed = [file.path for file in facts.files() if file.selected]
    monkeypatch.setattr(Facts, "_files_of", None)
    assert facts.wanted() == (len(listed), listed[0])


def first_urls(task: Task) -> tuple[Any, ...]:
    files = task.files()
    return files[0].urls if files else ()


@pytest.mark.usefixtures("quick_trackers")
def test_what_trackers_said(tmp_path: Path) -> None:
    count = b"d8:completei7e10:incompletei3e8:intervali1800e5:peers0:e"
    with LoopbackServer(Everywhere(Resource(body=count))) as good, LoopbackServer() as bad:
        refused = "http://127.0.0.1:1/announce"
        # Each of them only hears of us where those before it fail.
        torrent = dated(tmp_path, refused, bad.url("/announce"))

        async def watch(task: Task) -> Result:
            await looked(task, lambda task: len(tracker_words(task)) == 3)
            swarm = task.swarm()
            assert swarm is not None
            assert swarm.tiers == ((refused,), (bad.url("/announce"),), (good.url("/announce"),))
            first, second, third = swarm.trackers
            assert (first.url, first.is_working, first.seeders) == (refused, False, None)
            assert "refused" in first.message
            assert (second.url, second.fails, second.is_working) == (bad.url("/announce"), 1, False)
            assert "not found" in second.message
            assert (third.url, third.message, third.fails, third.is_working) == (good.url("/announce"), "", 0, True)
            assert (third.seeders, third.leechers) == (7, 3)
            assert third.next_announce_s is not None
            assert 1000 < third.next_announce_s <= 1800
            task.cancel()
            return await task.outcome()

        drive(watch, str(torrent), tmp_path / "out", **{**ALONE, "trackers": (good.url("/announce"),)})


def rate_of(task: Task) -> float:
    return task.progress().upload_rate_bytes_per_s


class Everywhere(dict[str, Resource]):
    """One resource at every path, whatever the query."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def get(self, path: str, default: object = None) -> Resource:
        return self._resource


def tracker_words(task: Task) -> list[str]:
    swarm = task.swarm()
    return [each.message for each in swarm.trackers if each.is_working or each.fails] if swarm else []


def test_of_a_magnet_link_what_it_says_by_itself(tmp_path: Path) -> None:
    link = f"magnet:?xt=urn:btih:{'ab' * 20}&dn=some.iso&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce"

    async def watch(task: Task) -> Result:
        swarm = task.swarm()
        assert swarm is not None
        assert (swarm.info_hash_v1, swarm.info_hash_v2, swarm.name) == ("ab" * 20, "", "some.iso")
        assert (swarm.has_metadata, swarm.tiers) == (False, (("http://127.0.0.1:1/announce",),))
        assert (task.files(), task.pieces(), task.peers()) == ((), None, ())
        task.cancel()
        return await task.outcome()

    drive(watch, link, tmp_path, **ALONE)


def test_one_who_shares_tells_who_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)
    torrent = dated(tmp_path)
    with LoopbackServer({"/f": generated(SIZE, seed=1)}) as mirror, leecher(tmp_path / "theirs") as other:
        handle = other.add(torrent.read_bytes())
        handle.set_download_limit(1_000_000)

        async def watch(task: Task) -> Result:
            await looked(
                task, lambda task: task.progress().status is Status.SHARING and bool(task.peers() and rate_of(task))
            )
            swarm, (peer,) = task.swarm(), task.peers()
            assert swarm is not None
            assert swarm.is_seeding
            assert swarm.upload_rate_bytes_per_s == task.progress().upload_rate_bytes_per_s
            assert swarm.ratio == swarm.uploaded_bytes / SIZE
            assert not peer.is_seed
            assert not peer.am_choking
            assert set_bits(table_of(task)) == set(range(COUNT))
            assert sole(task.files()).path == str(tmp_path / "out" / NAME)
            task.cancel()
            return await task.outcome()

        result = drive(
            watch, str(torrent), tmp_path / "out", mirrors=(mirror.url("/f"),),
            **{**ALONE, "peers": (("127.0.0.1", other.port),), "ratio": 2.0},
        )  # fmt: skip
    assert result.status is Status.COMPLETE


def test_all_is_there_once_it_is_whole_though_nobody_knew_a_piece_before() -> None:
    """Nothing is known of pieces before they are looked at, nor of those of a file that came at once."""
    download = SimpleNamespace(
        version=Version(size=300_000), ranged=None, torrent=None, options=Options(), is_whole=False
    )  # fmt: skip
    facts = Facts(cast(Any, download))
    before = facts.pieces()
    assert before is not None
    assert (set_bits(before), facts.pieces() is before) == (set(), True)
    download.is_whole = True
    after = facts.pieces()
    assert after is not None
    assert set_bits(after) == set(range(after.count))
