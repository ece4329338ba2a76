"""Answers that are broken as HTTP: lengths, chunks, heads, codings, ends. Small files and large ones.

A broken answer never becomes the file, and leaves a part file behind only where it holds something of use.
"""

from __future__ import annotations

import gc
import gzip
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.runs import SHORT_S, content_of, drive, failed, fetch, names, sha256
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Reply, Request, generated, plain
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import BadContent, BadResponse, ConnectionLost, ThunderdlError, TimedOut
from thunderdl.model import Progress, Result, Status
from thunderdl.task import Task

SMALL = b"0123456789" * 100
KEPT = ["f.part", "f.part.journal"]


def serve(server: LoopbackServer, content: bytes, *behaviours: Behaviour) -> str:
    server.resources["/f"] = Resource(body=content, behaviour=m.together(*behaviours))
    return server.url("/f")


@pytest.fixture(params=["small", "large"])
def body(request: pytest.FixtureRequest, content: bytes) -> bytes:
    """A file that is collected in memory, and one that goes through lanes."""
    return SMALL if request.param == "small" else content


@pytest.mark.parametrize("shape", [m.close_delimited, m.chunked])
@pytest.mark.parametrize("ranges", [True, False])
def test_no_content_length(
    tmp_path: Path, server: LoopbackServer, body: bytes, shape: Behaviour, *, ranges: bool
) -> None:
    url = serve(server, body, m.well if ranges else m.no_ranges, shape)
    result = fetch(url, tmp_path, checksum=sha256(body))
    assert content_of(result) == body
    assert result.bytes == len(body)
    assert result.verified
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("shape", [m.close_delimited, m.chunked])
def test_no_content_length_and_a_wrong_checksum(
    tmp_path: Path, server: LoopbackServer, body: bytes, shape: Behaviour
) -> None:
    result = fetch(serve(server, body, m.no_ranges, shape), tmp_path, checksum=sha256(b"other"))
    failed(result, BadContent, 7, "expected sha256=", server.url("/f"))
    assert "f" not in names(tmp_path)


def test_an_empty_file(tmp_path: Path, server: LoopbackServer) -> None:
    assert content_of(fetch(serve(server, b""), tmp_path, checksum=sha256(b""))) == b""
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("shape", [m.close_delimited, m.chunked])
def test_an_empty_file_without_length(tmp_path: Path, server: LoopbackServer, shape: Behaviour) -> None:
    assert content_of(fetch(serve(server, b"", m.no_ranges, shape), tmp_path)) == b""
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("rubbish", [b"", b"zz\r\n", b"-5\r\n", b"f" * 18 + b"\r\n", b"5\r\nab", b"5\r\nabcdeXX0\r\n"])
@pytest.mark.parametrize("ranges", [True, False])
def test_broken_chunks(tmp_path: Path, server: LoopbackServer, body: bytes, rubbish: bytes, *, ranges: bool) -> None:
    result = fetch(serve(server, body, m.well if ranges else m.no_ranges, m.broken_chunks(rubbish)), tmp_path)
    if ranges and result.error is None:
        # Every byte that was asked for had come, and the size was known: what followed does not matter.
        assert content_of(result) == body
        return
    failed(result, BadResponse if rubbish and not rubbish.endswith(b"ab") else ConnectionLost,
           6 if rubbish and not rubbish.endswith(b"ab") else 4)  # fmt: skip
    assert "f" not in names(tmp_path)
    if not ranges:
        assert names(tmp_path) == []


