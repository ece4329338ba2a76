"""A good origin and one bad mirror, by what is wrong with it: the file is right, the mirror named, nothing lost.

``useful``: whether bytes of the mirror may be in the file, as far as they were good.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engine.runs import LIMIT_S, content_of, failed, fetch, names, piece_hashes, sha256
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Resource, answer, generated
from tests.servers.loopback import Limits, LoopbackServer, in_step
from thunderdl.errors import TimedOut
from thunderdl.model import Result, SourceState
from thunderdl.sources.http.redirects import MAX_REDIRECTS

SIZE = 4 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
# Slow enough that the mirror is asked for its part.
PACE = Limits(rate_bytes_per_s=12 * 1024 * 1024)
HTML = b"<!doctype html><title>Please log in</title>" + b" " * 2000


class Bad(NamedTuple):
    """``words``: of the note that names the mirror; ``requests``: after so many it has shown what it is."""

    resource: Resource
    words: tuple[str, ...]
    useful: bool = False
    requests: int = 1


def good(behaviour: Behaviour) -> Resource:
    return generated(SIZE, seed=1, behaviour=behaviour)


def later(behaviour: Behaviour, *words: str) -> Bad:
    """Good at first."""
    return Bad(good(m.after(1, behaviour)), words, useful=True, requests=2)


def html() -> Resource:
    return Resource(body=HTML, headers=[("Content-Type", "text/html; charset=utf-8")], behaviour=m.no_ranges)


CASES = {
    "larger": Bad(generated(SIZE + 1, seed=1), ("is not used", f"its file has {SIZE + 1} bytes, the others' {SIZE}")),
    "smaller": Bad(generated(SIZE - 1, seed=1), ("is not used", f"its file has {SIZE - 1} bytes, the others' {SIZE}")),
    "zero bytes": Bad(generated(0, seed=1), ("is not used", "its file has 0 bytes")),
    "another entity tag and date": Bad(
        generated(SIZE, seed=2, etag='"v2"', last_modified="Tue, 02 Jan 2024 00:00:00 GMT"),
        ("is not used", "no hash was given", "do not show that it is the same version"),
    ),
    "other bytes without validators": Bad(
        generated(SIZE, seed=2, etag=None, last_modified=None), ("is not used", "no hash was given")
    ),
    "weak entity tag": Bad(
        generated(SIZE, seed=2, etag='W/"v1"', last_modified=None), ("is not used", "no hash was given")
    ),
    "not found": Bad(Resource(body=b"", behaviour=m.status(404)), ("is not used", "not found", "404")),
    "forbidden": Bad(Resource(body=b"", behaviour=m.status(403)), ("is not used", "access denied", "403")),
    "error page with 200": Bad(html(), ("is not used", f"its file has {len(HTML)} bytes and is a page of HTML")),
    "not HTTP": Bad(good(m.rubbish), ("is not used", "the answer is no HTTP")),
    "hangs up": Bad(good(m.hang_up), ("is not used", "closed")),
    "redirects for ever": Bad(good(m.redirect_loop()), ("is not used", "redirect"), requests=MAX_REDIRECTS + 1),
    "206 of another offset": Bad(good(m.other_range(7)), ("is not used", "asked for bytes 0-0, was sent 7-")),
    "206 of another offset, later": later(m.other_range(7), "is not used any more", "asked for bytes", "was sent"),
    "206 of another total": Bad(good(m.other_total(SIZE + 9)), ("is not used", f"its file has {SIZE + 9} bytes")),
    "206 of another total, later": later(m.other_total(SIZE + 9), "another version", f"now {SIZE + 9} bytes"),
    "206 without Content-Range": Bad(good(m.content_range(None)), ("is not used", "206 without a usable")),
    "206 without Content-Range, later": later(m.content_range(None), "is not used any more", "206 without a usable"),
    "200 to a range, later": later(m.no_ranges, "is not used any more", "sent the whole file instead of a range"),
    "416 later": later(m.always_416(), "is not used any more", "416"),
    "error page with 200, later": later(
        lambda request, reply: answer(request.without("Range"), html()), "another version", f"now {len(HTML)} bytes"
    ),
    "no size": Bad(good(m.together(m.no_ranges, m.close_delimited)), ("is not used", "it tells no size")),
    "gzip": Bad(good(m.gzip_coded), ("is not used", "compressed")),
    "changes midway": later(
        m.becomes(generated(SIZE, seed=2, etag='"v2"', last_modified=None)), "another version", "v2"
    ),
}  # fmt: skip


@pytest.fixture
def pair() -> Iterator[list[LoopbackServer]]:
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as origin,
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as mirror,
    ):
        yield [origin, mirror]


def wait_for_the_mirror(pair: list[LoopbackServer], requests: int) -> None:
    """Have the origin wait until the mirror has answered so often: it gets its turn on any machine."""
    pair[0].waits_until = lambda: pair[1].answered >= requests


def right_without(result: Result, folder: Path, mirror: str, words: tuple[str, ...]) -> None:
    """The file is right, a note names the mirror and what was wrong, nothing else lies about."""
    assert content_of(result) == CONTENT
    assert names(folder) == ["f"]
    assert any(note.startswith(mirror) and all(word in note for word in words) for note in result.notes), result.notes
    assert sum(source.bytes for source in result.sources) == SIZE
    assert len(result.notes) == len(set(result.notes))


def test_one_that_falls_silent_at_the_end_is_said_to_be(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """Its lanes are given up one by one, for others to look whether it is back; none of them has told an error."""
    pair[0].resources["/f"] = good(m.on_ranges(m.other_range(100, owns_up=False)))
    result = fetch(pair[0].url("/f"), tmp_path, timeout=2.0)
    failed(result, TimedOut, 4, f"{pair[0].url('/f')}: silent for too long")


@pytest.mark.parametrize("case", list(CASES))
def test_the_origin_is_enough(tmp_path: Path, pair: list[LoopbackServer], case: str) -> None:
    resource, words, useful, requests = CASES[case]
    origin, mirror = (server.url("/f") for server in pair)
    wait_for_the_mirror(pair, requests)
    pair[1].resources["/f"] = resource
    result = fetch(origin, tmp_path, mirrors=[mirror])
    right_without(result, tmp_path, mirror, words)
    assert useful or result.sources[1].bytes == 0
    assert result.sources[1].state is SourceState.GONE
    assert not any(note.startswith(origin) for note in result.notes), result.notes


def test_connection_refused(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        mirror = f"http://127.0.0.1:{free.getsockname()[1]}/f"
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[mirror])
    right_without(result, tmp_path, mirror, ("is not used", "connection refused"))


def test_no_ranges(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[1].resources["/f"] = good(m.no_ranges)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")])
    assert content_of(result) == CONTENT
    assert result.sources[1].note == "sends no ranges: one connection, from the start"
    assert result.wasted_bytes == 0


@pytest.mark.parametrize("behaviour", [m.endless_body, m.long_body(100_000)])
def test_a_body_without_end_is_cut_at_what_was_asked_for(
    tmp_path: Path, pair: list[LoopbackServer], behaviour: Behaviour
) -> None:
    pair[1].resources["/f"] = good(behaviour)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")], checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert names(tmp_path) == ["f"]
    assert pair[1].total_sent < 20 * SIZE


@pytest.mark.parametrize(
    ("behaviour", "requests"),
    [(m.short_body(0), 1), (m.after(1, m.short_body(0)), 2), (m.after(1, m.reset_after(0)), 2)],
)
def test_answers_without_a_byte(
    tmp_path: Path, pair: list[LoopbackServer], behaviour: Behaviour, requests: int
) -> None:
    wait_for_the_mirror(pair, requests)
    pair[1].resources["/f"] = good(behaviour)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")], checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert names(tmp_path) == ["f"]
    assert result.sources[1].note.startswith(pair[1].url("/f"))
    assert result.sources[1].state in (SourceState.BACKING_OFF, SourceState.GONE)


def test_other_bytes_and_hashes_of_the_pieces(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    mirror = pair[1].url("/f")
    in_step(*pair)
    pair[1].resources["/f"] = generated(SIZE, seed=2, etag=None, last_modified=None)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[mirror], piece_hashes=piece_hashes(CONTENT, 131_072))
    assert content_of(result) == CONTENT
    assert any(mirror in note and "did not match their hash" in note for note in result.notes), result.notes
    assert result.sources[1].bytes == 0


def test_equal_weak_entity_tags_prove_nothing(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    wait_for_the_mirror(pair, 1)
    for server in pair:
        server.resources["/f"] = generated(SIZE, seed=1, etag='W/"v1"', last_modified=None)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")])
    right_without(result, tmp_path, pair[1].url("/f"), ("is not used", "no hash was given"))
    assert result.sources[1].bytes == 0


@pytest.mark.parametrize("etag", ['"v1"', '"other-node"'])
def test_without_a_hash_mirrors_whose_validators_agree_are_used(
    tmp_path: Path, pair: list[LoopbackServer], etag: str
) -> None:
    in_step(*pair)
    pair[1].resources["/f"] = generated(SIZE, seed=1, etag=etag)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")])
    assert content_of(result) == CONTENT
    assert result.sources[1].bytes > 0
    assert result.notes == ()


@pytest.mark.parametrize("seed", [1, 2])
def test_with_a_checksum_alone_a_mirror_of_other_validators_is_compared_first(
    tmp_path: Path, pair: list[LoopbackServer], seed: int
) -> None:
    """Same bytes, another tag and date: it helps. Other bytes: it is not used, and nothing has to be fetched again."""
    origin, mirror = (server.url("/f") for server in pair)
    pair[1].resources["/f"] = generated(SIZE, seed=seed, etag='"v2"', last_modified="Tue, 02 Jan 2024 00:00:00 GMT")
    # Its first byte, two samples, its first byte again, and then a part of its own; a sample is enough to be refused.
    wait_for_the_mirror(pair, 5 if seed == 1 else 2)
    result = fetch(origin, tmp_path, mirrors=[mirror], checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    assert result.wasted_bytes == 0
    refused = [note for note in result.notes if note.startswith(mirror) and "its bytes differ" in note]
    assert len(refused) == (0 if seed == 1 else 1)
    assert (result.sources[1].bytes > 0) is (seed == 1)


def compared_with_fault(pair: list[LoopbackServer], fault: Behaviour, *, requests: int) -> None:
    """A mirror of the same bytes, another tag and date, whose first sample meets ``fault``."""
    pair[1].resources["/f"] = generated(
        SIZE, seed=1, etag='"v2"', last_modified="Tue, 02 Jan 2024 00:00:00 GMT",
        behaviour=m.script(m.well, fault, m.well),
    )  # fmt: skip
    wait_for_the_mirror(pair, requests)


@pytest.mark.parametrize("fault", [m.status(503), m.reset_after(1000)], ids=["busy", "lost"])
def test_a_fault_while_a_mirror_is_compared_is_no_difference(
    tmp_path: Path, pair: list[LoopbackServer], fault: Behaviour
) -> None:
    origin, mirror = (server.url("/f") for server in pair)
    # Its first byte, a sample that fails, and all over again: first byte, two samples, first byte, a part of its own.
    compared_with_fault(pair, fault, requests=7)
    result = fetch(origin, tmp_path, mirrors=[mirror], checksum=sha256(CONTENT), retries=5, timeout=LIMIT_S)
    assert content_of(result) == CONTENT
    assert result.sources[1].bytes > 0
    assert not any("not used" in note for note in result.notes), result.notes


@pytest.mark.parametrize(
    ("fault", "words"), [(m.status(503), "503"), (m.reset_after(1000), "broke")], ids=["busy", "lost"]
)
def test_a_fault_that_lasts_while_a_mirror_is_compared_is_told_as_that(
    tmp_path: Path, pair: list[LoopbackServer], fault: Behaviour, words: str
) -> None:
    origin, mirror = (server.url("/f") for server in pair)
    compared_with_fault(pair, fault, requests=2)
    result = fetch(origin, tmp_path, mirrors=[mirror], checksum=sha256(CONTENT), retries=0, timeout=LIMIT_S)
    right_without(result, tmp_path, mirror, ("is not used", words))
    assert not any("differ" in note for note in result.notes), result.notes
