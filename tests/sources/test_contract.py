"""What a source of every protocol does alike: one suite, run over each.

Whoever adds a protocol adds a kind to :mod:`tests.sources.kinds` and its name here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.engine import runs
from tests.engine.runs import SHORT_S, content_of, drive, failed, names, sha256, stopped_after
from tests.servers.certificates import Certificates
from tests.servers.exchange import Resource
from tests.servers.loopback import Limits, LoopbackServer
from tests.sources.kinds import NAME, Faulty, Kind, kind_called
from thunderdl.client import Client
from thunderdl.engine.asking import Info
from thunderdl.errors import BadContent, ConnectionLost, InvalidUrl, NotFound, TimedOut
from thunderdl.model import Result, SourceKind, Status
from thunderdl.options import Options

SIZE = 3 * 1024 * 1024 + 4321
SMALL = 100_000
CUT = 300_000
LIMIT_BYTES_PER_S = 2 * 1024 * 1024

everywhere = pytest.mark.parametrize("kind", ["http", "http2", "ftp", "sftp", "file", "data"], indirect=True)
# Of any size, and with ranges.
with_ranges = pytest.mark.parametrize("kind", ["http", "http2", "ftp", "sftp", "file"], indirect=True)
over_a_wire = pytest.mark.parametrize("kind", ["http", "http2", "ftp", "sftp"], indirect=True)


@pytest.fixture
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Kind]:
    with kind_called(cast(str, request.param), tmp_path_factory.mktemp("served"), certificates) as made:
        yield made


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(5).randbytes(SIZE)


def fetch(kind: Kind, folder: Path, url: str | None = None, **changes: Any) -> Result:
    """Of ``url``, where that is another than the kind's own."""
    return runs.fetch(url or kind.url, folder, **kind.options, **changes)


def probe(kind: Kind) -> Info:
    async def ask() -> Info:
        async with Client(Options(retries=0, timeout=20.0, **kind.options)) as client:
            return await client.info(kind.url)

    return asyncio.run(ask())


@everywhere
def test_a_probe_tells_the_size_and_saves_nothing(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content[:SMALL])
    assert probe(kind).size_bytes == SMALL
    assert names(tmp_path) == []


@everywhere
@pytest.mark.parametrize("size", [0, 1, SMALL])
def test_a_small_file(kind: Kind, content: bytes, tmp_path: Path, size: int) -> None:
    kind.serve(content[:size])
    result = fetch(kind, tmp_path, out=NAME, checksum=sha256(content[:size]))
    assert content_of(result) == content[:size]
    assert names(tmp_path) == [NAME]


@with_ranges
@pytest.mark.parametrize("per_host", [1, 4])
def test_a_large_file(kind: Kind, content: bytes, tmp_path: Path, per_host: int) -> None:
    kind.serve(content)
    result = fetch(kind, tmp_path, checksum=sha256(content), per_host=per_host)
    assert content_of(result) == content
    assert names(tmp_path) == [NAME]


@with_ranges
def test_a_stream_brings_it_in_order(kind: Kind, content: bytes) -> None:
    async def read() -> bytes:
        async with Client(Options(retries=0, **kind.options)) as client:
            return b"".join([bytes(part) async for part in client.stream(kind.url)])

    kind.serve(content)
    assert asyncio.run(read()) == content


@with_ranges
def test_a_stopped_download_goes_on(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    stopped = drive(stopped_after(CUT), kind.url, tmp_path, limit=LIMIT_BYTES_PER_S, **kind.options)
    assert stopped.status is Status.CANCELLED
    assert names(tmp_path) == [f"{NAME}.part", f"{NAME}.part.journal"]
    result = fetch(kind, tmp_path, checksum=sha256(content))
    assert content_of(result) == content
    assert CUT <= result.resumed_bytes < SIZE
    assert names(tmp_path) == [NAME]


@with_ranges
def test_another_version_is_not_mixed_with_the_one_begun(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    drive(stopped_after(CUT), kind.url, tmp_path, limit=LIMIT_BYTES_PER_S, **kind.options)
    other = content[::-1]
    kind.serve(other)
    result = fetch(kind, tmp_path)
    assert content_of(result) == other
    assert result.resumed_bytes == 0
    assert any("thrown away" in note for note in result.notes)


@with_ranges
def test_a_limit_is_obeyed(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content[: LIMIT_BYTES_PER_S // 2])
    result = fetch(kind, tmp_path, limit=LIMIT_BYTES_PER_S)
    # A bucket may be full at first.
    assert result.seconds > 0.2
    assert content_of(result) == content[: LIMIT_BYTES_PER_S // 2]


@everywhere
def test_wrong_bytes_are_not_saved(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content[:SMALL])
    result = fetch(kind, tmp_path, out=NAME, checksum=sha256(b"other"))
    failed(result, BadContent, 7)
    assert NAME not in names(tmp_path)


@everywhere
def test_what_is_spoken_is_told(kind: Kind, content: bytes, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind.serve(content[:SMALL])
    spoken = {"http2": "http"}.get(request.node.callspec.params["kind"], request.node.callspec.params["kind"])
    assert [each.kind for each in fetch(kind, tmp_path, out=NAME).sources] == [SourceKind(spoken)]


@everywhere
def test_what_is_not_there_fails_and_leaves_nothing(kind: Kind, tmp_path: Path) -> None:
    kind.serve(b"other")
    result = fetch(kind, tmp_path, kind.gone_url)
    failed(result, InvalidUrl if kind.url.startswith("data:") else NotFound, 2 if kind.url.startswith("data:") else 3)
    assert names(tmp_path) == []


@with_ranges
def test_it_brings_a_part_beside_a_web_server(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    with LoopbackServer({f"/{NAME}": Resource(body=content)}, limits=Limits(rate_bytes_per_s=1e6)) as web:
        result = fetch(kind, tmp_path, web.url(f"/{NAME}"), mirrors=[kind.url], checksum=sha256(content))
    assert content_of(result) == content
    assert all(source.bytes for source in result.sources)


@with_ranges
def test_it_helps_where_the_first_source_is_gone(
    kind: Kind, content: bytes, tmp_path: Path, server: LoopbackServer
) -> None:
    kind.serve(content)
    result = fetch(kind, tmp_path, server.url(f"/{NAME}"), mirrors=[kind.url], checksum=sha256(content))
    assert content_of(result) == content


@over_a_wire
def test_silence_is_given_up(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    cast(Faulty, kind).stall_after(0)
    failed(fetch(kind, tmp_path, timeout=SHORT_S), TimedOut, 4)
    cast(Faulty, kind).stall_after(None)
    assert content_of(fetch(kind, tmp_path)) == content


@over_a_wire
def test_a_body_that_ends_too_early_is_no_file(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    cast(Faulty, kind).cut_after(0)
    failed(fetch(kind, tmp_path), ConnectionLost, 4)
    assert NAME not in names(tmp_path)


@over_a_wire
def test_bodies_that_end_too_early_are_tried_again(kind: Kind, content: bytes, tmp_path: Path) -> None:
    kind.serve(content)
    cast(Faulty, kind).cut_after(CUT)
    result = fetch(kind, tmp_path, checksum=sha256(content), per_host=1)
    assert content_of(result) == content
