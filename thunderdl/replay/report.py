"""A replay in words: whether it was exact, what each source did, where the time went. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from thunderdl.errors import printable
from thunderdl.quantities import duration, rate, size
from thunderdl.replay.chart import labels
from thunderdl.replay.playing import Player
from thunderdl.replay.story import Doing, SourceTrack, Story

_REMARKS = 4
_MARGIN_S = 0.5


def report(story: Story, player: Player) -> Iterator[str]:
    """The lines."""
    yield printable(story.name)
    yield from _verdict(player)
    seconds = story.end - story.start
    got = sum(source.bytes for source in story.sources.values())
    ended = "" if story.completed is not None else "; the download was not complete when the trace ended"
    speed = f" ({rate(got / seconds)})" if seconds > 0 else ""
    there = f", {size(story.there.total)} were there" if story.there.total else ""
    yield f"{size(got)} of {size(story.size)} in {duration(seconds)}{speed}{there}{ended}"
    yield ""
    yield from _table(story)
    yield ""
    yield from _time(story)


def _verdict(player: Player) -> Iterator[str]:
    if player.difference is None:
        again = f", and {player.raised} is raised again" if player.raised else ""
        yield f"replays exactly: {player.events} events, {player.commands} commands{again}"
        return
    found = player.difference
    yield f"differs at line {found.line}, after {player.events} events: on {printable(found.heard)}"
    yield f"  expected: {printable(found.expected)}"
    yield f"  got:      {printable(found.got)}"


def _table(story: Story) -> Iterator[str]:
    names = labels(story)
    width = max([6, *map(len, names.values())])
    got = sum(source.bytes for source in story.sources.values()) or 1
    yield f"{'source':<{width}}  share     bytes        rate  lanes  idle  faults  lost to others  taken from others"
    for number, source in story.sources.items():
        idle = _share(source, Doing.IDLE, Doing.WAITING, Doing.SILENT)
        seconds = max(story.end - (source.opened if source.opened is not None else story.end), 1e-9)
        yield (
            f"{names[number]:<{width}}  {source.bytes / got:>4.0%}  {size(source.bytes):>8}  "
            f"{rate(source.bytes / seconds) if source.bytes else '–':>10}  {story.most_lanes.get(number, 0):>5}  "
            f"{idle:>4.0%}  {source.faults:>6}  {_or_dash(source.lost_bytes):>14}  {_or_dash(source.won_bytes):>17}"
        )
        for at, remark in source.remarks[:_REMARKS]:
            yield f"{'':<{width}}    at {duration(at - story.start)}: {printable(remark)}"
        if len(source.remarks) > _REMARKS:
            yield f"{'':<{width}}    and {len(source.remarks) - _REMARKS} more"


def _or_dash(count: int) -> str:
    return size(count) if count else "–"


def _spent(source: SourceTrack, *doing: Doing) -> float:
    return sum(span.end - span.start for lane in source.lanes for span in lane.spans if span.doing in doing)


def _share(source: SourceTrack, *doing: Doing) -> float:
    whole = _spent(source, *Doing)
    return _spent(source, *doing) / whole if whole else 0.0


def _time(story: Story) -> Iterator[str]:
    """Where the time went."""
    seconds = story.end - story.start
    best = _sustained(story)
    got = sum(source.bytes for source in story.sources.values())
    if best and seconds:
        yield (
            f"at the {rate(best)} that all of them reached together for half of the time or more, the same bytes take "
            f"{duration(got / best)}: the download took {seconds / (got / best):.2f} times that"
        )
    whole = sum(_spent(source, *Doing) for source in story.sources.values())
    if whole:
        parts = [
            f"{sum(_spent(source, doing) for source in story.sources.values()) / whole:.1%} {doing.value}"
            for doing in (Doing.MOVING, Doing.WAITING, Doing.SILENT, Doing.IDLE)
        ]
        yield "the time of all connections: " + ", ".join(parts)
    ends = sorted(lane.over for lane in _last_leases(story))
    if len(ends) > 1:
        yield f"the last connection ended {duration(ends[-1] - ends[0])} after the first one that had no more to do"


class _Over:
    def __init__(self, over: float) -> None:
        self.over = over


def _last_leases(story: Story) -> list[_Over]:
    """When each lane that was there until the end brought its last byte."""
    last: dict[int, float] = {}
    for lease in story.leases:
        if lease.over is not None and lease.position > lease.start and not lease.failed:
            last[lease.lane] = max(last.get(lease.lane, 0.0), lease.over)
    open_at_end = {
        lane.id
        for s in story.sources.values()
        for lane in s.lanes
        if lane.closed is None or lane.closed >= story.end - _MARGIN_S
    }
    return [_Over(at) for lane, at in last.items() if lane in open_at_end]


def _sustained(story: Story) -> float:
    """The rate of all sources together that was reached or exceeded in half of the bins."""
    count = story.rates.count
    totals = [0.0] * count
    for number in story.sources:
        totals = [a + b for a, b in zip(totals, story.rates.of(number), strict=True)]
    return sorted(totals)[count // 2] if count else 0.0
