"""Several downloads that want one name, under RENAME: each gets one of its own, and none takes another's bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, drive, fetch, names, stopped_after
from tests.engine.stopped import CONTENT, CUT, KEPT, SIZE, stop_midway
from tests.engine.test_collections import ALONE, FILES, scene_of
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.torrents import tree_of
from thunderdl.client import Client
from thunderdl.model import Result, Status
from thunderdl.options import Exists, Options

SMALL = b"x" * 1000
OTHER = bytes(generated(SIZE, seed=2).span(0, SIZE))


def together(folder: Path, *urls: str) -> list[Result]:
    """How they end that are added at once."""
    options = Options(dir=str(folder), retries=0, timeout=5.0, checksum_files=False, exists=Exists.RENAME)

    async def run() -> list[Result]:
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            tasks = [client.add(url) for url in urls]
            return [await task.outcome() for task in tasks]

    return asyncio.run(run())


@pytest.mark.parametrize("body", [SMALL, CONTENT])
@pytest.mark.parametrize("count", [2, 5])
def test_the_same_link_several_times_at_once(tmp_path: Path, server: LoopbackServer, body: bytes, count: int) -> None:
    server.resources["/f"] = Resource(body=body)
    results = together(tmp_path, *[server.url("/f")] * count)
    assert {content_of(result) for result in results} == {body}
    assert names(tmp_path) == sorted(Path(result.path or "").name for result in results)
    assert len(set(names(tmp_path))) == count
    assert names(tmp_path)[0] == "f"


@pytest.mark.parametrize("body", [SMALL, OTHER])
def test_what_another_download_has_left_stays_for_it(tmp_path: Path, server: LoopbackServer, body: bytes) -> None:
    stop_midway(server, tmp_path)
    server.resources["/else/f"] = Resource(body=body)
    result = fetch(server.url("/else/f"), tmp_path, exists=Exists.RENAME)
    assert (result.path, content_of(result)) == (str(tmp_path / "f (1)"), body)
    assert names(tmp_path) == ["f (1)", *KEPT]
    assert not [note for note in result.notes if "thrown away" in note]
    resumed = fetch(server.url("/f"), tmp_path, exists=Exists.RENAME)
    assert (resumed.path, content_of(resumed)) == (str(tmp_path / "f"), CONTENT)
    assert resumed.resumed_bytes >= CUT


def test_another_link_to_the_same_content_goes_on(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    server.resources["/else/f"] = generated(SIZE, seed=1)
    result = fetch(server.url("/else/f"), tmp_path, exists=Exists.RENAME)
    assert (result.path, content_of(result)) == (str(tmp_path / "f"), CONTENT)
    assert result.resumed_bytes >= CUT


def test_each_goes_on_with_its_own_whoever_is_first(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    server.release.clear()
    server.resources["/else/f"] = generated(SIZE, seed=2, behaviour=m.stall_after(CUT))
    drive(stopped_after(CUT), server.url("/else/f"), tmp_path / "beside")
    server.release.set()
    for part in KEPT:
        (tmp_path / "beside" / part).rename(tmp_path / f"f (1){part.removeprefix('f')}")
    (tmp_path / "beside").rmdir()
    assert names(tmp_path) == [*(f"f (1){part.removeprefix('f')}" for part in KEPT), *KEPT]
    second, first = together(tmp_path, server.url("/else/f"), server.url("/f"))
    assert (content_of(second), content_of(first)) == (OTHER, CONTENT)
    assert min(second.resumed_bytes, first.resumed_bytes) >= CUT
    assert names(tmp_path) == ["f", "f (1)"]


def test_its_part_is_found_behind_those_that_are_whole_by_now(tmp_path: Path, server: LoopbackServer) -> None:
    stop_midway(server, tmp_path)
    for part in KEPT:
        (tmp_path / part).rename(tmp_path / f"f (3){part.removeprefix('f')}")
    for other in ("f", "f (1)"):
        (tmp_path / other).write_bytes(b"another")
    result = fetch(server.url("/f"), tmp_path, exists=Exists.RENAME)
    assert (result.path, content_of(result)) == (str(tmp_path / "f (3)"), CONTENT)
    assert result.resumed_bytes >= CUT
    assert names(tmp_path) == ["f", "f (1)", "f (3)"]


def test_the_rest_of_another_torrent_of_the_same_name_stays_for_it(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    with scene.seeding(400_000) as seed:
        assert scene.stopped(seed).status is Status.CANCELLED
    (tmp_path / "more").mkdir()
    other = scene_of(tmp_path / "more", "v2")
    with other.seeding() as seed:
        result = fetch(other.torrent, scene.target, peers=(seed.peer,), **ALONE, exists=Exists.RENAME)
    assert result.path == str(scene.target / "Set (1)"), result.error
    assert names(scene.target) == ["Set (1)", "Set.part"]
    with scene.seeding() as seed:
        result = scene.fetch(seed, exists=Exists.RENAME)
    assert (result.path, result.resumed_bytes > 0) == (str(scene.target / "Set"), True)
    assert {f"Set/{name}": held for name, held in tree_of(scene.target / "Set").items()} == FILES
