"""Servers that do not do ranges, or do them wrong: only the bytes that were asked for reach the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, failed, fetch, names, sha256
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Reply, Request, Resource, answer, generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.errors import (
    BadContent,
    BadResponse,
    ContentChanged,
    DownloadFailed,
    RangesUnsupported,
    ServerBusy,
    ThunderdlError,
)
from thunderdl.model import Result

BIG_BYTES = 6 * 1024 * 1024


def big(behaviour: Behaviour = m.well) -> tuple[Resource, bytes]:
    """A file that takes several leases, and its bytes."""
    resource = generated(BIG_BYTES, behaviour=behaviour)
    return resource, bytes(resource.span(0, BIG_BYTES))


def midway(behaviour: Behaviour) -> Behaviour:
    """So for whoever goes on after a first answer that was cut. Asked for one at a time, its bytes are kept by then."""
    return m.first(1, m.reset_after(BIG_BYTES // 4), behaviour)


ONE_BY_ONE: dict[str, Any] = {"connections": 1, "retries": 1}


def refused(result: Result, *kinds: type[ThunderdlError]) -> None:
    """Refused, one way or the other; nothing wrong has the file's name."""
    told = result.error.most_telling if isinstance(result.error, DownloadFailed) else result.error
    assert isinstance(told, kinds), result
    assert result.path is None


