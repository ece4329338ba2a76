"""Client.stream: bytes in order, nothing far ahead of the reader, nothing wrong handed out."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.servers import misbehave as m
from tests.servers.exchange import Reply, Request, Resource, Step, generated
from tests.servers.loopback import LoopbackServer
from thunderdl import Client, Options
from thunderdl.errors import BadContent, BadResponse, NotFound, ThunderdlError
from thunderdl.model import Digest, PieceHashes

SIZE = 12 * 1024 * 1024 + 12345
MIB = 1024 * 1024


def content(size: int = SIZE) -> bytes:
    return bytes(generated(size, seed=3).span(0, size))


def pieces_of(body: bytes, length: int = MIB) -> PieceHashes:
    digests = tuple(hashlib.sha256(body[at : at + length]).digest() for at in range(0, len(body), length))
    return PieceHashes(algorithm="sha256", piece_length=length, digests=digests)


def streamed(url: str, stop_at: int | None = None, **changes: Any) -> bytes:
    async def read() -> bytes:
        got = bytearray()
        async with Client(Options(timeout=10, retries=0)) as client:
            async for part in client.stream(url, **changes):
                got += part
                if stop_at is not None and len(got) >= stop_at:
                    break
        return bytes(got)

    return asyncio.run(read())


def test_a_coded_body_that_breaks_off_is_an_error_of_its_server(server: LoopbackServer) -> None:
    def cut(request: Request, reply: Reply) -> Reply:
        reply = m.gzip_coded(request, reply)
        (packed,) = reply.blocks
        assert not isinstance(packed, Step)
        reply.blocks = [bytes(packed)[:-20]]
        return reply.header("Content-Length", str(len(packed) - 20))

    server.resources["/f"] = Resource(body=content(300_000), behaviour=cut)
    with pytest.raises(BadResponse, match="cannot be read"):
        streamed(server.url("/f"))


@pytest.mark.parametrize("size", [0, 1, 5000, 300_000, SIZE])
def test_the_bytes_come_in_order(server: LoopbackServer, size: int) -> None:
    body = content(size)
    server.resources["/f"] = Resource(body=body)
    assert streamed(server.url("/f"), window_bytes=4 * MIB) == body


def test_nothing_is_fetched_further_ahead_than_the_window(server: LoopbackServer) -> None:
    server.resources["/f"] = generated(200 * MIB, seed=3)
    got = streamed(server.url("/f"), stop_at=2 * MIB, window_bytes=8 * MIB)
    assert got == content(200 * MIB)[: len(got)]
    asked = [request.header("range") or "" for request in server.requests]
    furthest = max(int(value.rpartition("-")[2]) for value in asked)
    assert furthest < len(got) + 8 * MIB + MIB


def test_a_wrong_piece_is_never_handed_out(server: LoopbackServer) -> None:
    body = content()
    server.resources["/bad"] = generated(SIZE, seed=3, behaviour=m.corrupt_from(0))
    server.resources["/good"] = generated(SIZE, seed=3)
    got = streamed(
        server.url("/bad"), mirrors=(server.url("/good"),), piece_hashes=pieces_of(body), window_bytes=4 * MIB
    )
    assert got == body


def test_a_wrong_checksum_raises_after_the_last_byte(server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=3)
    with pytest.raises(BadContent):
        streamed(server.url("/f"), checksum=Digest("sha256", bytes(32)))


@pytest.mark.parametrize("behaviour", [m.no_ranges, m.chunked, m.gzip_coded])
def test_servers_without_ranges_stream_too(server: LoopbackServer, behaviour: Any) -> None:
    body = content()
    server.resources["/f"] = generated(SIZE, seed=3, behaviour=behaviour)
    assert streamed(server.url("/f"), checksum=Digest("sha256", hashlib.sha256(body).digest())) == body


def test_what_cannot_be_had_is_an_error(server: LoopbackServer) -> None:
    server.resources["/gone"] = Resource(body=b"", behaviour=m.status(404))
    server.resources["/short"] = generated(SIZE, seed=3, behaviour=m.reset_after(2 * MIB))
    with pytest.raises(NotFound):
        streamed(server.url("/gone"))
    server.resources["/dies"] = generated(SIZE, seed=3, behaviour=m.after(2, m.status(404)))
    with pytest.raises(ThunderdlError):
        streamed(server.url("/dies"))
