"""One torrent twice: the second one is refused, also while the first one goes over from downloading to sharing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S, check_sentence
from tests.engine.test_collections import Scene, scene_of
from tests.engine.test_sharing_folders import peers_of
from tests.servers.torrents import content, metainfo
from thunderdl.client import Client
from thunderdl.engine import sharing_back, torrents
from thunderdl.engine.download import Download
from thunderdl.engine.sharing_back import SharingBack
from thunderdl.model import Result, Status, Whole
from thunderdl.options import Options
from thunderdl.sources.swarm.host import SwarmFault
from thunderdl.sources.swarm.torrent import load
from thunderdl.task import Request


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)


def single_of(folder: Path) -> Scene:
    """A torrent of one file, which mirrors could bring, too."""
    origin, torrent, target = folder / "origin", folder / "one.torrent", folder / "target"
    for each in (origin, target):
        each.mkdir()
    (origin / "one.bin").write_bytes(content(200_000))
    torrent.write_bytes(metainfo(origin / "one.bin"))
    return Scene(str(torrent), torrent.read_bytes(), origin, target)


@pytest.mark.parametrize("by", ["torrent", "magnet"])
@pytest.mark.parametrize("make", [scene_of, single_of])
def test_added_again_when_the_first_one_is_whole_and_not_shared_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Scene], by: str
) -> None:
    scene = make(tmp_path)
    again = load(scene.metainfo, "").magnet if by == "magnet" else scene.torrent
    seconds: list[Result] = []

    async def run() -> Result:
        with scene.seeding() as seed:
            options = Options(dir=str(scene.target), **peers_of(seed.peer[1]))
            async with asyncio.timeout(LIMIT_S), Client(options) as client:
                start = SharingBack.start

                async def held_up(self: SharingBack) -> None:
                    """It begins when the second one has come to its end."""
                    seconds.append(await client.add(again, dir=str(tmp_path / "second")).outcome())
                    await start(self)

                monkeypatch.setattr(SharingBack, "start", held_up)
                task = client.add(scene.torrent, ratio=9.0)
                while not (sharing := task._download.sharing) or sharing._began is None:
                    assert not task.over.done(), task.over.result()
                    await asyncio.sleep(0.005)
                task.cancel()
                result = await task.outcome()
                # Once it has left, another may have it.
                monkeypatch.setattr(SharingBack, "start", start)
                later = await client.add(scene.torrent, dir=str(tmp_path / "later")).outcome()
                assert later.status is Status.COMPLETE, later.error
                return result

    first = asyncio.run(run())
    assert (first.status, first.notes) == (Status.COMPLETE, ())
    (second,) = seconds
    assert second.status is Status.FAILED
    assert isinstance(second.error, SwarmFault)
    assert "under way here already" in check_sentence(second.error)


def refused(result: Result) -> None:
    assert result.status is Status.FAILED
    assert isinstance(result.error, SwarmFault)
    assert "under way here already" in check_sentence(result.error)


def test_added_again_when_peers_have_told_what_a_link_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    scene = single_of(tmp_path)
    seconds: list[Result] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    async def run() -> Result:
        with scene.seeding() as seed:
            options = Options(dir=str(scene.target), **peers_of(seed.peer[1]))
            async with asyncio.timeout(LIMIT_S), Client(options) as client:
                keep = torrents.keep

                async def held_up(*of: Any) -> None:
                    """The first one goes on when the second one has come to its end."""
                    monkeypatch.setattr(torrents, "keep", keep)
                    seconds.append(await client.add(scene.torrent, dir=str(tmp_path / "second")).outcome())
                    await keep(*of)

                monkeypatch.setattr(torrents, "keep", held_up)
                return await client.add(load(scene.metainfo, "").magnet).outcome()

    first = asyncio.run(run())
    assert first.status is Status.COMPLETE, first.error
    refused(*seconds)


def test_added_again_when_the_first_one_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = single_of(tmp_path)
    seconds: list[Result] = []

    async def run() -> Result:
        with scene.seeding() as seed:
            nobody = {**peers_of(seed.peer[1]), "peers": ()}
            async with asyncio.timeout(LIMIT_S), Client(Options(dir=str(scene.target), **nobody)) as client:
                task = client.add(scene.torrent)
                while (swarm := task._session._swarm) is None or not swarm._hearers:
                    assert not task.over.done(), task.over.result()
                    await asyncio.sleep(0.005)
                download = Download.run

                async def held_up(self: Download) -> Result:
                    """It goes on when the second one has come to its end."""
                    monkeypatch.setattr(Download, "run", download)
                    seconds.append(await client.add(scene.torrent, dir=str(tmp_path / "second"), timeout=1.0).outcome())
                    return await download(self)

                monkeypatch.setattr(Download, "run", held_up)
                assert task.change_options(peers=(seed.peer,))
                return await task.outcome()

    first = asyncio.run(run())
    refused(*seconds)
    assert first.status is Status.COMPLETE, first.error


def test_added_again_when_what_is_shared_again_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = single_of(tmp_path)
    path = scene.target / "one.bin"
    path.write_bytes((scene.origin / "one.bin").read_bytes())
    # Written to since: it is read and compared first.
    whole = Whole(path=str(path), size_bytes=200_000, torrent=scene.torrent, since=path.stat().st_ctime - 1)
    seconds: list[Result] = []

    async def run() -> Result:
        with scene.seeding() as seed:
            options = Options(dir=str(scene.target), **peers_of(seed.peer[1]), seed_time=0.1)
            async with asyncio.timeout(LIMIT_S), Client(options) as client:
                start = SharingBack.start

                async def held_up(self: SharingBack) -> None:
                    monkeypatch.setattr(SharingBack, "start", start)
                    seconds.append(await client.add(scene.torrent, dir=str(tmp_path / "second")).outcome())
                    await start(self)

                monkeypatch.setattr(SharingBack, "start", held_up)
                return await client.begin(Request(scene.torrent, options=client.options, whole=whole)).outcome()

    first = asyncio.run(run())
    assert (first.status, first.notes) == (Status.COMPLETE, ())
    refused(*seconds)
