"""Whoever asks a carrier is told how it ended, whenever that is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from thunderdl.errors import Cancelled
from thunderdl.sources.answering import Facts, answer
from thunderdl.sources.carrying import CallCarrier
from thunderdl.sources.http.bucket import Meter, SharedLimit
from thunderdl.sources.http.events import Broke
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer


class Waiting:
    """The Origin of a file that never comes."""

    def __init__(self) -> None:
        self.is_closed = False

    async def head(self, transfer: Transfer) -> ResponseHead:
        await asyncio.get_running_loop().create_future()
        return answer(Facts(size_bytes=0), transfer)

    async def read(self, position: int, most_bytes: int) -> bytes:
        return b""

    def close(self) -> None:
        self.is_closed = True


async def on_disk(work: Callable[..., Any], *args: object) -> Any:
    return work(*args)


async def _at_once() -> None:
    return


async def _later() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("wait", [_at_once, _later])
def test_all_who_asked_are_told_when_it_is_closed(wait: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        told: list[object] = []
        origin = Waiting()
        carrier = CallCarrier(origin, on_disk)
        for _ in range(2):
            carrier.ask(
                Transfer(request=b"W/", start=0, end=1, notify=told.append, meter=Meter(SharedLimit(None), 1.0))
            )
        await wait()
        carrier.close(Cancelled())
        await _later()
        assert [type(event) for event in told] == [Broke, Broke]
        assert origin.is_closed

    asyncio.run(run())
