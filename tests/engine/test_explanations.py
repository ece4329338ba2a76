"""What Task.explain() says of servers that behave in this way and that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import drive
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.client import Task
from thunderdl.model import Result

SIZE = 6 * 1024 * 1024


@pytest.fixture
def pair() -> Iterator[list[LoopbackServer]]:
    pace = Limits(rate_bytes_per_s=8 * 1024 * 1024)
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=pace) as one,
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=pace) as two,
    ):
        yield [one, two]


def said(pair: list[LoopbackServer], folder: Path, **changes: Any) -> tuple[Result, set[str]]:
    """Everything that was said of the second server while the download ran, numbers aside."""
    whys: set[str] = set()
    url = pair[1].url("/f").replace("//", "//user:secret@")

    async def watch(task: Task) -> Result:
        async for _ in task:
            whys.add(task.explanations()[1].why)
            lines = task.explain().splitlines()
            assert [line.split(": ")[0] for line in lines] == [server.url("/f") for server in pair]
            assert "secret" not in task.explain()
            await asyncio.sleep(0)
        return await task.outcome()

    result = drive(watch, pair[0].url("/f"), folder, mirrors=[url], **changes)
    assert result.error is None
    return result, whys


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (Resource(body=b"x", behaviour=m.status(404)), "not used: not found (the server answered 404)"),
        (generated(100, seed=2), f"not used: its file has 100 bytes, the others' {SIZE}"),
        (generated(SIZE, seed=1, behaviour=m.no_ranges), "it sends no ranges"),
        (Resource(body=b"x", behaviour=m.silence), "asked, and has not answered yet"),
        (generated(SIZE, seed=1), "begins with a few connections"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mirror_and_what_is_said_of_it(
    tmp_path: Path, pair: list[LoopbackServer], resource: Resource, told: str
) -> None:
    pair[1].resources["/f"] = resource
    _, whys = said(pair, tmp_path)
    assert any(told in why for why in whys), whys


def test_one_that_dies_is_left_alone(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[1].limits = Limits(rate_bytes_per_s=8 * 1024 * 1024, dies_at_bytes=1_500_000)
    pair[0].waits_until = lambda: not pair[1].alive
    _, whys = said(pair, tmp_path, retries=3)
    assert any(why.startswith("left alone for a while: ") for why in whys), whys


def test_one_that_takes_few_connections(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[1].limits = Limits(rate_bytes_per_s=8 * 1024 * 1024, connections=1)
    for server in pair:
        server.waits_until = lambda: pair[1].peak_connections > 1
    _, whys = said(pair, tmp_path, retries=3)
    assert any(why.endswith("the server answered 429 to one more") for why in whys), whys
