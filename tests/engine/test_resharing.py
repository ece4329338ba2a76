"""What an earlier run made whole goes on being shared: unchanged without a look, changed after one, gone not at all."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S, check_result, told_of
from tests.engine.test_collections import FILES, SIZE, Scene, scene_of
from tests.engine.test_seeding import free_port
from tests.servers.leecher import Leecher, leecher
from tests.servers.torrents import content, tree_of, write_tree
from tests.stopwatch import Stopwatch
from thunderdl.client import Client
from thunderdl.engine import sharing_back
from thunderdl.engine.creating import create_torrent
from thunderdl.model import Result, Status, Whole
from thunderdl.options import Options
from thunderdl.sources.swarm import checking
from thunderdl.task import Request, Task

CONTENT = random.Random(12).randbytes(2_000_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Leecher]:
    with leecher(tmp_path / "theirs") as running:
        yield running


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose pieces were read and compared."""
    seen: list[str] = []
    real = checking._wrong_pieces

    async def noted(host: Any, torrent: Any, *rest: Any) -> list[int]:
        seen.append(torrent.name)
        return await real(host, torrent, *rest)

    monkeypatch.setattr(checking, "_wrong_pieces", noted)
    return seen


@pytest.fixture
def single(tmp_path: Path) -> Whole:
    path = tmp_path / "ours" / "renamed.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    (tmp_path / "f.bin").write_bytes(CONTENT)
    made = create_torrent(str(tmp_path / "f.bin"), str(tmp_path / "t.torrent"))
    return Whole(path=str(path), size_bytes=len(CONTENT), torrent=made.path, since=time.time() + 1)


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Whole, Scene]:
    scene = scene_of(tmp_path)
    write_tree(scene.target, FILES)
    (scene.target / "Set").rename(scene.target / "Set (1)")
    whole = Whole(path=str(scene.target / "Set (1)"), size_bytes=SIZE, torrent=scene.torrent, since=time.time() + 1)
    return whole, scene


def share(whole: Whole, other: Leecher | None = None, **more: Any) -> tuple[Result, Whole | None]:
    """Until the other end has all of it, or by its goal."""

    # Before anybody comes: whom it turns away comes again in a minute.
    handle = other.add(Path(whole.torrent).read_bytes()) if other else None

    async def script(client: Client) -> tuple[Result, Whole | None]:
        task = client.begin(Request("http://127.0.0.1:1/gone.torrent", options=client.options, whole=whole))
        if other is None or handle is None:
            return await task.outcome(), None
        await asyncio.to_thread(other.finish, handle)
        stood = await standing(task)
        task.cancel()
        return await task.outcome(), stood

    async def standing(task: Task) -> Whole | None:
        # What was sent is seen at the next look, or the one after it: libtorrent counts each second.
        async for progress in task:
            if progress.uploaded_bytes >= whole.sent_bytes + told_of(whole.size_bytes):
                break
        return task.whole(whole.torrent)

    async def inside() -> tuple[Result, Whole | None]:
        settled: dict[str, Any] = {
            "dht": False, "lsd": False, "utp": False, "pex": False, "port": free_port(), "ratio": 9.0,
            "peers": (("127.0.0.1", other.port),) if other else (),
        }  # fmt: skip
        async with asyncio.timeout(LIMIT_S), Client(Options(**settled | more)) as client:
            return await script(client)

    result, stood = asyncio.run(inside())
    if other is not None:
        check_result(result)
    return result, stood


def test_a_file_is_shared_again_under_its_name(
    single: Whole, other: Leecher, checks: list[str], tmp_path: Path
) -> None:
    result, stood = share(single, other)
    assert (result.status, result.path, result.bytes) == (Status.COMPLETE, single.path, len(CONTENT))
    assert result.uploaded_bytes >= told_of(len(CONTENT))
    assert result.notes == ()
    assert (tmp_path / "theirs" / "f.bin").read_bytes() == CONTENT
    # Nothing was read for it that nobody asked for.
    assert checks == []
    assert stood is not None
    assert (stood.path, stood.size_bytes) == (single.path, single.size_bytes)
    assert 0 < stood.shared_s < LIMIT_S
    assert abs(stood.since - time.time()) < LIMIT_S


def test_a_folder_is_shared_again_under_its_name(
    folder: tuple[Whole, Scene], other: Leecher, checks: list[str], tmp_path: Path
) -> None:
    whole, _ = folder
    result, _ = share(whole, other)
    assert (result.status, result.path, result.bytes) == (Status.COMPLETE, whole.path, SIZE)
    assert tree_of(tmp_path / "theirs") == FILES
    assert checks == []