@pytest.mark.parametrize("end", [m.short_body, m.reset_after])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_that_ends_early(
    tmp_path: Path, server: LoopbackServer, body: bytes, end: Callable[[int], Behaviour], *, ranges: bool
) -> None:
    url = serve(server, body, m.well if ranges else m.no_ranges, end(len(body) // 3))
    result = fetch(url, tmp_path)
    if result.error is None:
        # Ranges go on where the last one broke, for as long as each brings something.
        assert ranges
        assert content_of(result) == body
        return
    failed(result, ConnectionLost, 4)
    assert "f" not in names(tmp_path)


def test_without_ranges_a_retry_begins_again_from_the_start(
    tmp_path: Path, server: LoopbackServer, content: bytes
) -> None:
    url = serve(server, content, m.no_ranges, m.first(2, m.short_body(400_000)))
    result = fetch(url, tmp_path, retries=2, checksum=sha256(content))
    assert content_of(result) == content
    assert len(server.requests) == 3
    assert result.wasted_bytes == 800_000
    assert any("sends no ranges" in note for note in result.notes)


def test_without_ranges_another_run_begins_again_from_the_start(
    tmp_path: Path, server: LoopbackServer, content: bytes
) -> None:
    url = serve(server, content, m.no_ranges, m.first(1, m.short_body(400_000)))
    failed(fetch(url, tmp_path), ConnectionLost, 4)
    result = fetch(url, tmp_path)
    assert content_of(result) == content
    assert any("sends no ranges" in note for note in result.notes)
    assert result.resumed_bytes == 0


def test_a_body_that_ends_early_without_a_length_is_not_taken_for_whole(
    tmp_path: Path, server: LoopbackServer, content: bytes
) -> None:
    failed(fetch(serve(server, content, m.no_ranges, m.chunked, m.reset_after(500_000)), tmp_path), ConnectionLost, 4)
    assert names(tmp_path) == []


@pytest.mark.parametrize("count", [1, 100_000])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_longer_than_promised(
    tmp_path: Path, server: LoopbackServer, body: bytes, count: int, *, ranges: bool
) -> None:
    result = fetch(serve(server, body, m.well if ranges else m.no_ranges, m.long_body(count)), tmp_path)
    assert content_of(result) == body
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_endless_body_with_a_length(tmp_path: Path, server: LoopbackServer, body: bytes, *, ranges: bool) -> None:
    result = fetch(serve(server, body, m.well if ranges else m.no_ranges, m.endless_body), tmp_path)
    assert content_of(result) == body
    server.wait_for(lambda s: s.open_connections == 0)


@pytest.mark.parametrize("behaviour", [m.endless_headers, m.head(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000)])
def test_endless_headers(tmp_path: Path, server: LoopbackServer, behaviour: Behaviour) -> None:
    failed(fetch(serve(server, SMALL, behaviour), tmp_path), BadResponse, 6, "head", "100 KiB")
    assert names(tmp_path) == []
    server.wait_for(lambda s: s.open_connections == 0)


@pytest.mark.parametrize(
    "head",
    [
        m.rubbish, m.head(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), m.head(b"HTTP/1.1 abc OK\r\n\r\n"), m.head(b"\r\n" * 9),
        m.head(b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"), m.head(b"HTTP/1.1 200 OK\r\n : x\r\n\r\n"),
        m.head(b"HTTP/1.1 99999 OK\r\n\r\n"), m.head(b"HTTP/9.9 200 OK\r\n\r\n"), m.head(b"ICY 200 OK\r\n\r\nxxxx"),
        m.head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        m.head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
    ],
)  # fmt: skip
def test_rubbish_instead_of_http(tmp_path: Path, server: LoopbackServer, head: Behaviour) -> None:
    result = fetch(serve(server, SMALL, head), tmp_path)
    assert isinstance(result.error, BadResponse | ConnectionLost), result
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello",
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_a_bare_newline_ends_a_line_too(tmp_path: Path, server: LoopbackServer, raw: bytes) -> None:
    assert content_of(fetch(serve(server, SMALL, m.head(raw)), tmp_path)) == b"hello"


@pytest.mark.parametrize(
    "values",
    [
        ("-1",), ("1000", "999"), ("1000, 999",), ("abc",), ("0x10",), ("1e3",), ("+1000",), ("1 000",), ("",),
        ("99999999999999999999",), ("9223372036854775808",), ("18446744073709551616",),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ranges", [True, False])
def test_a_length_that_is_none(
    tmp_path: Path, server: LoopbackServer, values: tuple[str, ...], *, ranges: bool
) -> None:
    result = fetch(serve(server, SMALL, m.well if ranges else m.no_ranges, m.content_length(*values)), tmp_path)
    failed(result, BadResponse, 6)
    assert names(tmp_path) == []


@pytest.mark.parametrize("values", [("1000", "1000"), ("1000, 1000",), ("0001000",)])
def test_a_length_said_twice_alike_is_a_length(tmp_path: Path, server: LoopbackServer, values: tuple[str, ...]) -> None:
    # RFC 9110 section 8.6 leaves the choice: refuse, or take the one value.
    result = fetch(serve(server, SMALL, m.no_ranges, m.content_length(*values)), tmp_path)
    if result.error is None:
        assert content_of(result) == SMALL
    else:
        failed(result, BadResponse, 6)


@pytest.mark.parametrize("size", [10**15, 2**63 - 1])
def test_a_length_larger_than_any_disk(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    result = fetch(serve(server, SMALL, m.no_ranges, m.content_length(str(size))), tmp_path)
    assert isinstance(result.error, ThunderdlError)
    assert result.error.exit_code in (4, 6, 9)
    assert "f" not in names(tmp_path)


def test_gzip_although_identity_was_asked_for(tmp_path: Path, server: LoopbackServer, body: bytes) -> None:
    # To a range the server codes the range; whole, it codes the file: the file is what comes out.
    result = fetch(serve(server, body, m.no_ranges, m.gzip_coded), tmp_path, checksum=sha256(body))
    assert content_of(result) == body
    assert {request.header("Accept-Encoding") for request in server.requests} == {"identity"}


def test_ranges_of_a_coded_body_are_not_mixed(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    result = fetch(serve(server, content, m.gzip_coded), tmp_path)
    if result.error is None:
        assert content_of(result) == content
    else:
        assert isinstance(result.error, BadResponse)
        assert "f" not in names(tmp_path)


def test_a_coded_body_that_is_broken(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    def spoiled(request: Request, reply: Reply) -> Reply:
        return plain(200, ("Content-Encoding", "gzip"), body=gzip.compress(content)[:5000] + b"rubbish" * 1000)

    failed(fetch(serve(server, content, spoiled), tmp_path), BadResponse, 6, "compressed")
    assert names(tmp_path) == []


def test_of_a_coded_body_that_cannot_be_read_asyncio_says_nothing(
    tmp_path: Path, server: LoopbackServer, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.resources["/f"] = Resource(body=content, headers=[("Content-Encoding", "gzip")], behaviour=m.no_ranges)
    failed(fetch(server.url("/f"), tmp_path), BadResponse, 6, "its compressed body cannot be read")
    gc.collect()
    assert not caplog.records


def test_a_coded_body_that_is_cut_off(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    def cut(request: Request, reply: Reply) -> Reply:
        return plain(200, ("Content-Encoding", "gzip"), body=gzip.compress(content)[:5000])

    result = fetch(serve(server, content, cut), tmp_path)
    assert isinstance(result.error, BadResponse | ConnectionLost), result
    assert names(tmp_path) == []


@pytest.mark.parametrize("coding", ["br", "zstd", "bogus"])
def test_an_unknown_coding_is_not_saved_as_the_file(
    tmp_path: Path, server: LoopbackServer, body: bytes, coding: str
) -> None:
    result = fetch(serve(server, body, m.no_ranges, m.headers(("Content-Encoding", coding))), tmp_path)
    assert isinstance(result.error, BadResponse), result
    assert names(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("at", [0, 300])
def test_a_stall(tmp_path: Path, server: LoopbackServer, body: bytes, at: int, *, ranges: bool) -> None:
    url = serve(server, body, m.well if ranges else m.no_ranges, m.stall_after(at))
    result = fetch(url, tmp_path, timeout=SHORT_S)
    failed(result, TimedOut, 4)
    assert "f" not in names(tmp_path)
    if not ranges or at == 0:
        assert names(tmp_path) in ([], KEPT if at else [])


@pytest.mark.parametrize("coded", [False, True])
def test_a_body_of_unknown_length_is_seen_at_work_and_falls_silent(
    tmp_path: Path, server: LoopbackServer, *, coded: bool
) -> None:
    content = random.Random(1).randbytes(2 * 1024 * 1024)
    content = gzip.compress(content) if coded else content
    shape = m.headers(("Content-Encoding", "gzip")) if coded else m.close_delimited
    url = serve(server, content, m.no_ranges, shape, m.stall_after(len(content) // 2))
    seen: list[Progress] = []

    async def watch(task: Task) -> Result:
        async for progress in task:
            seen.append(progress)
            fastest = max(each.rate_bytes_per_s for each in seen)
            if fastest > 100_000 and (coded or progress.rate_bytes_per_s < fastest / 2):
                task.cancel()
        return await task.outcome()

    assert drive(watch, url, tmp_path).status is Status.CANCELLED
    running = [each for each in seen if each.status is Status.ACTIVE and each.done_bytes]
    assert {(each.connections, each.sources[0].lanes) for each in running} == {(1, 1)}


@pytest.mark.parametrize("early", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"])
def test_early_answers_are_passed_over(tmp_path: Path, server: LoopbackServer, body: bytes, early: bytes) -> None:
    def hinted(request: Request, reply: Reply) -> Reply:
        reply.head = [early * 3, *reply.head_blocks()]
        return reply

    assert content_of(fetch(serve(server, body, hinted), tmp_path)) == body


def test_early_answers_without_end(tmp_path: Path, server: LoopbackServer) -> None:
    def hinted(request: Request, reply: Reply) -> Reply:
        reply.head = itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        return reply

    result = fetch(serve(server, SMALL, hinted), tmp_path, timeout=SHORT_S)
    assert isinstance(result.error, TimedOut | BadResponse), result


def test_control_bytes_in_a_head_reach_no_message(tmp_path: Path, server: LoopbackServer) -> None:
    evil = m.together(m.status(404), m.headers(("X", b"\x1b[31m\x07"), reason=b"\x1b[31mNo\x9b2J"))
    result = fetch(serve(server, SMALL, evil), tmp_path)
    assert result.status is Status.FAILED
    assert result.error is not None
    assert "\x1b" not in str(result.error)


@pytest.mark.parametrize("name", ["/f.tar.gz", "/f.TGZ", "/f.gz?x=.html"])
def test_a_compressed_file_that_is_called_coded_is_kept_as_sent(
    tmp_path: Path, server: LoopbackServer, name: str
) -> None:
    packed = gzip.compress(bytes(generated(3_000_000, seed=5).span(0, 3_000_000)))
    server.resources[name] = Resource(body=packed, behaviour=m.headers(("Content-Encoding", "gzip")))
    assert content_of(fetch(server.url(name), tmp_path)) == packed
