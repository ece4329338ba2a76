"""Lists of more mirrors than are remembered at a time: each is asked where all before it have failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch
from tests.engine.test_metalinks import CONTENT, SIZE, a_file, good, metalink, write
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.errors import NotFound
from thunderdl.model import Status

MOST = 20


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f": good()}) as server:
        yield server


@pytest.fixture(autouse=True)
def _few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.engine.candidates.MOST_TRIED", MOST)


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("dead", [MOST, 3 * MOST + 1])
def test_the_good_one_stands_behind_those_that_are_remembered(
    tmp_path: Path, server: LoopbackServer, dead: int, *, is_small: bool
) -> None:
    body = CONTENT[:1000] if is_small else CONTENT
    server.resources["/f"] = Resource(body=body) if is_small else good()
    urls = [*(server.url(f"/none/{at}") for at in range(dead)), server.url("/f")]
    document = write(tmp_path, metalink(a_file(urls, size=len(body), content=body)))
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == body
    assert len(result.sources) <= MOST
    assert any("mirrors more were asked before" in note for note in result.notes)


@pytest.mark.parametrize("size", [1000, SIZE])
def test_all_are_asked_once_and_a_note_tells_of_those_that_were_forgotten(
    tmp_path: Path, server: LoopbackServer, size: int
) -> None:
    urls = [server.url(f"/none/{at}") for at in range(3 * MOST)]
    result = fetch(write(tmp_path, metalink(a_file(urls, size=size))), tmp_path / "out")
    assert result.status is Status.FAILED
    failed(result, NotFound, 3, "not found")
    assert sorted(each.path for each in server.requests) == sorted(f"/none/{at}" for at in range(3 * MOST))
    assert len(result.sources) <= MOST
    (note,) = [note for note in result.notes if "mirrors more were asked before" in note]
    assert int(note.split()[0]) + len(result.sources) == 3 * MOST
