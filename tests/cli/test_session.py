from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterable, AsyncIterator, Iterator

import pytest

from tests.cli.fakes import FakeClient, FakeRequest, failed, saved
from thunderdl.cli.plain import PlainView
from thunderdl.cli.session import Tally, run_session
from thunderdl.cli.views import Watched
from thunderdl.errors import NotFound, UsageError
from thunderdl.model import Result


def quiet() -> PlainView:
    return PlainView(stdout=io.StringIO(), stderr=io.StringIO())


def run(client: FakeClient, requests: Iterator[FakeRequest], tally: Tally | None = None) -> int:
    return asyncio.run(run_session(client, requests, quiet(), tally or Tally()))


def test_the_worst_code_is_told() -> None:
    error = NotFound("http://h/b", "404")
    client = FakeClient(results={"http://h/b": failed("http://h/b", error)})
    assert run(client, (FakeRequest(f"http://h/{name}") for name in "abc")) == 3
    assert len(client.asked) == 3


def test_a_bad_line_counts_but_stops_nothing() -> None:
    tally = Tally()
    tally.bad_line(quiet())(UsageError("list:1: no."))
    client = FakeClient()
    assert run(client, iter([FakeRequest("http://h/a")]), tally) == 2
    assert len(client.asked) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_what_runs_and_begins_nothing_new(number: signal.Signals) -> None:
    class Interrupted(FakeClient):
        async def run(self, requests: AsyncIterable[FakeRequest]) -> AsyncIterator[Result]:
            async for result in super().run(self.interrupting(requests)):
                # The loop hands signals over between two steps.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                yield result

        async def interrupting(self, requests: AsyncIterable[FakeRequest]) -> AsyncIterator[FakeRequest]:
            async for request in requests:
                yield request
                if len(self.asked) == 1:
                    os.kill(os.getpid(), number)

    client = Interrupted()
    assert run(client, (FakeRequest(f"http://h/{index}") for index in range(1000))) == 130
    assert len(client.asked) < 5


def test_a_fault_of_the_view_is_no_silence() -> None:
    class Broken(PlainView):
        async def watch(self, client: Watched) -> None:
            raise ValueError("the view broke")

    class Slow(FakeClient):
        async def run(self, requests: AsyncIterable[FakeRequest]) -> AsyncIterator[Result]:
            await asyncio.sleep(0)
            yield saved("http://h/a")

    view = Broken(stdout=io.StringIO(), stderr=io.StringIO())
    with pytest.raises(ValueError, match="the view broke"):
        asyncio.run(run_session(Slow(), iter([FakeRequest("http://h/a")]), view, Tally()))
