"""Who stops a download in the moment in which it gets its final name finds it finished, not stopped and in the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, drive, names
from tests.engine.test_collections import ALONE, FILES, SIZE, scene_of
from tests.servers.loopback import LoopbackServer, Resource, generated
from tests.servers.torrents import tree_of
from thunderdl.engine import session, single
from thunderdl.model import Result, Status
from thunderdl.storage.files import PartFile
from thunderdl.storage.folders import PartFolder
from thunderdl.task import Task

LIMIT_S = 30.0


class Held:
    """Holds what gives files their names back until it is let go."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real, self.reached, self.may_go = real, threading.Event(), threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.reached.set()
        assert self.may_go.wait(LIMIT_S)
        return self.real(*args, **kwargs)

    def stopped_there(self, how: str) -> Callable[[Task], Awaitable[Result]]:
        async def script(task: Task) -> Result:
            assert await asyncio.to_thread(self.reached.wait, LIMIT_S)
            getattr(task, how)()
            # So that it has heard of it before it is let go.
            await asyncio.sleep(0.05)
            self.may_go.set()
            if how == "pause":
                task.resume()
            return await task.outcome()

        return script


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Held]:
    def hold(owner: Any, name: str) -> Held:
        held = Held(getattr(owner, name))
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: held(*args, **kwargs))
        return held

    return hold


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_file_in_ranges(
    tmp_path: Path, server: LoopbackServer, hold: Callable[[Any, str], Held], how: str
) -> None:  # fmt: skip
    server.resources["/f"] = generated(3_000_000, seed=1)
    held = hold(PartFile, "commit")
    result = drive(held.stopped_there(how), server.url("/f"), tmp_path)
    assert (result.status, result.error, result.bytes) == (Status.COMPLETE, None, 3_000_000)
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_small_file_on_a_slow_disk(
    tmp_path: Path, server: LoopbackServer, hold: Callable[[Any, str], Held], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(session, "SLOW_DISK_S", -1.0)
    server.resources["/f"] = Resource(body=b"small")
    held = hold(single, "_write")
    result = drive(held.stopped_there(how), server.url("/f"), tmp_path)
    assert (result.status, result.error, result.bytes) == (Status.COMPLETE, None, 5)
    assert content_of(result) == b"small"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_folder(tmp_path: Path, hold: Callable[[Any, str], Held], how: str) -> None:
    scene = scene_of(tmp_path)
    held = hold(PartFolder, "publish")
    with scene.seeding() as seed:
        # Not shared after it was stopped, whatever was asked for.
        result = drive(
            held.stopped_there(how), scene.torrent, scene.target, peers=(seed.peer,), ratio=9.0, **ALONE
        )  # fmt: skip
    assert (result.status, result.error, result.bytes) == (Status.COMPLETE, None, SIZE)
    assert result.verified == ("pieces:sha1",)
    assert tree_of(scene.target) == FILES
    assert names(scene.target) == ["Set"]
