"""Which of those that are asked count as silent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from tests.engine.runs import LIMIT_S
from thunderdl.engine.candidates import ENOUGH_IN_USE, SILENT_S, Candidate, Candidates, from_the_start
from thunderdl.errors import TimedOut
from thunderdl.options import Options


def test_one_that_has_answered_and_is_compared_with_the_others_is_not_called_silent() -> None:
    # While it waited for bytes to be compared with, it was dropped as "no answer within 2 s".
    async def run() -> None:
        now = asyncio.get_running_loop().time()
        clock = SimpleNamespace(time=lambda: now)
        pacing = SimpleNamespace(pace=lambda _: SimpleNamespace(close=lambda: None))
        session = SimpleNamespace(pacing=pacing, access=SimpleNamespace(named=set()), loop=clock)
        urls = [f"http://{number}.example/f" for number in range(ENOUGH_IN_USE)]
        foreign = ["http://answers.example/f", "http://dark.example/f"]
        candidates = Candidates(cast(Any, session), urls, Options(), foreign, "a list")
        for each in candidates.all:
            each.source = cast(Any, object())
        compared, never = asyncio.Event(), asyncio.Event()

        async def ask(candidate: Candidate, _: object) -> Any:
            if candidate.url == foreign[1]:
                await never.wait()
            return object()

        async def compare(candidate: Candidate) -> None:
            candidate.opening = None
            compared.set()
            await never.wait()

        candidates.ask = ask  # type: ignore[method-assign, assignment]
        candidates.open_all(from_the_start, compare)
        for each in candidates.all[:ENOUGH_IN_USE]:
            candidates._opening[each.id].cancel()
        async with asyncio.timeout(LIMIT_S):
            await compared.wait()
        now += SILENT_S + 1
        candidates._drop_silent()
        answers, dark = candidates.all[ENOUGH_IN_USE:]
        assert answers.error is None
        assert isinstance(dark.error, TimedOut)
        candidates.close()

    asyncio.run(run())
