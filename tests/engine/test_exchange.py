"""Which pieces of the swarm count at once, which are read back, and which wait: with stand-ins for all that is slow."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from thunderdl.core.division import Division
from thunderdl.core.ranges import RangeSet
from thunderdl.engine.exchange import Exchange, Parts
from thunderdl.errors import InternalError, ThunderdlError
from thunderdl.sources.swarm.member import Member

PIECE, COUNT = 100, 4


class Told:
    """A ledger that only notes what it is told. ``moved``: where movers wrote."""

    def __init__(self, moved: RangeSet) -> None:
        self.moved = moved
        self.proven: list[tuple[int, int]] = []
        self.written: list[tuple[int, int]] = []

    def take_proven(self, pieces: list[tuple[int, int]], _: int) -> None:
        self.proven += pieces

    def take_written(self, start: int, end: int) -> None:
        self.written.append((start, end))


def exchange(moved: RangeSet | None = None, leases: list[tuple[int, int]] | None = None) -> tuple[Exchange, Told]:
    scheduler = SimpleNamespace(written_by_lanes=lambda: iter(leases or ()))
    driver = SimpleNamespace(scheduler=scheduler, tell=lambda event: None)
    division = Division(size=PIECE * COUNT, piece_bytes=PIECE)
    # Neither is short of anything, so that nothing is divided.
    division.is_short = lambda swarm: False  # type: ignore[method-assign]
    ledger = Told(moved or RangeSet())
    parts = SimpleNamespace(
        ledger=ledger, driver=driver, division=division, member=SimpleNamespace(last=SimpleNamespace(view=None))
    )
    return Exchange(cast(Parts, parts), name="f", patience_s=1, on_fault=lambda fault: None), ledger


def test_a_piece_of_the_swarms_alone_counts_at_once() -> None:
    asked, ledger = exchange()
    asked._brought(1)
    asked._record()
    assert (ledger.proven, ledger.written) == ([(100, 200)], [])


@pytest.mark.parametrize("moved", [(0, 101), (150, 151), (199, 400)])
def test_one_that_movers_ever_wrote_in_is_read_back(moved: tuple[int, int]) -> None:
    asked, ledger = exchange(RangeSet([moved]))
    asked._brought(1)
    asked._record()
    assert (ledger.proven, ledger.written) == ([], [(100, 200)])


def test_one_under_a_lease_waits_for_its_end() -> None:
    leases = [(0, 101)]
    asked, ledger = exchange(leases=leases)
    asked._brought(1)
    asked._record()
    assert (ledger.proven, ledger.written) == ([], [])
    leases.clear()
    asked._record()
    assert ledger.proven == [(100, 200)]


def test_a_bad_one_that_the_swarm_brought_meanwhile_is_read_back_not_fetched_again() -> None:
    asked, ledger = exchange()
    asked._brought(1)
    assert asked.bad_piece(100, 200) is False
    asked._record()
    assert (ledger.proven, ledger.written) == ([], [(100, 200)])


def test_a_bad_one_that_libtorrent_has_makes_it_join_anew() -> None:
    asked, _ = exchange()
    asked._brought(1)
    asked._record()
    assert asked.bad_piece(100, 200) is True
    assert asked._has_lost
    assert 1 not in asked._parts.division.done


def test_a_bad_one_of_the_movers_is_theirs_to_bring() -> None:
    asked, _ = exchange()
    asked._proven(2)
    assert asked.bad_piece(200, 300) is True
    assert not asked._has_lost


def test_a_bug_in_a_look_ends_the_download_instead_of_being_lost() -> None:
    faults: list[ThunderdlError] = []
    asked, _ = exchange()
    asked._fault = faults.append

    async def broken() -> None:
        raise RuntimeError("unforeseen")

    asyncio.run(asked._guarded(broken))
    assert [type(fault) for fault in faults] == [InternalError]


def test_each_flush_waits_for_its_own_answer() -> None:
    async def two() -> list[bool]:
        member = Member(cast(Any, None), cast(Any, None))
        member._handle = cast(Any, SimpleNamespace(flush_cache=lambda: None))
        first, second = asyncio.create_task(member.flush()), asyncio.create_task(member.flush())
        await asyncio.sleep(0)
        member._flushes.popleft().set_result(None)
        await first
        seen = [second.done()]
        member._flushes.popleft().set_result(None)
        await second
        return seen

    assert asyncio.run(two()) == [False]
