"""What happens to a transfer between its answer and its end, where the bytes come by calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S
from thunderdl.errors import Cancelled
from thunderdl.sources.answering import Facts, answer
from thunderdl.sources.carrying import CallCarrier
from thunderdl.sources.http.bucket import Meter, SharedLimit
from thunderdl.sources.http.events import Broke, Finished, Lowered
from thunderdl.sources.http.head import Body, ResponseHead
from thunderdl.sources.http.transfer import Store, Transfer

CONTENT = bytes(range(100))


class Held:
    """The Origin of CONTENT: each read waits until it is let go, with how many bytes it brings."""

    def __init__(self) -> None:
        self.reads: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()

    async def head(self, transfer: Transfer) -> ResponseHead:
        return answer(Facts(size_bytes=len(CONTENT)), transfer)

    async def read(self, position: int, most_bytes: int) -> bytes:
        held = asyncio.get_running_loop().create_future()
        self.reads.put_nowait(held)
        return CONTENT[position : position + min(most_bytes, await held)]

    def close(self) -> None:
        return


async def at_once(work: Callable[..., Any], *args: object) -> Any:
    return work(*args)


class Told(asyncio.Queue[object]):
    def __call__(self, event: object) -> None:
        self.put_nowait(event)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "f"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    yield Store(fd=fd, path=str(path), granule_bytes=1 << 20)
    os.close(fd)


def asked(
    store: Store, told: Told, start: int = 0, *, limit: float | None = None, length_told: bool = True
) -> Transfer:
    def judge(head: ResponseHead) -> Body:
        return Body(start, len(CONTENT) - start if length_told else None, False)

    meter = Meter(SharedLimit(limit), 1.0)
    return Transfer(
        request=b"R/", start=start, end=len(CONTENT), notify=told, meter=meter, judge=judge, store=store
    )  # fmt: skip


def within_limit(run: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await run

    asyncio.run(bounded())


def written(store: Store) -> bytes:
    return os.pread(store.fd, 1000, 0)


@pytest.mark.parametrize("limit", [None, 1e6])
@pytest.mark.parametrize("length_told", [True, False])
def test_one_that_is_lowered_to_nothing_more_while_its_bytes_are_written_ends(
    store: Store, limit: float | None, length_told: bool
) -> None:  # fmt: skip
    # Under a limit it asked for a grant of no bytes, for ever.
    async def run() -> None:
        told, origin = Told(), Held()

        async def on_disk(work: Callable[..., Any], *args: object) -> Any:
            carrier.lower(transfer, 0)
            return work(*args)

        carrier = CallCarrier(origin, on_disk)
        transfer = asked(store, told, limit=limit, length_told=length_told)
        carrier.ask(transfer)
        (await origin.reads.get()).set_result(10)
        assert await told.get() == Lowered(transfer, 10)
        assert await told.get() == Finished(transfer, True)
        assert (transfer.end, transfer.whole) == (10, False)
        assert [(each.start, each.end) for each in transfer.records] == [(0, 10)]

    within_limit(run())


@pytest.mark.parametrize("limit", [None, 1e6])
def test_one_whose_source_is_silent_is_lowered_and_ends_at_once(store: Store, limit: float | None) -> None:
    # Else whoever is to bring the rest waits until the silence has lasted long enough to be given up.
    async def run() -> None:
        told, origin = Told(), Held()
        carrier = CallCarrier(origin, at_once)
        transfer, next_one = asked(store, told, limit=limit), asked(store, told, 50)
        carrier.ask(transfer)
        (await origin.reads.get()).set_result(10)
        await origin.reads.get()
        carrier.lower(transfer, 0)
        carrier.lower(transfer, 0)
        assert [await told.get() for _ in range(3)] == [
            Lowered(transfer, 10), Lowered(transfer, 10), Finished(transfer, True),
        ]  # fmt: skip
        carrier.ask(next_one)
        (await origin.reads.get()).set_result(100)
        assert await told.get() == Finished(next_one, True)
        assert written(store) == CONTENT[:10] + bytes(40) + CONTENT[50:]

    within_limit(run())


def test_what_was_on_its_way_when_the_end_was_lowered_is_not_written(store: Store) -> None:
    async def run() -> None:
        told, origin = Told(), Held()
        carrier = CallCarrier(origin, at_once)
        transfer = asked(store, told)
        carrier.ask(transfer)
        read = await origin.reads.get()
        carrier.lower(transfer, 3)
        assert await told.get() == Lowered(transfer, 3)
        read.set_result(100)
        assert await told.get() == Finished(transfer, True)
        assert written(store) == CONTENT[:3]
        assert not transfer.whole

    within_limit(run())


def test_one_that_is_closed_as_it_is_cut_short_is_broken(store: Store) -> None:
    async def run() -> None:
        told, origin = Told(), Held()
        carrier = CallCarrier(origin, at_once)
        transfer = asked(store, told)
        carrier.ask(transfer)
        (await origin.reads.get()).set_result(10)
        await origin.reads.get()
        carrier.lower(transfer, 0)
        carrier.close(Cancelled())
        assert await told.get() == Lowered(transfer, 10)
        broke = await told.get()
        assert isinstance(broke, Broke)
        assert isinstance(broke.error, Cancelled)
        assert [(each.start, each.end) for each in transfer.records] == [(0, 10)]

    within_limit(run())
