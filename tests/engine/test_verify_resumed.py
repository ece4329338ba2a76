"""--verify-resumed: what an earlier run left is read back, and what is not as the journal says is fetched again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.runs import content_of, fetch
from tests.engine.stopped import CONTENT, stop_midway
from tests.servers.loopback import LoopbackServer
from thunderdl import Client, Options
from thunderdl.errors import UsageError


@pytest.mark.parametrize("verify_resumed", [False, True])
def test_rot_in_the_part_file(tmp_path: Path, server: LoopbackServer, *, verify_resumed: bool) -> None:
    stop_midway(server, tmp_path)
    with (tmp_path / "f.part").open("r+b") as part:
        part.seek(1000)
        part.write(b"rot")
    content = content_of(fetch(server.url("/f"), tmp_path, verify_resumed=verify_resumed))
    # On the same start of the machine the page cache is trusted, unless asked otherwise.
    assert (content == CONTENT) is verify_resumed


def test_what_all_downloads_share_is_not_for_one_task(tmp_path: Path) -> None:
    async def add() -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            client.add("http://127.0.0.1:9/f", limit=1)

    with pytest.raises(UsageError, match="limit"):
        asyncio.run(add())
