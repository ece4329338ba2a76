"""A list on its way: begun at once, looked ahead in, never held as a whole, stopped when it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from thunderdl.core.waiting import MOST_WAITING
from thunderdl.engine import feeding
from thunderdl.engine.feeding import Feeder, host_as_typed
from thunderdl.model import Result, Status


@dataclass(eq=False)
class FakeJob:
    url: str
    over: asyncio.Future[Result] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    long: bool = False

    def is_long(self) -> bool:
        return self.long

    def end(self) -> None:
        self.over.set_result(Result(url=self.url, path=None, bytes=0, seconds=0.0, status=Status.COMPLETE))


class Works:
    """Jobs that end when told to. ``begun``: every one so far."""

    def __init__(
        self, jobs: int = 4, room: int = 16, *, at_once: bool = False, instead: Callable[[str], list[str]] | None = None
    ) -> None:
        self.begun: list[FakeJob] = []
        self.feeder = Feeder[str](
            jobs=jobs, room=lambda _: room, host_of=host_as_typed, begin=self._begin,
            instead=lambda url, _: instead(url) if instead else [],
        )  # fmt: skip
        self._at_once = at_once

    def _begin(self, url: str) -> FakeJob:
        job = FakeJob(url)
        self.begun.append(job)
        if self._at_once:
            job.end()
        return job

    @property
    def urls(self) -> list[str]:
        return [job.url for job in self.begun]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def collect(results: AsyncIterator[Result]) -> list[str]:
    return [result.url async for result in results]


def test_the_second_host_does_not_wait_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the list is read in one go: a machine that stops meanwhile lets what has been read by then begin.
    monkeypatch.setattr(feeding, "BREATH_S", 1e9)

    async def run() -> None:
        works = Works()
        urls = [f"http://slow/{number}" for number in range(100)] + ["http://quick/1", "http://quick/2"]
        task = asyncio.create_task(collect(works.feeder.results(urls)))
        await settled()
        assert sorted(works.urls) == ["http://quick/1", "http://quick/2", "http://slow/0", "http://slow/1"]
        while not task.done():
            for job in works.begun:
                if not job.over.done():
                    job.end()
            await settled()
        assert sorted(task.result()) == sorted(urls)

    asyncio.run(run())


def test_what_one_turns_out_to_stand_for_comes_in_its_place() -> None:
    async def run() -> None:
        named = {"http://a/set": ["http://b/1", "http://b/2"]}
        works = Works(jobs=1, at_once=True, instead=lambda url: named.get(url, []))
        assert await collect(works.feeder.results(["http://a/set", "http://c/"])) == [
            "http://c/",
            "http://b/1",
            "http://b/2",
        ]

    asyncio.run(run())


def test_nothing_comes_in_its_place_after_a_stop() -> None:
    async def run() -> None:
        works = Works(jobs=1, instead=lambda url: [f"{url}+"])
        task = asyncio.create_task(collect(works.feeder.results(["http://a/set"])))
        await settled()
        works.feeder.stop()
        works.begun[0].end()
        assert await task == ["http://a/set"]

    asyncio.run(run())


def test_results_come_as_they_end() -> None:
    async def run() -> None:
        works = Works()
        results = works.feeder.results(["http://a/1", "http://a/2"])
        first = asyncio.ensure_future(anext(results))
        await settled()
        works.begun[1].end()
        assert (await first).url == "http://a/2"
        works.begun[0].end()
        assert [result.url async for result in results] == ["http://a/1"]

    asyncio.run(run())


def test_a_list_that_comes_slowly_begins_at_once() -> None:
    async def run() -> None:
        more = asyncio.Event()
        works = Works()

        async def slowly() -> AsyncIterator[str]:
            yield "http://a/1"
            await more.wait()
            yield "http://a/2"

        task = asyncio.create_task(collect(works.feeder.results(slowly())))
        await settled()
        assert works.urls == ["http://a/1"]
        more.set()
        await settled()
        assert works.urls == ["http://a/1", "http://a/2"]
        for job in works.begun:
            job.end()
        assert len(await task) == 2

    asyncio.run(run())


def test_a_program_that_takes_its_time_for_each_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "BREATH_S", -1.0)

    async def run() -> None:
        works, seen = Works(), []

        def thinking() -> Iterator[str]:
            for number in range(10):
                seen.append(len(works.begun))
                yield f"http://a/{number}"

        task = asyncio.create_task(collect(works.feeder.results(thinking())))
        await settled()
        assert seen[:4] == [0, 0, 1, 2] or seen[:3] == [0, 1, 2]
        task.cancel()

    asyncio.run(run())


def test_a_list_without_end_is_not_held() -> None:
    async def run() -> None:
        asked = 0

        def endless() -> Iterator[str]:
            nonlocal asked
            while True:
                asked += 1
                yield f"http://host{asked % 7}/{asked}"

        works = Works(at_once=True)
        results = works.feeder.results(endless())
        for count in range(1, 5000):
            await anext(results)
            assert asked <= count + MOST_WAITING + 100
        await results.aclose()

    asyncio.run(run())


def test_long_ones_do_not_hold_up_the_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "LOOK_S", 0.001)

    async def run() -> None:
        works = Works(jobs=2)
        task = asyncio.create_task(collect(works.feeder.results([f"http://a/{number}" for number in range(9)])))
        await settled()
        assert len(works.begun) == 2
        for job in works.begun:
            job.long = True
        await asyncio.sleep(0.02)
        assert len(works.begun) == 3
        for number in range(2, 9):
            works.begun[number].end()
            await settled()
        assert [job.over.done() for job in works.begun] == [False] * 2 + [True] * 7
        works.begun[0].end()
        works.begun[1].end()
        assert len(await task) == 9

    asyncio.run(run())


def test_stopped_means_that_nothing_more_begins() -> None:
    async def run() -> None:
        works = Works()
        task = asyncio.create_task(collect(works.feeder.results([f"http://a/{number}" for number in range(5000)])))
        await settled()
        works.feeder.stop()
        for job in works.begun:
            job.end()
        assert len(await task) == len(works.begun) == 4

    asyncio.run(run())


def test_what_the_list_raises_is_raised_after_the_results() -> None:
    async def run() -> None:
        def broken() -> Iterator[str]:
            yield "http://a/1"
            raise ValueError("no more")

        works = Works(at_once=True)
        results = works.feeder.results(broken())
        assert (await anext(results)).url == "http://a/1"
        with pytest.raises(ValueError, match="no more"):
            await anext(results)

    asyncio.run(run())


def test_what_cannot_begin_is_raised() -> None:
    async def run() -> None:
        def refuse(_: str) -> FakeJob:
            raise ValueError("a bug")

        feeder = Feeder[str](jobs=1, room=lambda _: 1, host_of=host_as_typed, begin=refuse)
        with pytest.raises(ValueError, match="a bug"):
            await collect(feeder.results(["http://a/1"]))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.example/x", "http://a.example"),
        ("HTTP://A.example:80/x?y/z", "http://a.example"),
        ("https://me:secret@a.example:8443?x@y", "https://a.example:8443"),
        ("https://a.example:443", "https://a.example"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("nonsense", "nonsense://"),
    ],
)
def test_hosts_are_told_apart(url: str, origin: str) -> None:
    assert host_as_typed(url) == origin
