"""Downloads of one client beside each other, on real sockets: slots, caps of hosts, what a host refuses."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.servers import misbehave as m
from tests.servers.exchange import Reply, Request, generated, plain
from tests.servers.loopback import Limits, LoopbackServer, Resource
from tests.stopwatch import Stopwatch
from thunderdl import Client, Options, Priority, Status
from thunderdl import Request as Wanted
from thunderdl.client import Task
from thunderdl.core.protocol import Budget, Command, Event, HostCap
from thunderdl.core.scheduler import Scheduler
from thunderdl.engine import candidates, sharing
from thunderdl.engine.opening import back_off_s
from thunderdl.errors import ThunderdlError

KIB, MIB = 1024, 1024 * 1024
LIMIT_S = 30.0
OTHER = generated(256 * MIB, seed=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_S", 0.02)


def with_client(folder: Path, script: Callable[[Client], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        settled = Options(dir=str(folder), checksum_files=False, **options)  # type: ignore[arg-type]
        async with asyncio.timeout(LIMIT_S), Client(settled) as client:
            await script(client)

    asyncio.run(run())


def lanes(task: Task) -> int:
    return sum(source.lanes for source in task.progress().sources)


async def until(claim: Callable[[], bool]) -> None:
    while not claim():  # noqa: ASYNC110  # progress is polled
        await asyncio.sleep(0.01)


def paced(**resources: Resource) -> LoopbackServer:
    """A server where each connection is slow: more lanes bring more."""
    limits = Limits(connection_rate_bytes_per_s=256 * KIB)
    return LoopbackServer({f"/{name}": resource for name, resource in resources.items()}, limits=limits)


def test_a_small_file_does_not_wait_behind_a_big_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that at once, not when somebody looks next."""
    monkeypatch.setattr(sharing, "LOOK_S", 100.0)
    with paced(big=generated(256 * MIB), small=Resource(body=b"small")) as server:

        async def script(client: Client) -> None:
            big = client.add(server.url("/big"))
            await until(lambda: lanes(big) >= 3)
            watch = Stopwatch()
            for number in range(5):
                result = await client.add(server.url("/small"), out=f"small{number}")
                assert result.status is Status.COMPLETE
            assert watch.took_s < 1.0
            assert lanes(big) >= 2
            assert server.peak_connections <= 4 + 1

        with_client(tmp_path, script, per_host=4)


def test_two_big_ones_share_a_host(tmp_path: Path) -> None:
    with paced(one=generated(256 * MIB), other=generated(256 * MIB)) as server:

        async def script(client: Client) -> None:
            one = client.add(server.url("/one"))
            await until(lambda: lanes(one) == 8)
            other = client.add(server.url("/other"))
            await until(lambda: lanes(one) <= 5 and lanes(other) >= 3)

        with_client(tmp_path, script, per_host=8)


def test_a_priority_is_a_larger_share(tmp_path: Path) -> None:
    with paced(one=generated(256 * MIB), other=generated(256 * MIB)) as server:

        async def script(client: Client) -> None:
            one = client.add(server.url("/one"))
            other = client.add(server.url("/other"), priority="high")
            await until(lambda: lanes(one) <= 3 and lanes(other) >= 5)
            one.change_priority(Priority.HIGH)
            await until(lambda: lanes(one) >= 3 and lanes(other) <= 5)

        with_client(tmp_path, script, per_host=8)


def test_what_one_leaves_the_other_takes(tmp_path: Path) -> None:
    with paced(one=generated(256 * MIB), other=generated(256 * MIB)) as server:

        async def script(client: Client) -> None:
            one, other = client.add(server.url("/one")), client.add(server.url("/other"))
            await until(lambda: lanes(one) >= 2 and lanes(other) >= 2)
            other.cancel()
            await until(lambda: lanes(one) >= 6)

        with_client(tmp_path, script, per_host=8)


def test_what_is_shared_is_also_the_number_in_all(tmp_path: Path) -> None:
    with paced(one=generated(256 * MIB)) as first, paced(other=generated(256 * MIB)) as second:

        async def script(client: Client) -> None:
            one = client.add(first.url("/one"))
            await until(lambda: lanes(one) == 6)
            other = client.add(second.url("/other"))
            await until(lambda: lanes(one) <= 4 and lanes(other) >= 2)

        with_client(tmp_path, script, connections=6)


