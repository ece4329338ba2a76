"""A torrent's download that is stopped as it leaves the swarm, its last piece just there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.runs import content_of, drive
from tests.engine.swarm import ALONE, CONTENT, NAME, made_torrent
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.client import Task
from thunderdl.engine.exchange import Exchange
from thunderdl.model import Result, Status


def test_one_that_is_paused_as_it_leaves_the_swarm_can_go_on(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its torrent stays where it was, and the same one cannot be added beside it."""
    server.resources["/" + NAME] = Resource(body=CONTENT)
    torrent, leave = tmp_path / "x.torrent", Exchange.end
    torrent.write_bytes(made_torrent(tmp_path / "seed"))

    async def pause(task: Task) -> Result:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(exchange: Exchange) -> None:
            began.set()
            await go_on.wait()
            await leave(exchange)

        monkeypatch.setattr(Exchange, "end", slowly)
        await began.wait()
        task.pause()
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        async for progress in task:
            if progress.status is Status.PAUSED:
                break
        swarm = task._session._swarm
        assert swarm is not None
        assert swarm.session.get_torrents() == []
        task.resume()
        return await task.outcome()

    result = drive(pause, str(torrent), tmp_path / "out", mirrors=[server.url("/" + NAME)], **ALONE)
    assert result.status is Status.COMPLETE, result.error
    assert content_of(result) == CONTENT
