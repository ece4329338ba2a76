"""Client.run: every request has its result, few at once, whether requests come at once or in their own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl import Client, Options, Request

COUNT = 60


def requests(server: LoopbackServer) -> Iterator[Request]:
    for number in range(COUNT):
        yield Request(server.url(f"/{number}" if number % 10 else "/missing"))


@pytest.mark.parametrize("is_async", [False, True])
def test_every_request_has_a_result(tmp_path: Path, server: LoopbackServer, is_async: bool) -> None:
    for number in range(COUNT):
        server.resources[f"/{number}"] = Resource(body=b"x" * (number + 1))

    async def in_their_own_time() -> AsyncIterator[Request]:
        for request in requests(server):
            await asyncio.sleep(0)
            yield request

    async def run() -> list[str | None]:
        async with Client(Options(dir=str(tmp_path), jobs=4)) as client:
            source = in_their_own_time() if is_async else requests(server)
            results = []
            async for result in client.run(source):
                assert len(client.tasks()) <= 4
                results.append(result)
            assert client.tasks() == ()
            assert (client.totals().files_done, client.totals().files_failed) == (54, 6)
            return [result.path for result in results]

    paths = asyncio.run(run())
    assert len(paths) == COUNT
    assert sorted(filter(None, paths)) == sorted(str(path) for path in tmp_path.iterdir())


def test_no_requests_at_all(tmp_path: Path) -> None:
    async def run() -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            assert [result async for result in client.run(())] == []

    asyncio.run(run())