def test_what_others_hold_is_told_in_all_and_not_of_each_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of forty mirrors each heard of every connection that another one had opened: 2,800 events, a third of a core."""
    heard: list[Event] = []
    handle = Scheduler.handle

    def noted(self: Scheduler, event: Event, now: float) -> list[Command]:
        heard.append(event)
        return handle(self, event, now)

    monkeypatch.setattr(Scheduler, "handle", noted)
    with paced(one=generated(256 * MIB)) as first, paced(one=generated(256 * MIB)) as second, paced(b=OTHER) as third:

        async def script(client: Client) -> None:
            one = client.add(first.url("/one"), mirrors=[second.url("/one")])
            await until(lambda: lanes(one) == 6)
            heard.clear()
            client.add(third.url("/b"))
            await until(lambda: any(isinstance(each, Budget) and each.lanes < 6 for each in heard))
            hosts = {server.url("").rstrip("/") for server in (first, second)}
            caps = [each.lanes for each in heard if isinstance(each, HostCap) and each.host in hosts]
            assert set(caps) <= {client.options.per_host}, "they allow what they did before"

        with_client(tmp_path, script, connections=6)


def test_a_server_of_few_connections_serves_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_off: list[int] = []

    def noted(failures: int, error: ThunderdlError, jitter: float) -> float:
        backed_off.append(failures)
        return back_off_s(failures, error, jitter)

    monkeypatch.setattr(candidates, "back_off_s", noted)
    limits = Limits(connections=3)
    files = {f"/{number}": Resource(body=b"x" * 1000) for number in range(60)}
    with LoopbackServer(files, limits=limits) as server:

        async def script(client: Client) -> None:
            # So that it is known to work: those turned away later then wait in line for what it allows.
            await client.add(server.url("/0"), out="first")
            results = [result async for result in client.run(Wanted(server.url(path)) for path in files)]
            assert [result.error for result in results if result.error] == []
            assert len(results) == 60

        with_client(tmp_path, script)
        assert len(server.requests) < 60 + 40
        assert not backed_off


class Busy:
    """Answers 429 with a Retry-After while ``busy``; ``heard``: when requests came meanwhile."""

    def __init__(self, retry_after_s: int) -> None:
        self.busy, self.heard = threading.Event(), list[float]()
        self._wish = str(retry_after_s)

    def __call__(self, _: Request, reply: Reply) -> Reply:
        if not self.busy.is_set():
            return reply
        self.heard.append(time.monotonic())
        return plain(429, ("Retry-After", self._wish))


def test_a_retry_after_is_obeyed_by_all_downloads(tmp_path: Path) -> None:
    busy = Busy(retry_after_s=1)
    files = {f"/{number}": Resource(body=b"x" * 1000) for number in range(6)}
    with LoopbackServer(files, behaviour=busy) as server:

        async def script(client: Client) -> None:
            busy.busy.set()
            first = client.add(server.url("/0"))
            # Not only sent: heard, or the others are asked for before it is known.
            await until(lambda: client.session.pool.hosts.paused_until(server.origin) > time.monotonic())
            assert len(busy.heard) == 1
            others = [client.add(server.url(f"/{number}")) for number in range(1, 6)]
            await asyncio.sleep(0.7)
            assert len(busy.heard) == 1, "others asked although the host had asked to be left alone"
            busy.busy.clear()
            for task in (first, *others):
                await task
            assert time.monotonic() - busy.heard[0] > 1.0

        with_client(tmp_path, script)


def test_lanes_that_work_go_on_while_a_host_wants_no_new_ones(tmp_path: Path) -> None:
    """A server of two connections: the third is refused with a wish; what works is not touched."""

    def refuse_third(request: Request, reply: Reply) -> Reply:
        return reply if request.connection <= 2 else plain(503, ("Retry-After", "30"))

    with paced(big=generated(2 * MIB), small=Resource(body=b"small")) as server:
        server.behaviour = refuse_third

        async def script(client: Client) -> None:
            watch = Stopwatch()
            big = client.add(server.url("/big"))
            # Not only sent: heard, or the small one may be asked for before it is known.
            await until(lambda: client.session.pool.hosts.paused_until(server.origin) > time.monotonic())
            assert refused()
            small = client.add(server.url("/small"))
            result = await big
            assert result.status is Status.COMPLETE
            assert watch.took_s < 6.0
            assert not any(request.path == "/small" for request in server.requests)
            small.cancel()

        def refused() -> list[Request]:
            return [request for request in server.requests if request.connection > 2]

        with_client(tmp_path, script, per_host=8)
        assert len(refused()) <= 4


def test_a_broken_url_does_not_slow_down_its_host(tmp_path: Path) -> None:
    files = {f"/{number}": Resource(body=b"x" * 1000) for number in range(100)}
    files["/50"] = Resource(body=b"x", behaviour=m.status(503))
    with LoopbackServer(files) as server:

        async def script(client: Client) -> None:
            watch = Stopwatch()
            done = 0
            async for result in client.run(Wanted(server.url(path)) for path in files):
                done += result.error is None
                if done == 99:
                    break
            assert watch.took_s < 1.0

        with_client(tmp_path, script)
