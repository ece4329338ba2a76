"""A replay in words: whether it was exact, what each source did, where the time went. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from thunderdl.errors import printable
from thunderdl.quantities import duration, rate, size
from thunderdl.replay.chart import labels
from thunderdl.replay.playing import Player
from thunderdl.replay.story import Story
from thunderdl.replay.tracks import Doing, SourceTrack

_REMARKS = 4
_MARGIN_S = 0.5
# The share of all moments that were not quicker; near the best is this part of it.
_BEST, _NEARLY = 0.9, 0.8


def report(story: Story, player: Player) -> Iterator[str]:
    """The lines."""
    yield printable(story.name)
    yield from _verdict(player)
    seconds = story.end - story.start
    got = sum(source.bytes for source in story.sources.values())
    ended = "" if story.completed is not None else "; the download was not complete when the trace ended"
    speed = f" ({rate(got / seconds)})" if seconds > 0 else ""
    there = f", {size(story.there.total)} were there" if story.there.total else ""
    missing = max(0, story.size - story.there.total)
    again = f", {size(got - missing)} fetched again" if got > missing else ""
    yield f"{size(min(got, missing))} of {size(story.size)} in {duration(seconds)}{speed}{there}{again}{ended}"
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
        for told in _remarks(source, story):
            yield f"{'':<{width}}  {printable(told)}"


def _remarks(source: SourceTrack, story: Story) -> Iterator[str]:
    if source.opened is None:
        yield "never used"
    if source.away:
        times = f", {len(source.away)} times" if len(source.away) > 1 else ""
        first, last = (duration(at - story.start) for at in (source.away[0].start, source.away[-1].end))
        away_s = sum(span.end - span.start for span in source.away)
        yield f"without a connection after faults for {duration(away_s)}{times} between {first} and {last}"
    for at, told in source.remarks[:_REMARKS]:
        yield f"{told}, at {duration(at - story.start)}"
    if source.gone is not None:
        yield f"given up at {duration(source.gone - story.start)}: {source.why_gone}"


def _or_dash(count: int) -> str:
    return size(count) if count else "–"


def _spent(source: SourceTrack, *doing: Doing) -> float:
    return sum(span.end - span.start for lane in source.lanes for span in lane.spans if span.doing in doing)


def _share(source: SourceTrack, *doing: Doing) -> float:
    whole = _spent(source, *Doing)
    return _spent(source, *doing) / whole if whole else 0.0


def _time(story: Story) -> Iterator[str]:
    """Where the time went."""
    yield from _pace(story)
    whole = sum(_spent(source, *Doing) for source in story.sources.values())
    if whole:
        parts = [
            f"{sum(_spent(source, doing) for source in story.sources.values()) / whole:.1%} {doing.value}"
            for doing in (Doing.MOVING, Doing.WAITING, Doing.SILENT, Doing.IDLE)
        ]
        yield "the time of all connections: " + ", ".join(parts)
    ends = sorted(_last_bytes(story))
    if len(ends) > 1:
        yield f"the last connection ended {duration(ends[-1] - ends[0])} after the first one that had no more to do"


def _pace(story: Story) -> Iterator[str]:
    """What the best rate would have made of it, how long it took to get there, and when it was lost."""
    width_s, totals, seconds = story.rates.width_s, _totals(story), story.end - story.start
    best = sorted(totals)[int(len(totals) * _BEST)] if totals else 0.0
    if not best or not seconds:
        return
    least = sum(source.bytes for source in story.sources.values()) / best
    yield (
        f"a tenth of the time the rate was {rate(best)} or more; at that throughout the same bytes take "
        f"{duration(least)}: this took {seconds / least:.2f} times as long"
    )
    near = [index for index, total in enumerate(totals) if total >= best * _NEARLY]
    rising, falling = near[0] * width_s, max(0.0, seconds - (near[-1] + 1) * width_s)
    yield f"it came near that rate after {duration(rising)}, and was below it for the last {duration(falling)}"


def _last_bytes(story: Story) -> Iterator[float]:
    """When each connection that was there until the end brought its last byte."""
    last: dict[int, float] = {}
    for lease in story.leases:
        if lease.over is not None and lease.position > lease.start and not lease.failed:
            last[lease.lane] = max(last.get(lease.lane, lease.over), lease.over)
    for source in story.sources.values():
        for lane in source.lanes:
            if lane.id in last and (lane.closed is None or lane.closed >= story.end - _MARGIN_S):
                yield last[lane.id]


def _totals(story: Story) -> list[float]:
    totals = [0.0] * story.rates.count
    for number in story.sources:
        totals = [a + b for a, b in zip(totals, story.rates.of(number), strict=True)]
    return totals
