"""What is changed while a download runs: options, URLs, the choice of files; the servers and seeds are on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S, all_say, content_of, drive, failed, names
from tests.engine.swarm import ALONE, CONTENT, SIZE, made_torrent, seeds
from tests.engine.test_facts import FILES, first_urls, looked, rate_of, sole
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.leecher import leecher
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import metainfo, seeding, tree_of, write_tree
from thunderdl.client import Task
from thunderdl.engine import sharing_back
from thunderdl.errors import NotFound, UsageError
from thunderdl.leftovers import request_from_folder
from thunderdl.model import Result, SourceState, Status, UrlUse
from thunderdl.options import Options, Priority
from thunderdl.sources.swarm.collector import Collector, Plan
from thunderdl.sources.swarm.host import Host
from thunderdl.sources.swarm.settings import SwarmSettings
from thunderdl.sources.swarm.torrent import load
from thunderdl.storage.wishes import find_part_folders

SLOW = Limits(rate_bytes_per_s=4 * 1024 * 1024)


@pytest.fixture
def slow() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=SLOW) as server:
        yield server


def some_is_there(task: Task) -> bool:
    return task.progress().done_bytes > SIZE // 8


# -- options


def test_headers_of_a_running_download_change_and_no_byte_is_lost(tmp_path: Path, slow: LoopbackServer) -> None:
    async def change(task: Task) -> Result:
        await looked(task, some_is_there)
        before = task.progress().done_bytes
        assert task.change_options(headers=(("X-New", "yes"),), retries=3)
        assert task.change_options(user_agent="another"), "the same new beginning is for both"
        await looked(task, lambda task: task.progress().status is Status.ACTIVE and some_is_there(task))
        asked = len(slow.requests)
        result = await task.outcome()
        assert result.resumed_bytes >= before // 2
        assert sum(source.bytes for source in result.sources) + result.resumed_bytes == SIZE
        assert asked
        assert (slow.requests[-1].header("X-New"), slow.requests[-1].header("User-Agent")) == ("yes", "another")
        return result

    assert content_of(drive(change, slow.url("/f"), tmp_path)) == CONTENT


def test_some_options_need_no_new_beginning(tmp_path: Path, slow: LoopbackServer) -> None:
    async def change(task: Task) -> Result:
        await looked(task, some_is_there)
        asked = len({request.connection for request in slow.requests})
        changes: dict[str, Any] = {"task_limit": "1G", "priority": "high", "task_upload_limit": 5, "ratio": 0.0}
        assert not task.change_options(**changes)
        assert not task.change_options(**changes), "nothing has changed"
        assert not task.change_options(retries=0, timeout=5.0), "nothing has changed"
        assert task._options.task_limit == 1 << 30
        assert task._options.priority is Priority.HIGH
        result = await task.outcome()
        assert result.resumed_bytes == 0
        assert len({request.connection for request in slow.requests}) >= asked
        return result

    assert content_of(drive(change, slow.url("/f"), tmp_path)) == CONTENT


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jobs": 3}, "jobs: set for all downloads"),
        ({"nonsense": 3}, "no such option"),
        ({"task_limit": "x"}, "task_limit"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"dir": "/elsewhere", "out": "g"}, "dir and out cannot be changed any more"),
    ],
)
def test_what_cannot_be_changed_is_said_and_the_download_goes_on(
    tmp_path: Path, slow: LoopbackServer, changes: dict[str, Any], said: str
) -> None:
    async def change(task: Task) -> Result:
        await looked(task, some_is_there)
        with pytest.raises(UsageError, match=said):
            task.change_options(**changes)
        return await task.outcome()

    result = drive(change, slow.url("/f"), tmp_path)
    assert (content_of(result), result.resumed_bytes) == (CONTENT, 0)


def test_a_paused_one_takes_them_when_it_goes_on(tmp_path: Path, slow: LoopbackServer) -> None:
    async def change(task: Task) -> Result:
        await looked(task, some_is_there)
        task.pause()
        await looked(task, lambda task: task.progress().status is Status.PAUSED)
        assert not task.change_options(user_agent="another")
        assert task.progress().status is Status.PAUSED
        task.resume()
        return await task.outcome()

    assert content_of(drive(change, slow.url("/f"), tmp_path)) == CONTENT
    assert slow.requests[-1].header("User-Agent") == "another"


def test_a_limit_that_is_given_at_once_holds_for_a_torrent_too(tmp_path: Path) -> None:
    write_tree(tmp_path / "origin", FILES)
    (tmp_path / "set.torrent").write_bytes(made := metainfo(tmp_path / "origin" / "Set"))

    async def change(task: Task) -> Result:
        # Before the torrent is read.
        task.change_limit(100_000)
        await looked(task, lambda task: bool(task.peers()))
        limited = task._download.ranged
        assert limited is not None
        assert limited._candidates.pace._rate == 100_000
        task.cancel()
        return await task.outcome()

    with seeding(made, tmp_path / "origin") as seed:
        drive(change, str(tmp_path / "set.torrent"), tmp_path / "out", peers=(seed.peer,), dht=False, lsd=False)


def test_sharing_ends_and_slows_down_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(made_torrent(tmp_path / "seed"))
    with LoopbackServer({"/f": generated(SIZE, seed=1)}) as mirror, leecher(tmp_path / "theirs") as other:
        handle = other.add(torrent.read_bytes())
        handle.set_download_limit(1_000_000)

        async def change(task: Task) -> Result:
            await looked(task, lambda task: task.progress().status is Status.SHARING and rate_of(task) > 0)
            assert not task.change_options(task_upload_limit=20_000)
            assert not task.change_options(user_agent="what is whole does not begin again")
            sharing = task._download.sharing
            assert sharing is not None
            assert sharing._member is not None
            assert sharing._member._handle is not None
            assert sharing._member._handle.upload_limit() == 20_000
            task.change_options(ratio=None, seed_time=None)
            return await task.outcome()

        result = drive(
            change, str(torrent), tmp_path / "out", mirrors=(mirror.url("/f"),),
            **{**ALONE, "peers": (("127.0.0.1", other.port),), "seed_time": 1e6},
        )  # fmt: skip
    assert content_of(result) == CONTENT


# -- URLs


def test_a_mirror_joins_and_the_first_url_leaves(tmp_path: Path, slow: LoopbackServer) -> None:
    with LoopbackServer({"/g": generated(SIZE, seed=1)}, limits=SLOW) as other:

        async def change(task: Task) -> Result:
            await looked(task, some_is_there)
            assert task.change_urls(add=[other.url("/g"), slow.url("/f"), other.url("/g")]) == (0, 1)
            await looked(task, lambda task: sole(task.files()).urls[1].use is UrlUse.USED)
            assert task.change_urls(remove=[slow.url("/f"), "http://nobody.example/"]) == (1, 0)
            assert [url.url for url in sole(task.files()).urls] == [other.url("/g")]
            await looked(task, lambda task: task.progress().sources[0].lanes == 0)
            # It goes on from the mirror alone, also after a pause, and under the name of the first.
            task.pause()
            await looked(task, lambda task: task.progress().status is Status.PAUSED)
            asked = len(slow.requests)
            task.resume()
            result = await task.outcome()
            assert len(slow.requests) == asked
            assert result.resumed_bytes > SIZE // 8
            return result

        result = drive(change, slow.url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert names(tmp_path) == ["f"]


def test_one_that_was_taken_away_is_told_as_gone_and_may_come_back(tmp_path: Path, slow: LoopbackServer) -> None:
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=SLOW) as other:

        async def change(task: Task) -> Result:
            await looked(task, some_is_there)
            task.change_urls(remove=[other.url("/f")])
            source = task.progress().sources[1]
            assert (source.state, source.note) == (SourceState.GONE, "the user has taken it away")
            assert task.change_urls(remove=[other.url("/f")]) == (0, 0)
            assert task.change_urls(add=[other.url("/f")]) == (0, 1)
            await looked(task, lambda task: sole(task.files()).urls[-1].use is UrlUse.USED)
            return await task.outcome()

        result = drive(change, slow.url("/f"), tmp_path, mirrors=[other.url("/f")])
    assert content_of(result) == CONTENT
    assert not any("is not used" in note for note in result.notes)


def test_the_only_url_may_be_replaced_though_it_never_answered(tmp_path: Path, slow: LoopbackServer) -> None:
    with LoopbackServer({"/f": Resource(body=b"", behaviour=m.silence)}) as silent:

        async def change(task: Task) -> Result:
            await asyncio.to_thread(silent.wait_for, lambda server: bool(server.requests))
            with pytest.raises(UsageError, match="no URL would be left"):
                task.change_urls(remove=[silent.url("/f")])
            task.change_urls(remove=[silent.url("/f")], add=[slow.url("/f")])
            silent.release.set()
            return await task.outcome()

        result = drive(change, silent.url("/f"), tmp_path, timeout=0.3)
    assert content_of(result) == CONTENT


def test_with_the_only_one_taken_away_in_favour_of_a_dead_one_it_fails(tmp_path: Path, slow: LoopbackServer) -> None:
    with LoopbackServer() as gone:

        async def change(task: Task) -> Result:
            await looked(task, some_is_there)
            task.change_urls(remove=[slow.url("/f")], add=[gone.url("/f")])
            return await task.outcome()

        result = drive(change, slow.url("/f"), tmp_path)
    failed(result, NotFound, NotFound.exit_code, "404")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:,x", "nonsense", "http://[", "http://a/\nb"])
def test_what_is_no_url_is_refused(tmp_path: Path, slow: LoopbackServer, url: str) -> None:
    async def change(task: Task) -> Result:
        with pytest.raises(UsageError):
            task.change_urls(remove=[slow.url("/f")], add=[url])
        task.cancel()
        return await task.outcome()

    drive(change, slow.url("/f"), tmp_path)


def test_the_login_of_the_first_url_never_goes_to_another_server(tmp_path: Path, slow: LoopbackServer) -> None:
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=SLOW) as other:

        async def change(task: Task) -> Result:
            await looked(task, some_is_there)
            task.change_urls(remove=[slow.url("/f")], add=[other.url("/f")])
            await looked(task, lambda task: sole(task.files()).urls[0].use is UrlUse.USED)
            task.pause()
            await looked(task, lambda task: task.progress().status is Status.PAUSED)
            task.resume()
            return await task.outcome()

        result = drive(change, slow.url("/f"), tmp_path, token="secret")
        assert content_of(result) == CONTENT
        assert all_say(slow, "Authorization", "Bearer secret")
        assert all_say(other, "Authorization", None)


def test_a_mirror_joins_peers(tmp_path: Path, slow: LoopbackServer) -> None:
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(made_torrent(tmp_path / "seed"))

    async def change(task: Task) -> Result:
        await looked(task, lambda task: bool(task.peers()))
        assert task.change_urls(add=[slow.url("/f")]) == (0, 1)
        return await task.outcome()

    with seeds(torrent.read_bytes(), tmp_path / "seed", 1, rate_bytes_per_s=1_000_000) as (seed,):
        result = drive(change, str(torrent), tmp_path / "out", **{**ALONE, "peers": (seed.address,)})
    assert content_of(result) == CONTENT
    assert {source.url: source.bytes > 0 for source in result.sources} == {slow.url("/f"): True, "peers": True}


# -- a folder


class Folder:
    """A torrent of several files, slow to come."""

    def __init__(self, base: Path) -> None:
        write_tree(base / "origin", FILES)
        self.torrent, self.target = str(base / "set.torrent"), base / "out"
        self.made, self.origin = metainfo(base / "origin" / "Set"), base / "origin"
        (base / "set.torrent").write_bytes(self.made)

    def drive(self, script: Any, *, upload_limit: int = 0, **changes: Any) -> Result:
        with seeding(self.made, self.origin, upload_limit=upload_limit) as self.seed:
            peers = (self.seed.peer,)
            return drive(script, self.torrent, self.target, peers=peers, dht=False, lsd=False, utp=False, **changes)


def test_more_files_are_wanted_and_others_no_more(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    async def change(task: Task) -> Result:
        await looked(task, lambda task: any(0 < file.done_bytes < file.size_bytes for file in sized(task)))
        with pytest.raises(UsageError, match="none of the 4 files"):
            task.change_options(files="*.mkv")
        assert not task.change_options(files="*.iso,*.txt")
        assert [file.selected for file in task.files()] == [False, False, True, True]
        assert task.progress().size_bytes == 500_000
        await looked(task, lambda _: wished() == "*.iso,*.txt")
        folder.seed.limit(0)
        return await task.outcome()

    def wished() -> str | None:
        (found,) = find_part_folders(str(folder.target))
        request = request_from_folder(found, Options())
        return request.options.files if request.options else None

    result = folder.drive(change, upload_limit=400_000, files="a.bin")
    assert result.bytes == 500_000
    assert tree_of(folder.target) == {name: FILES[name] for name in ("Set/sub/b.iso", "Set/sub/c.txt")}
    assert names(folder.target / "Set") == ["sub"]


def test_what_is_finished_of_the_choice_before_ends_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    async def run() -> list[bool]:
        host = Host(SwarmSettings(listen="127.0.0.1:0", user_agent="t", dht=False, lsd=False))
        collector, everything = Collector(host, load(folder.made, "t")), frozenset(range(4))
        await collector.start(Plan(folder=str(folder.origin), wanted=everything))
        async with asyncio.timeout(LIMIT_S):
            await finished(collector)
            hearers, host._hearers = host._hearers, []
            collector.choose(everything)
            # libtorrent's word that it goes by the choice is not heard.
            seen = [(await collector.look()).finished]
            host._hearers = hearers
            collector.choose(everything)
            await finished(collector)
            await collector.stop()
            await host.close()
            return seen

    assert asyncio.run(run()) == [False]


async def finished(collector: Collector) -> None:
    for _ in range(round(LIMIT_S / 0.01)):
        if (await collector.look()).finished:
            return
        await asyncio.sleep(0.01)


def sized(task: Task) -> list[Any]:
    return [file for file in task.files() if file.size_bytes]


def test_a_web_seed_joins_and_another_leaves(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    pace = Limits(rate_bytes_per_s=400_000)
    held = {f"/base/{name}": Resource(body=body) for name, body in FILES.items()}
    with LoopbackServer(held, limits=pace) as one, LoopbackServer(held) as two:

        async def change(task: Task) -> Result:
            await looked(task, lambda task: any(url.use is UrlUse.USED for url in first_urls(task)))
            assert task.change_urls(remove=[one.url("/base/")], add=[two.url("/base")]) == (1, 1)
            assert [url.url for url in first_urls(task)] == [two.url("/base/Set/a.bin")]
            return await task.outcome()

        result = drive(
            change, folder.torrent, folder.target, mirrors=(one.url("/base/"),), dht=False, lsd=False, utp=False
        )
        assert two.total_sent > 0
    assert tree_of(folder.target) == FILES
    assert result.status is Status.COMPLETE


# -- looking again


def test_what_is_there_is_read_back_and_what_is_wrong_fetched_again(tmp_path: Path, slow: LoopbackServer) -> None:
    async def change(task: Task) -> Result:
        await looked(task, lambda task: bool(task.pieces() and 0 in task.pieces()))  # type: ignore[operator]
        task.pause()
        await looked(task, lambda task: task.progress().status is Status.PAUSED)
        with (tmp_path / "f.part").open("r+b") as part:
            part.write(b"wrong")
        assert task.recheck()
        task.resume()
        return await task.outcome()

    assert content_of(drive(change, slow.url("/f"), tmp_path)) == CONTENT


def test_what_has_ended_has_nothing_to_look_at(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")

    async def change(task: Task) -> Result:
        result = await task.outcome()
        assert not task.recheck()
        assert not task.change_options(user_agent="a")
        return result

    drive(change, server.url("/f"), tmp_path)