def test_some_files_of_a_folder(folder: tuple[Whole, Scene], other: Leecher, tmp_path: Path) -> None:
    whole, scene = folder
    for name in ("sub/b.iso", "sub/c.txt", "d"):
        (scene.target / "Set (1)" / name).unlink()
    handle = other.add(Path(whole.torrent).read_bytes())
    result, _ = share(
        Whole(path=whole.path, size_bytes=900_000, torrent=whole.torrent, since=whole.since),
        peers=(("127.0.0.1", other.port),), files="*.bin", ratio=0.5,
    )  # fmt: skip
    assert (result.status, result.notes) == (Status.COMPLETE, ())
    assert result.uploaded_bytes >= 450_000
    assert handle.status().total_done > 0
    assert {path.name for path in (scene.target / "Set (1)").iterdir()} == {"a.bin", "sub"}


def test_what_earlier_runs_sent_and_shared_counts(single: Whole) -> None:
    sent = Whole(**fields_of(single) | {"sent_bytes": len(CONTENT) * 2})
    result, _ = share(sent, ratio=2.0)
    assert (result.status, result.uploaded_bytes) == (Status.COMPLETE, len(CONTENT) * 2)
    watch = Stopwatch()
    assert share(Whole(**fields_of(single) | {"shared_s": 100.0}), ratio=None, seed_time=100.3)[0].notes == ()
    assert watch.wall_s > 0.25
    assert watch.took_s < 10


def fields_of(whole: Whole) -> dict[str, Any]:
    return {name: getattr(whole, name) for name in whole.__slots__}


def test_what_was_touched_is_read_and_compared_first(
    single: Whole, other: Leecher, checks: list[str], tmp_path: Path
) -> None:
    touched = Whole(**fields_of(single) | {"since": os.stat(single.path).st_ctime - 1})
    result, _ = share(touched, other)
    assert result.notes == ()
    assert checks == ["f.bin"]
    assert (tmp_path / "theirs" / "f.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["other bytes", "shorter", "gone", "no torrent", "is a folder"])
def test_what_is_another_now_is_not_shared(single: Whole, fault: str) -> None:
    path = Path(single.path)
    if fault == "other bytes":
        with path.open("r+b") as stream:
            stream.write(b"changed")
    elif fault == "shorter":
        os.truncate(path, 1000)
    elif fault == "gone":
        path.unlink()
    elif fault == "is a folder":
        path.unlink()
        path.mkdir()
    else:
        Path(single.torrent).unlink()
    since = time.time() if fault == "no torrent" else os.stat(path.parent).st_ctime - 1
    result, _ = share(Whole(**fields_of(single) | {"since": since}))
    # It was downloaded, whatever became of it.
    assert (result.status, result.error) == (Status.COMPLETE, None)
    assert (result.path, result.bytes) == (single.path, len(CONTENT))
    (note,) = result.notes
    assert note.startswith("not shared any more: ")
    assert result.uploaded_bytes == 0


def test_what_was_noted_is_noted_once_over_all_runs(single: Whole) -> None:
    torrent = Path(single.torrent)
    # Behind all other keys, as BEP 3 wants it.
    torrent.write_bytes(torrent.read_bytes()[:-1] + b"8:url-list9:no://seede")
    first, _ = share(single, ratio=None, seed_time=0.01)
    (note,) = first.notes
    assert "no URL of a web seed" in note
    again, _ = share(Whole(**fields_of(single) | {"notes": first.notes}), ratio=None, seed_time=0.01)
    assert again.notes == first.notes


def test_of_some_files_one_that_was_touched_is_not_shared(folder: tuple[Whole, Scene]) -> None:
    """The pieces at its ends reach into files that are not here, so nobody can compare them."""
    whole, _ = folder
    result, _ = share(Whole(**fields_of(whole) | {"since": 0.0}), files="*.bin")
    assert result.status is Status.COMPLETE
    assert "changed since" in result.notes[0]


def test_a_task_tells_how_its_sharing_stands(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)

    async def inside() -> None:
        options = Options(
            dht=False, lsd=False, utp=False, port=free_port(), ratio=9.0, dir=str(scene.target),
            peers=(seed.peer,),
        )  # fmt: skip
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            task = client.add(scene.torrent)
            assert (task.metainfo, task.whole("x")) == (None, None)
            async for progress in task:
                if progress.status is Status.SHARING:
                    break
            whole = task.whole("where.torrent")
            assert whole is not None
            assert (whole.path, whole.torrent, whole.size_bytes) == (str(scene.target / "Set"), "where.torrent", SIZE)
            assert task.metainfo == scene.metainfo
            task.cancel()
            await task.outcome()

    with scene.seeding() as seed:
        asyncio.run(inside())
    assert content(900_000) == (scene.target / "Set" / "a.bin").read_bytes()
