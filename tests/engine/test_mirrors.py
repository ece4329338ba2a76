"""Several sources of one file: those that serve something else, die, lie or are late cost time, never correctness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import SHORT_S, content_of, drive, failed, fetch, names, piece_hashes, sha256
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Resource, generated
from tests.servers.loopback import Limits, LoopbackServer, in_step
from thunderdl.client import Task
from thunderdl.engine import candidates
from thunderdl.errors import BadContent, DownloadFailed, NotFound
from thunderdl.model import Result, SourceProgress

SIZE = 6 * 1024 * 1024
GOOD = generated(SIZE, seed=1)
CONTENT = bytes(GOOD.span(0, SIZE))
# Slow enough that a download is not over before every source has had its part of it.
PACE = Limits(rate_bytes_per_s=24 * 1024 * 1024)


@pytest.fixture
def trio() -> Iterator[list[LoopbackServer]]:
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as one,
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as two,
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as three,
    ):
        yield [one, two, three]


def run(servers: list[LoopbackServer], folder: Path, **changes: Any) -> Result:
    first, *rest = (server.url("/f") for server in servers)
    return fetch(first, folder, mirrors=rest, **changes)


def source(result: Result, server: LoopbackServer) -> SourceProgress:
    return next(source for source in result.sources if source.url == server.url("/f"))


def told(result: Result, *words: str) -> bool:
    return any(all(word in note for word in words) for note in result.notes)


@pytest.mark.parametrize("count", [2, 3])
def test_good_mirrors_share_the_work(tmp_path: Path, trio: list[LoopbackServer], count: int) -> None:
    in_step(*trio[:count])
    result = run(trio[:count], tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert all(source(result, server).bytes > 0 for server in trio[:count]), result.sources
    assert sum(one.bytes for one in result.sources) == SIZE
    assert result.wasted_bytes == 0


@pytest.mark.parametrize("size", [SIZE + 1, SIZE // 2, 100, 0])
def test_a_mirror_of_another_size(tmp_path: Path, trio: list[LoopbackServer], size: int) -> None:
    trio[1].resources["/f"] = generated(size, seed=2)
    trio[0].waits_until = lambda: trio[1].answered > 0
    result = run(trio[:2], tmp_path)
    assert content_of(result) == CONTENT
    assert source(result, trio[1]).bytes == 0
    assert told(result, trio[1].url("/f"), "is not used", f"{size} bytes"), result.notes


@pytest.mark.parametrize("etag", ['"v2"', None])
def test_a_mirror_of_equal_size_and_unknown_version_is_refused_without_a_hash(
    tmp_path: Path, trio: list[LoopbackServer], etag: str | None
) -> None:
    trio[1].resources["/f"] = generated(SIZE, seed=2, etag=etag, last_modified="Tue, 02 Jan 2024 00:00:00 GMT")
    trio[0].waits_until = lambda: trio[1].answered > 0
    result = run(trio[:2], tmp_path)
    assert content_of(result) == CONTENT
    assert source(result, trio[1]).bytes == 0
    assert told(result, trio[1].url("/f"), "is not used", "no hash"), result.notes


def test_a_mirror_with_another_version_of_equal_size_and_piece_hashes(
    tmp_path: Path, trio: list[LoopbackServer]
) -> None:
    in_step(*trio)
    trio[1].resources["/f"] = generated(SIZE, seed=2, etag='"v2"', last_modified=None)
    result = run(trio, tmp_path, piece_hashes=piece_hashes(CONTENT, 262_144))
    assert content_of(result) == CONTENT
    assert source(result, trio[1]).bytes == 0
    assert result.verified == ("pieces:sha256",)
    assert told(result, trio[1].url("/f"), "did not match"), result.notes
    assert result.wasted_bytes > 0


@pytest.mark.parametrize("behaviour", [m.status(404), m.status(503), m.rubbish, m.hang_up, m.redirect_loop()])
@pytest.mark.parametrize("place", [0, 1])
def test_one_that_is_not_there(tmp_path: Path, trio: list[LoopbackServer], behaviour: Behaviour, place: int) -> None:
    bad, good = trio[place], trio[1 - place]
    bad.resources["/f"] = Resource(body=b"x", behaviour=behaviour)
    good.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(SIZE // 2))

    async def heard(task: Task) -> Result:
        # The other one may be heard of first, and would have brought all.
        async for progress in task:
            if any(each.note for each in progress.sources if each.url == bad.url("/f")):
                good.release.set()
        return await task.outcome()

    result = drive(heard, trio[0].url("/f"), tmp_path, mirrors=[trio[1].url("/f")])
    assert content_of(result) == CONTENT
    assert source(result, bad).note


def test_an_origin_that_never_answers(tmp_path: Path, trio: list[LoopbackServer]) -> None:
    trio[0].resources["/f"] = Resource(body=b"x", behaviour=m.silence)
    assert content_of(run(trio[:2], tmp_path, timeout=SHORT_S)) == CONTENT


@pytest.mark.parametrize("dies_at", [0, 1000, 700_000, 2_000_000])
@pytest.mark.parametrize("place", [0, 1])
def test_one_dies(tmp_path: Path, trio: list[LoopbackServer], dies_at: int, place: int) -> None:
    trio[place].limits = Limits(rate_bytes_per_s=24 * 1024 * 1024, dies_at_bytes=dies_at)
    result = run(trio[:2], tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT


@pytest.mark.parametrize("place", [0, 1])
def test_one_stalls(tmp_path: Path, trio: list[LoopbackServer], place: int) -> None:
    trio[place].resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(100_000))
    result = run(trio[:2], tmp_path, timeout=SHORT_S, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT


@pytest.mark.parametrize("behaviour", [m.no_ranges, m.other_range(5), m.always_416(), m.content_range("bytes x/y")])
def test_one_is_bad_at_ranges(tmp_path: Path, trio: list[LoopbackServer], behaviour: Behaviour) -> None:
    trio[1].resources["/f"] = generated(SIZE, seed=1, behaviour=m.after(1, behaviour))
    result = run(trio[:2], tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT


def test_an_origin_without_ranges_and_a_mirror_with_them(tmp_path: Path, trio: list[LoopbackServer]) -> None:
    trio[0].resources["/f"] = generated(SIZE, seed=1, behaviour=m.no_ranges)
    assert content_of(run(trio[:2], tmp_path)) == CONTENT


def test_all_fail_and_the_most_telling_is_told(tmp_path: Path, trio: list[LoopbackServer]) -> None:
    for server, status in zip(trio, (503, 404, 500), strict=True):
        server.resources["/f"] = Resource(body=b"x", behaviour=m.status(status))
    result = run(trio, tmp_path)
    failed(result, NotFound, 3, "404", "2 more")
    assert isinstance(result.error, DownloadFailed)
    assert len(result.error.attempts) == 3
    assert names(tmp_path) == []


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_piece_hashes_find_the_liar(tmp_path: Path, trio: list[LoopbackServer], liar: int) -> None:
    in_step(*trio)
    trio[liar].resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(0))
    result = run(trio, tmp_path, piece_hashes=piece_hashes(CONTENT, 262_144), checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert source(result, trio[liar]).bytes == 0
    assert told(result, trio[liar].url("/f"), "did not match"), result.notes
    assert result.wasted_bytes == sum(one.wasted_bytes for one in result.sources) > 0
    # A piece that two had a part in is thrown away whole, so that others may have lost more than the liar.
    assert source(result, trio[liar]).wasted_bytes > 0


def test_piece_hashes_and_one_source_that_lies(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(3_000_000))
    result = fetch(server.url("/f"), tmp_path, piece_hashes=piece_hashes(CONTENT, 262_144))
    failed(result, BadContent, 7, server.url("/f"))
    assert names(tmp_path) == ["f.part", "f.part.journal"]
    server.resources["/f"] = generated(SIZE, seed=1)
    again = fetch(server.url("/f"), tmp_path, piece_hashes=piece_hashes(CONTENT, 262_144))
    assert content_of(again) == CONTENT
    assert again.resumed_bytes >= 2_000_000


def test_a_source_that_lies_once(tmp_path: Path, server: LoopbackServer) -> None:
    # The end of the first answer, which lies in one piece.
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.first(1, m.corrupt_from(1_000_000)))
    result = fetch(server.url("/f"), tmp_path, piece_hashes=piece_hashes(CONTENT, 262_144))
    assert content_of(result) == CONTENT
    assert result.wasted_bytes > 0


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("liar", [0, 1])
def test_a_whole_checksum_finds_the_culprit(tmp_path: Path, trio: list[LoopbackServer], count: int, liar: int) -> None:
    in_step(*trio[:count])
    trio[liar].resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(0))
    result = run(trio[:count], tmp_path, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.verified == (sha256(CONTENT).replace("sha-", "sha"),)
    assert told(result, trio[liar].url("/f"), "served wrong bytes"), result.notes
    assert not any(told(result, other.url("/f"), "served wrong bytes") for other in trio if other is not trio[liar])


@pytest.mark.parametrize("flipped", [range(0, SIZE, 65536), [SIZE // 2 + 1000]])
def test_a_whole_checksum_finds_several_culprits(tmp_path: Path, flipped: Sequence[int]) -> None:
    """A byte in each place that may be looked at, and one in all of the file."""
    slow = Limits(rate_bytes_per_s=4 * 1024 * 1024)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=slow)) for _ in range(6)
        ]  # fmt: skip
        for liar in servers[1:3]:
            body = bytearray(CONTENT)
            for at in flipped:
                body[at] ^= 1
            liar.resources["/f"] = Resource(body=bytes(body), etag='"v1"', last_modified=GOOD.last_modified)
        result = run(servers, tmp_path, checksum=sha256(CONTENT))
        assert content_of(result) == CONTENT
        crossed = sum(each.bytes + each.wasted_bytes for each in result.sources)
        # Once, what is compared, and the part of two of six; one byte alone is not in what is compared: where it came
        # from a liar, each source's part is suspected in turn, and what replaces it may come from the other liar.
        assert crossed <= (2.6 if len(flipped) > 1 else len(servers)) * SIZE
        named = {server for server in servers if told(result, server.url("/f"), "served wrong bytes")}
        assert named <= set(servers[1:3])
        if len(flipped) > 1:
            assert named == set(servers[1:3]), result.notes


@pytest.mark.parametrize("size", [1000, SIZE])
def test_one_source_and_a_wrong_checksum(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = generated(size, seed=1)
    result = fetch(server.url("/f"), tmp_path, checksum=sha256(b"something else"))
    failed(result, BadContent, 7, sha256(b"something else").replace("sha-", "sha"), "found", server.url("/f"))
    assert "f" not in names(tmp_path)
    assert len(server.requests) < 40


def test_two_sources_and_a_checksum_that_fits_neither(tmp_path: Path, trio: list[LoopbackServer]) -> None:
    result = run(trio[:2], tmp_path, checksum=sha256(b"something else"))
    failed(result, BadContent, 7, "found")
    assert "f" not in names(tmp_path)


@pytest.mark.parametrize("liar", [0, 1])
def test_a_small_file_that_one_serves_wrong(tmp_path: Path, trio: list[LoopbackServer], liar: int) -> None:
    for server in trio[:2]:
        server.resources["/f"] = Resource(body=b"hello" * 100)
    trio[liar].resources["/f"] = Resource(body=b"HELLO" * 100)
    result = run(trio[:2], tmp_path, checksum=sha256(b"hello" * 100))
    assert content_of(result) == b"hello" * 100
    if liar == 0:
        assert told(result, trio[0].url("/f"), "wrong bytes")


@pytest.mark.parametrize("name", ["md5", "sha-1", "sha-512", "blake3"])
def test_every_kind_of_checksum(tmp_path: Path, server: LoopbackServer, name: str) -> None:
    import hashlib

    import blake3

    server.resources["/f"] = generated(SIZE, seed=1)
    value = blake3.blake3(CONTENT).hexdigest() if name == "blake3" else hashlib.new(name.replace("-", ""), CONTENT)
    text = value if isinstance(value, str) else value.hexdigest()
    assert fetch(server.url("/f"), tmp_path, checksum=f"{name}={text}").verified


def test_credentials_of_the_origin_do_not_reach_mirrors(tmp_path: Path, trio: list[LoopbackServer]) -> None:
    first = trio[0].url("/f").replace("//", "//user:secret@")
    result = fetch(first, tmp_path, mirrors=(trio[1].url("/f"),))
    assert content_of(result) == CONTENT
    assert trio[1].requests
    assert all(request.header("Authorization") is None for request in trio[1].requests)
    assert "secret" not in "".join(result.notes)


def test_an_origin_that_refuses_holds_nobody_up(
    tmp_path: Path, trio: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, but mirrors that have answered do not wait for that."""
    monkeypatch.setattr(candidates, "ORIGIN_GRACE_S", 3600.0)
    with LoopbackServer({"/f": generated(SIZE, seed=1)}) as gone:
        url = gone.url("/f")
    result = fetch(url, tmp_path, mirrors=[server.url("/f") for server in trio], retries=5)
    assert content_of(result) == CONTENT
