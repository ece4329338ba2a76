"""A mirror that is stopped while a thread of the disk is at work for it: its folder is free once it has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S
from tests.servers.loopback import LoopbackServer
from tests.servers.site import Site
from thunderdl.client import Client
from thunderdl.mirroring import Mirror
from thunderdl.options import Options
from thunderdl.storage.mirror_state import MirrorState


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        yield Site(server)


async def _heard() -> None:
    """The loop has gone round often enough for a task to have had its cancellation, and to have ended by it."""
    for _ in range(8):
        await asyncio.sleep(0)


def test_a_folder_that_is_locked_for_a_stopped_run_is_unlocked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, opened = threading.Event(), threading.Event(), MirrorState.open

    def slowly(folder: str) -> MirrorState:
        began.set()
        go_on.wait(LIMIT_S)
        return opened(folder)

    monkeypatch.setattr(MirrorState, "open", slowly)

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Client(Options(retries=0)) as client:
            mirror = Mirror(client, site.url, str(tmp_path))
            asking = asyncio.ensure_future(anext(mirror.requests()))
            await asyncio.to_thread(began.wait, LIMIT_S)
            asking.cancel()
            await _heard()
            waited = not asking.done()
            go_on.set()
            assert waited
            with pytest.raises(asyncio.CancelledError):
                await asking
            await mirror.finish(was_cut=True)
            opened(str(tmp_path)).close()

    asyncio.run(run())


def test_nothing_is_removed_from_a_folder_that_is_another_runs_again(site: Site, tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()
    site.put("kept", b"kept")
    (tmp_path / "stray").write_bytes(b"stray")

    def slowly(name: str) -> None:
        began.set()
        go_on.wait(LIMIT_S)

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Client(Options(retries=0, checksum_files=False)) as client:
            mirror = Mirror(client, site.url, str(tmp_path), delete=True, on_deleted=slowly)
            async for result in client.run(mirror.requests()):
                await mirror.settle(result)
            ending = asyncio.create_task(mirror.finish())
            await asyncio.to_thread(began.wait, LIMIT_S)
            for _ in range(2):
                ending.cancel()
                await _heard()
            waited = not ending.done()
            go_on.set()
            assert waited
            with pytest.raises(asyncio.CancelledError):
                await ending
            MirrorState.open(str(tmp_path)).close()

    asyncio.run(run())
