"""Piece hashes that are fewer or more than the file has pieces: no byte goes unchecked, and nothing hangs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.runs import failed, fetch, names, piece_hashes
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, generated
from tests.servers.loopback import LoopbackServer
from thunderdl import Client, Options
from thunderdl.errors import BadContent


@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.parametrize("size", [200_000, 6_000_000])
@pytest.mark.parametrize("behaviour", [m.well, m.chunked])
def test_a_wrong_number_of_piece_hashes(
    tmp_path: Path, server: LoopbackServer, size: int, more: int, behaviour: Behaviour
) -> None:
    server.resources["/f"] = generated(size, seed=1, behaviour=behaviour)
    hashes = piece_hashes(bytes(generated(size, seed=1).span(0, size)), 65_536)
    digests = hashes.digests[:-1] if more < 0 else (*hashes.digests, bytes(32))
    result = fetch(server.url("/f"), tmp_path, piece_hashes=replace(hashes, digests=digests))
    failed(result, BadContent, 7, f"{len(digests)} pieces", f"{size} bytes")
    assert "f" not in names(tmp_path)


def test_a_wrong_number_of_piece_hashes_for_a_stream(server: LoopbackServer) -> None:
    server.resources["/f"] = generated(6_000_000, seed=1)
    hashes = piece_hashes(bytes(generated(6_000_000, seed=1).span(0, 6_000_000)), 65_536)

    async def read() -> None:
        async with Client(Options(timeout=10, retries=0)) as client:
            short = replace(hashes, digests=hashes.digests[:-1])
            async for _ in client.stream(server.url("/f"), piece_hashes=short):
                pass

    with pytest.raises(BadContent):
        asyncio.run(read())
