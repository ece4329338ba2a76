"""Events in any order, sensible or not, early, late or twice: the scheduler never raises and keeps its books, and
one honest source that comes then brings all that is left."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.desk import MIB, Desk
from thunderdl.core.protocol import (
    Blamed,
    Budget,
    Cleared,
    Complete,
    Ended,
    Event,
    Failed,
    FaultKind,
    FirstByte,
    Horizon,
    HostCap,
    HostPause,
    Moved,
    PieceBad,
    Renewing,
    Shrunk,
    SourceLost,
    Suspected,
    Tick,
)  # fmt: skip

SIZE, ALIGN, SOURCES = 8 * MIB, MIB, 4
HOSTS = ("host1", "host2")
FRESH = 99

GONE = 999
which = st.integers(0, 30)
sources = st.integers(0, SOURCES)
positions = st.one_of(st.integers(0, 2 * SIZE), st.integers(0, 2 * SIZE // ALIGN).map(lambda n: n * ALIGN))
some_sources = st.frozensets(sources, max_size=SOURCES)
seconds = st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 40))
pieces = st.integers(0, SIZE // ALIGN - 1)


def piece_bad(piece: int, suspects: frozenset[int], culprits: frozenset[int]) -> PieceBad:
    return PieceBad(piece * ALIGN, (piece + 1) * ALIGN, suspects, culprits)


events: st.SearchStrategy[Event] = st.one_of(
    st.builds(piece_bad, pieces, some_sources, some_sources),
    st.builds(Blamed, sources),
    st.builds(Suspected, sources),
    st.builds(Cleared, sources),
    st.builds(SourceLost, sources, st.just("no reason")),
    st.builds(HostCap, st.sampled_from(HOSTS), st.integers(0, 6)),
    st.builds(HostPause, st.sampled_from(HOSTS), st.floats(0, 200)),
    st.builds(Budget, st.integers(0, 12)),
    st.builds(Horizon, positions),
    st.builds(Renewing, st.integers(0, 12), on=st.booleans()),
    st.builds(Tick),
)

news: st.SearchStrategy[Callable[[int], Event]] = st.one_of(
    st.builds(lambda at: lambda lease: Moved(lease, at), positions),
    st.builds(lambda latency_s: lambda lease: FirstByte(lease, latency_s), st.floats(0, 5)),
    st.builds(lambda at: lambda lease: Ended(lease, at), positions),
    st.builds(
        lambda at, kind, wait_s: lambda lease: Failed(lease, at, kind, wait_s),
        positions, st.sampled_from(FaultKind), st.none() | st.floats(0, 100),
    ),
    st.builds(lambda at: lambda lease: Shrunk(lease, at), positions),
)  # fmt: skip
Step = Callable[[Desk], None]


def told(event: Event, after_s: float) -> Step:
    def step(desk: Desk) -> None:
        desk.tell(event, after_s=after_s)

    return step


def told_of_a_lease(make: Callable[[int], Event], which: int, after_s: float) -> Step:
    def step(desk: Desk) -> None:
        leases = list(desk.scheduler.roster.leases)
        desk.tell(make(leases[which] if which < len(leases) else GONE), after_s=after_s)

    return step


def opened(source: int, start: int, length: int, min_bytes: int, max_lanes: int, *, random_access: bool) -> Step:
    def step(desk: Desk) -> None:
        desk.open(
            source, host=HOSTS[source % 2], start=start, end=start + length, random_access=random_access,
            min_bytes=min_bytes, max_lanes=max_lanes,
        )  # fmt: skip

    return step


def flowed(rates: dict[int, int], *, obeyed: bool) -> Step:
    """A while in which all goes well, but that the scheduler's wishes are heard late unless they are ``obeyed``."""

    def step(desk: Desk) -> None:
        if obeyed:
            desk.flow(0.5, {number: rate for number, rate in rates.items() if number in desk.scheduler.roster.sources})
            return
        for lease in list(desk.scheduler.roster.leases.values()):
            desk.tell(Moved(lease.id, lease.position + rates.get(lease.lane.source.id, 0) // 2))
        desk.tick(after_s=0.5)

    return step


steps = st.one_of(
    st.builds(told, events, seconds),
    st.builds(told_of_a_lease, news, which, seconds),
    st.builds(
        opened, st.integers(1, SOURCES), positions, st.integers(0, 2 * MIB), st.integers(0, 2 * MIB),
        st.integers(0, 4), random_access=st.booleans(),
    ),
    st.builds(
        flowed, st.dictionaries(st.integers(1, SOURCES), st.integers(0, 4 * MIB)), obeyed=st.booleans(),
    ),
)  # fmt: skip


def desk_of_the_test() -> Desk:
    return Desk(SIZE, align=ALIGN, host_lanes=4, all_lanes=8, stall_s=10.0)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=40))
