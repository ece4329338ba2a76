"""Two versions are never mixed: files that change between runs and during one, nodes that disagree (I2-I5, I10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import content_of, drive, failed, fetch, names, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, generated
from tests.servers.loopback import LoopbackServer
from thunderdl.errors import ContentChanged
from thunderdl.model import Result, Status

SIZE = 4 * 1024 * 1024
CUT = 300_000
OLD = generated(SIZE, seed=1)
KEPT = ["f.part", "f.part.journal"]


def bytes_of(seed: int, size: int = SIZE) -> bytes:
    return bytes(generated(size, seed=seed).span(0, size))


def begin(server: LoopbackServer, folder: Path, *behaviours: Behaviour, seed: int = 1, **fields: object) -> Result:
    """A run that is stopped midway; each answer stalls after CUT bytes."""
    server.release.clear()
    server.resources["/f"] = generated(SIZE, seed=seed, behaviour=m.together(*behaviours, m.stall_after(CUT)), **fields)
    result = drive(stopped_after(CUT), server.url("/f"), folder)
    assert result.status is Status.CANCELLED
    assert names(folder) == KEPT
    server.release.set()
    return result


def test_the_same_version_goes_on(tmp_path: Path, server: LoopbackServer) -> None:
    begin(server, tmp_path)
    before = server.sent["/f"]
    server.resources["/f"] = generated(SIZE, seed=1)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == bytes_of(1)
    assert result.resumed_bytes >= CUT
    assert server.sent["/f"] - before <= SIZE - result.resumed_bytes + SIZE // 2
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize(
    ("size", "etag", "date"),
    [
        (SIZE + 1, '"v1"', "Mon, 01 Jan 2024 00:00:00 GMT"),
        (SIZE // 2, '"v1"', "Mon, 01 Jan 2024 00:00:00 GMT"),
        (100, '"v2"', "Tue, 02 Jan 2024 00:00:00 GMT"),
        (SIZE, '"v2"', "Tue, 02 Jan 2024 00:00:00 GMT"),
        (SIZE, '"v2"', None),
        (SIZE, None, "Tue, 02 Jan 2024 00:00:00 GMT"),
        (SIZE, None, None),
        (SIZE, 'W/"v2"', None),
        # A new ETag and the old date: a node of a CDN, or a file that was changed within the second.
        (SIZE, '"v2"', "Mon, 01 Jan 2024 00:00:00 GMT"),
    ],
)
@pytest.mark.parametrize("behaviour", [m.well, m.ignores_if_range, m.no_ranges])
def test_changed_between_runs(
    tmp_path: Path, server: LoopbackServer, size: int, etag: str | None, date: str | None, behaviour: Behaviour
) -> None:
    begin(server, tmp_path)
    server.resources["/f"] = generated(size, seed=2, etag=etag, last_modified=date, behaviour=behaviour)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == bytes_of(2, size)
    assert result.resumed_bytes == 0
    assert any("thrown away" in note for note in result.notes), result.notes
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize(
    ("etag", "date"),
    [
        ('"node-b"', "Mon, 01 Jan 2024 00:00:00 GMT"), (None, "Mon, 01 Jan 2024 00:00:00 GMT"), (None, None),
        ('W/"v1"', None), ('"v1"', None), ('"v1"', "Tue, 02 Jan 2024 00:00:00 GMT"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("behaviour", [m.well, m.ignores_if_range])
def test_the_same_bytes_behind_other_validators_are_kept(
    tmp_path: Path, server: LoopbackServer, etag: str | None, date: str | None, behaviour: Behaviour
) -> None:
    begin(server, tmp_path)
    server.resources["/f"] = generated(SIZE, seed=1, etag=etag, last_modified=date, behaviour=behaviour)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == bytes_of(1)
    assert result.resumed_bytes >= CUT


@pytest.mark.parametrize("etags", [('"a"', '"b"'), ('"a"', '"b"', '"c"', '"a"', '"d"')])
def test_a_cdn_whose_nodes_have_tags_of_their_own(
    tmp_path: Path, server: LoopbackServer, etags: tuple[str, ...]
) -> None:
    begin(server, tmp_path, m.etag_by_request(*etags))
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.etag_by_request(*etags[::-1]))
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == bytes_of(1)
    assert result.resumed_bytes >= CUT


def test_no_validators_at_all_and_one_byte_changed_where_we_look(tmp_path: Path, server: LoopbackServer) -> None:
    begin(server, tmp_path, etag=None, last_modified=None)
    server.resources["/f"] = generated(
        SIZE, seed=1, etag=None, last_modified=None, behaviour=m.corrupt_from(CUT - 1000)
    )
    result = fetch(server.url("/f"), tmp_path)
    assert result.resumed_bytes == 0
    assert content_of(result)[: CUT - 1000] == bytes_of(1)[: CUT - 1000]
    assert content_of(result)[CUT - 1000 :] != bytes_of(1)[CUT - 1000 :]


@pytest.mark.parametrize("tells", [True, False])
def test_416_on_resume(tmp_path: Path, server: LoopbackServer, *, tells: bool) -> None:
    begin(server, tmp_path)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.always_416(tells_size=tells))
    assert content_of(fetch(server.url("/f"), tmp_path)) == bytes_of(1)
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("behaviour", [m.no_ranges, m.chunked, m.together(m.no_ranges, m.chunked)])
def test_a_server_that_has_forgotten_ranges(tmp_path: Path, server: LoopbackServer, behaviour: Behaviour) -> None:
    begin(server, tmp_path)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=behaviour)
    assert content_of(fetch(server.url("/f"), tmp_path)) == bytes_of(1)
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("status", [404, 403, 429, 503])
def test_a_refusal_on_resume_throws_nothing_away(tmp_path: Path, server: LoopbackServer, status: int) -> None:
    begin(server, tmp_path)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.status(status))
    assert fetch(server.url("/f"), tmp_path).status is Status.FAILED
    assert names(tmp_path) == KEPT
    server.resources["/f"] = generated(SIZE, seed=1)
    result = fetch(server.url("/f"), tmp_path)
    assert content_of(result) == bytes_of(1)
    assert result.resumed_bytes >= CUT


@pytest.mark.parametrize(
    ("etag", "date"),
    [('"v2"', "Tue, 02 Jan 2024 00:00:00 GMT"), ('"v2"', None), (None, "Tue, 02 Jan 2024 00:00:00 GMT")],
)
@pytest.mark.parametrize("size", [SIZE, SIZE + 1])
def test_changed_during_a_run(
    tmp_path: Path, server: LoopbackServer, size: int, etag: str | None, date: str | None
) -> None:
    new = generated(size, seed=2, etag=etag, last_modified=date)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.after(1, m.becomes(new)))
    result = fetch(server.url("/f"), tmp_path)
    if result.error is None:
        assert content_of(result) in (bytes_of(1), bytes_of(2, size))
    else:
        failed(result, ContentChanged, 8, "another version")
        assert "f" not in names(tmp_path)
    server.resources["/f"] = new
    again = fetch(server.url("/f"), tmp_path) if result.error else result
    assert content_of(again) == bytes_of(2, size)
