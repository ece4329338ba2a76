"""Slots and idle connections: who waits gets one, hosts in turn, pauses are kept, nothing piles up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from thunderdl.core.hosts import Refusal
from thunderdl.sources.http.connect import TlsSettings
from thunderdl.sources.http.connection import Connection, Phase
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.pool import Pool
from thunderdl.sources.http.wire import Endpoint

A, B = Endpoint("http", "a.example", 80), Endpoint("http", "b.example", 80)


def with_pool(script: Callable[[Pool], Awaitable[None]], *, per_host: int = 2, in_all: int = 3) -> None:
    async def run() -> None:
        mover = Mover(lambda: None)
        tls = TlsSettings(ca=None, insecure=False, make=lambda: None)
        pool = Pool([mover], tls, per_host=per_host, in_all=in_all)
        try:
            await script(pool)
        finally:
            pool.close()
            mover.stop()

    asyncio.run(run())


async def waiting(pool: Pool, endpoint: Endpoint) -> asyncio.Task[None]:
    task = asyncio.create_task(pool.wait_for_slot(endpoint))
    await asyncio.sleep(0)
    return task


def test_first_come_first_served_at_a_host() -> None:
    async def script(pool: Pool) -> None:
        for _ in range(2):
            await pool.wait_for_slot(A)
        first, second = await waiting(pool, A), await waiting(pool, A)
        assert pool.waiting == {A.origin: 2}
        assert pool.free_at(A.origin) == 0
        pool.free_slot(A)
        await asyncio.sleep(0)
        assert (first.done(), second.done()) == (True, False)
        pool.free_slot(A)
        await second

    with_pool(script)


def test_hosts_take_turns_where_the_slots_in_all_are_short() -> None:
    async def script(pool: Pool) -> None:
        for _ in range(2):
            await pool.wait_for_slot(A)
        many = [await waiting(pool, A) for _ in range(5)]
        one = await waiting(pool, B)
        order = []
        for _ in range(3):
            pool.free_slot(A)
            await asyncio.sleep(0)
            order.append((sum(task.done() for task in many), one.done()))
        assert order[0][1] or order[1][1], "the one at the other host is not behind all five"
        for task in many:
            task.cancel()

    with_pool(script, per_host=2, in_all=2)


def test_who_gives_up_waiting_holds_nothing() -> None:
    async def script(pool: Pool) -> None:
        await pool.wait_for_slot(A)
        gone, next_one = await waiting(pool, A), await waiting(pool, A)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        pool.free_slot(A)
        await next_one
        pool.free_slot(A)
        assert pool.taken == {}

    with_pool(script, per_host=1)


def test_who_gives_up_as_it_is_served_gives_the_slot_on() -> None:
    async def script(pool: Pool) -> None:
        await pool.wait_for_slot(A)
        gone, next_one = await waiting(pool, A), await waiting(pool, A)
        pool.free_slot(A)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await asyncio.wait_for(next_one, 30)

    with_pool(script, per_host=1)


def test_somebody_who_has_to_wait_is_told_of() -> None:
    async def script(pool: Pool) -> None:
        told: list[int] = []
        pool.on_wait = lambda: told.append(1)
        await pool.wait_for_slot(A)
        assert not told
        task = await waiting(pool, A)
        assert told == [1]
        task.cancel()

    with_pool(script, per_host=1)


def test_a_pause_is_kept_by_all_and_ends_by_itself() -> None:
    async def script(pool: Pool) -> None:
        loop = asyncio.get_running_loop()
        wish = Refusal(url="u", held=2, working=0, is_new=True, is_of_host=True, retry_after_s=0.05)
        pool.refused(A, wish)
        began = loop.time()
        await pool.wait_for_slot(B)
        assert loop.time() - began < 0.04
        await pool.wait_for_slot(A)
        assert 0.04 < loop.time() - began < 1.0

    with_pool(script)


def test_a_refusal_lowers_the_cap() -> None:
    async def script(pool: Pool) -> None:
        pool.refused(A, Refusal(url="u", held=4, working=2, is_new=True, is_of_host=True))
        assert pool.free_at(A.origin) == 3
        assert pool.free_at(B.origin) == 4

    with_pool(script, per_host=4, in_all=16)


def test_idle_connections_do_not_pile_up_with_the_hosts() -> None:
    async def script(pool: Pool) -> None:
        kept = []
        for number in range(50):
            ours, theirs = socket.socketpair()
            theirs.close()
            connection = Connection(ours)
            pool._movers[0].attach(connection)
            kept.append(connection)
            pool.keep(Endpoint("http", f"host{number}", 80), connection)
        assert len(pool._idle) == 3
        while sum(connection.phase is Phase.CLOSED for connection in kept) < 47:  # noqa: ASYNC110  # a mover's thread
            await asyncio.sleep(0.001)
        assert pool.idle(Endpoint("http", "host49", 80)) is kept[49]
        assert pool.idle(Endpoint("http", "host0", 80)) is None
        assert len(pool._idle) == 2

    with_pool(script)