def test_whatever_is_told_the_books_are_right_and_an_honest_source_brings_the_rest(steps: list[Step]) -> None:
    desk = desk_of_the_test()
    for step in steps:
        # Each event is followed by a look at the books.
        step(desk)
    assert brings_the_rest(desk)


def brings_the_rest(desk: Desk) -> bool:
    """All orders are answered, all limits lifted, and a source comes that nobody knows yet."""
    for lease in list(desk.scheduler.roster.leases.values()):
        if lease.id in desk.scheduler.roster.leases and lease.cancelled:
            desk.obey(desk.tell(Failed(lease.id, lease.position, FaultKind.CANCELLED)))
        elif lease.id in desk.scheduler.roster.leases and lease.shrinking:
            desk.obey(desk.tell(Shrunk(lease.id, max(lease.position, lease.cut))))
    said = [*desk.obey(desk.tell(Budget(8))), *desk.obey(desk.tell(Horizon(SIZE)))]
    said += desk.obey(desk.open(FRESH, host="fresh"))
    for _ in range(60):
        if Complete() in said:
            return True
        said += desk.flow(1.0, {FRESH: 8 * MIB})
    return Complete() in said


# -- a source that comes and goes


def hung(which: int, rate: int, ticks: int) -> Step:
    """A while in which all lanes bring bytes but for one in four."""

    def step(desk: Desk) -> None:
        for _ in range(ticks):
            for lane in list(desk.scheduler.roster.lanes.values()):
                if lane.id % 4 != which % 4:
                    desk.advance(lane, rate // 10)
            desk.now += 0.1
            desk.obey(desk.tick())

    return step


def broken(kind: FaultKind, wait_s: float | None, which: int) -> Step:
    def step(desk: Desk) -> None:
        leases = list(desk.scheduler.roster.leases.values())
        if leases:
            lease = leases[which % len(leases)]
            desk.obey(desk.tell(Failed(lease.id, lease.position, kind, wait_s)))

    return step


troubles = st.one_of(
    st.builds(hung, which, st.integers(0, MIB), st.integers(1, 40)),
    st.builds(
        broken, st.sampled_from([FaultKind.PASSING, FaultKind.BUSY, FaultKind.STALLED]),
        st.none() | st.floats(0, 5), which,
    ),
    st.builds(told, st.builds(Horizon, positions), seconds),
    st.builds(told, st.builds(Budget, st.integers(1, 12)), seconds),
    st.builds(told, st.builds(HostCap, st.just("host1"), st.integers(0, 4)), seconds),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(troubles, max_size=20), st.integers(1, 2))
def test_whatever_befalls_a_source_when_it_is_back_it_brings_the_rest(steps: list[Step], count: int) -> None:
    desk = desk_of_the_test()
    for number in range(1, count + 1):
        desk.open(number)
    for step in steps:
        step(desk)
    said = [*desk.obey(desk.tell(Budget(8))), *desk.obey(desk.tell(Horizon(SIZE)))]
    said += desk.obey(desk.tell(HostCap("host1", 4)))
    for _ in range(200):
        said += desk.flow(1.0, {1: 4 * MIB, 2: 4 * MIB} if count > 1 else {1: 4 * MIB})
        if Complete() in said:
            return
    raise AssertionError(f"{desk.scheduler.missing} is missing for ever")