@pytest.mark.parametrize("size", [1, 1000, 262_144, 262_145, 1_048_576, 1_048_577, BIG_BYTES])
def test_no_ranges(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    resource = generated(size, behaviour=m.no_ranges)
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == resource.span(0, size)
    assert server.sent["/f"] == size
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 1_048_575, 1_048_576, 1_048_577, BIG_BYTES + 1])
def test_sizes_around_every_border(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = resource = generated(size)
    result = fetch(server.url("/f"), tmp_path, key=True)
    assert content_of(result) == resource.span(0, size)
    assert result.content_key is not None
    # A lane that is cut short has bytes under way.
    assert server.sent["/f"] <= 1.5 * size


def test_ranges_at_first_and_then_none_more(tmp_path: Path, server: LoopbackServer) -> None:
    resource, content = big(behaviour=m.after(1, m.no_ranges))
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == content
    else:
        refused(result, RangesUnsupported)
        assert names(tmp_path) == ["f.part", "f.part.journal"]


@pytest.mark.parametrize("value", ["bytes x-y/z", "bytes 0-1/2", "bytes 5-1/6291456", "items 0-9/10", "", "bytes */9"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_content_range_that_is_none(tmp_path: Path, server: LoopbackServer, value: str, begun: bool) -> None:
    broken = m.content_range(value)
    server.resources["/f"], _ = big(behaviour=midway(broken) if begun else broken)
    refused(fetch(server.url("/f"), tmp_path, **ONE_BY_ONE), BadResponse, ContentChanged)
    assert names(tmp_path) == (["f.part", "f.part.journal"] if begun else [])


@pytest.mark.parametrize("begun", [False, True])
def test_206_without_content_range(tmp_path: Path, server: LoopbackServer, begun: bool) -> None:
    broken = m.content_range(None)
    server.resources["/f"], _ = big(behaviour=midway(broken) if begun else broken)
    refused(fetch(server.url("/f"), tmp_path, **ONE_BY_ONE), BadResponse)
    assert names(tmp_path) == (["f.part", "f.part.journal"] if begun else [])


@pytest.mark.parametrize("size", [1000, BIG_BYTES])
def test_the_first_answer_is_of_another_offset(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = generated(size, behaviour=m.other_range(7))
    refused(fetch(server.url("/f"), tmp_path), BadResponse)
    assert names(tmp_path) == []


@pytest.mark.parametrize("shape", [m.well, m.chunked])
@pytest.mark.parametrize("delta", [-1, 1, 4096])
def test_later_answers_are_of_another_offset(
    tmp_path: Path, server: LoopbackServer, shape: Behaviour, delta: int
) -> None:
    resource, _ = big(behaviour=m.after(1, m.together(m.other_range(delta), shape)))
    server.resources["/f"] = resource
    refused(fetch(server.url("/f"), tmp_path), BadResponse)
    assert "f" not in names(tmp_path)


def test_bytes_of_another_offset_that_nobody_owns_up_to_are_found_by_the_hash(
    tmp_path: Path, server: LoopbackServer
) -> None:
    resource, content = big(behaviour=m.after(1, m.other_range(-3, owns_up=False)))
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path, checksum=sha256(content))
    failed(result, BadContent, 7, "sha256=", server.url("/f"))
    assert "f" not in names(tmp_path)


@pytest.mark.parametrize("total", [BIG_BYTES - 1, BIG_BYTES + 1, 1, 10**18])
def test_another_total_midway(tmp_path: Path, server: LoopbackServer, total: int) -> None:
    resource, _ = big(behaviour=m.after(1, m.other_total(total)))
    server.resources["/f"] = resource
    refused(fetch(server.url("/f"), tmp_path), ContentChanged, BadResponse)
    assert "f" not in names(tmp_path)


def test_a_total_that_is_unknown(tmp_path: Path, server: LoopbackServer) -> None:
    resource, content = big(behaviour=m.other_total("*"))
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == content
    else:
        refused(result, BadResponse)
        assert names(tmp_path) == []


def test_a_small_file_whose_total_is_unknown(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"hello", behaviour=m.other_total("*"))
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) == b"hello"
    else:
        refused(result, BadResponse)
        assert names(tmp_path) == []


def test_shorter_ranges_than_asked_for(tmp_path: Path, server: LoopbackServer) -> None:
    def stingy(request: Request, reply: Reply) -> Reply:
        first, _, last = (request.header("Range") or "bytes=0-0").removeprefix("bytes=").partition("-")
        short = request.without("Range")
        short.headers.append(("Range", f"bytes={first}-{min(int(last), int(first) + 299_999)}"))
        return answer(short, reply.resource)

    resource, content = big(behaviour=stingy)
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == content
    assert server.sent["/f"] <= 1.5 * BIG_BYTES


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("size", [1000, BIG_BYTES])
def test_always_416(tmp_path: Path, server: LoopbackServer, size: int, *, tells: bool) -> None:
    # To a request without a range it does answer: that is how the file is got.
    resource = generated(size, behaviour=m.always_416(tells_size=tells))
    server.resources["/f"] = resource
    assert content_of(fetch(server.url("/f"), tmp_path)) == resource.span(0, size)


def test_416_whatever_is_asked(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=m.status(416, ("Content-Range", "bytes */1000000")))
    refused(fetch(server.url("/f"), tmp_path), BadResponse)
    assert names(tmp_path) == []
    assert len(server.requests) <= 3


def test_416_from_the_second_request_on(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"], _ = big(behaviour=midway(m.always_416()))
    refused(fetch(server.url("/f"), tmp_path, **ONE_BY_ONE), BadResponse)
    assert names(tmp_path) == ["f.part", "f.part.journal"]


@pytest.mark.parametrize("size", [1000, BIG_BYTES])
def test_accept_ranges_none_is_believed_only_where_the_answer_agrees(
    tmp_path: Path, server: LoopbackServer, size: int
) -> None:
    resource = generated(size, behaviour=m.together(m.no_ranges, m.headers(("Accept-Ranges", "none"))))
    server.resources["/f"] = resource
    assert content_of(fetch(server.url("/f"), tmp_path)) == resource.span(0, size)


def test_more_connections_than_the_server_allows(tmp_path: Path) -> None:
    resource, content = big()
    with LoopbackServer({"/f": resource}, limits=Limits(connections=2)) as server:
        result = fetch(server.url("/f"), tmp_path, retries=1)
    assert content_of(result) == content


def test_one_request_for_each_connection(tmp_path: Path) -> None:
    resource, content = big()
    with LoopbackServer({"/f": resource}, limits=Limits(requests_per_connection=1)) as server:
        result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == content
    assert server.sent["/f"] <= 1.5 * BIG_BYTES


def test_options_bound_the_connections(tmp_path: Path, server: LoopbackServer) -> None:
    resource, content = big()
    server.resources["/f"] = resource
    assert content_of(fetch(server.url("/f"), tmp_path, per_host=2)) == content
    assert server.peak_connections <= 2
    server.resources["/g"] = resource
    assert content_of(fetch(server.url("/g"), tmp_path, connections=1)) == content


def test_busy_for_further_lanes_only(tmp_path: Path, server: LoopbackServer) -> None:
    # 429 to each second request while others work: fewer lanes, the same file.
    turns = m.script(m.well, m.status(429), m.well, m.status(503), m.well)
    resource, content = big(behaviour=turns)
    server.resources["/f"] = resource
    result = fetch(server.url("/f"), tmp_path, retries=1)
    if result.error is None:
        assert content_of(result) == content
    else:
        refused(result, ServerBusy)
