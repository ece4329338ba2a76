"""What a session has of torrents whose adder is gone before it has them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.engine.runs import LIMIT_S
from tests.servers.torrents import content, metainfo
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.settings import SwarmSettings


class HeldUp:
    """In the place of libtorrent's session: it adds nothing before it may."""

    def __init__(self, session: lt.session) -> None:
        self._session = session
        self.is_asked, self.may_add = threading.Event(), threading.Event()

    def add_torrent(self, params: lt.add_torrent_params) -> lt.torrent_handle:
        self.is_asked.set()
        assert self.may_add.wait(LIMIT_S)
        return self._session.add_torrent(params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def unheard(_: object) -> None:
    return


@pytest.mark.parametrize("holder", [None, "holder"])
def test_what_is_added_for_somebody_who_is_gone_by_then_is_removed(tmp_path: Path, holder: str | None) -> None:
    (tmp_path / "f").write_bytes(content(100_000))
    torrent = metainfo(tmp_path / "f")

    def params() -> lt.add_torrent_params:
        made = lt.load_torrent_buffer(torrent)
        made.save_path = str(tmp_path / "out")
        return made

    async def run() -> None:
        host = Host(SwarmSettings(listen="127.0.0.1:0", user_agent="t", dht=False, lsd=False))
        session = HeldUp(host.session)
        host.session = cast(lt.session, session)
        adding = asyncio.create_task(host.add(params(), unheard, holder))
        assert await asyncio.to_thread(session.is_asked.wait, LIMIT_S)
        adding.cancel()
        session.may_add.set()
        await asyncio.wait({adding})
        assert adding.cancelled()
        assert session.get_torrents() == []
        if holder is not None:
            # It is still whose it was, until that one leaves.
            with pytest.raises(SwarmFault, match="under way here already"):
                await host.add(params(), unheard, "another")
            host.leave(holder)
        await host.add(params(), unheard, "another")
        await host.close()

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await run()

    asyncio.run(limited())
