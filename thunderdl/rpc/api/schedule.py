"""The page's schedule, a table of days, hours and what holds then, from and to the two settings behind it: the hours in
which downloads run, and the limit by the clock. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from thunderdl.errors import UsageError, printable
from thunderdl.timetable import DAY_S, DAYS, WEEK_S, Span, Timetable, parse_hours

Row = dict[str, str]
PAUSE = "pause"
KEYS = ("days", "from", "to", "what")
MOST_ROWS = 200
Limit = int | Timetable | None


class Settings(NamedTuple):
    """Two settings as texts, None for always and for no limit."""

    hours: str | None
    limit: str | None


def rows_of(hours: Timetable | None, limit: Limit) -> list[Row]:
    """The table that those two make."""
    pauses = _outside((span.start_s, span.end_s) for span in hours.spans) if hours is not None else ()
    rows = list(_rows(pauses, PAUSE))
    if isinstance(limit, Timetable):
        rates = dict.fromkeys(span.rate_bytes_per_s for span in limit.spans)
        for rate in rates:
            rows += _rows(_intervals(span for span in limit.spans if span.rate_bytes_per_s == rate), rate_text(rate))
    return rows


def plain_limit(limit: Limit) -> str | None:
    """What holds outside of all hours of the table."""
    rate = limit.otherwise if isinstance(limit, Timetable) else limit
    return rate_text(rate) if rate is not None else None


def settings_from(rows: Iterable[Row], plain: str | None) -> Settings:
    """The two settings that a table makes, beside the limit that holds else. Raises UsageError for a wrong row; what is
    no rate the option itself refuses."""
    rows = list(rows)
    paused = [interval for row in rows if row["what"] == PAUSE for interval in _intervals(_parsed(row))]
    open_hours = list(_rows(_outside(paused), ""))
    if paused and not open_hours:
        raise UsageError("schedule: nothing would ever run.")
    hours = ", ".join(map(_when, open_hours)) if paused else None
    limits = [f"{_when(row)}={row['what']}" for row in rows if row["what"] != PAUSE and _parsed(row)]
    return Settings(hours, ", ".join([*limits, *([plain] if plain else ())]) or None)


def rate_text(rate: int | None) -> str:
    """``1M`` for 1048576; 0 for None, no limit."""
    if not rate:
        return "0"
    for unit, size in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if rate % size == 0:
            return f"{rate // size}{unit}"
    return str(rate)


def _parsed(row: Row) -> Sequence[Span]:
    try:
        return parse_hours(_when(row)).spans
    except ValueError as error:
        raise UsageError(f"schedule: {printable(str(error))}.") from None


def _when(row: Row) -> str:
    hours = f"{row['from']}-{row['to']}" if row["from"] or row["to"] else ""
    # Nothing at all is the whole week.
    return f"{row['days']} {hours}".strip() or "mon-sun"


def _intervals(spans: Iterable[Span]) -> list[tuple[int, int]]:
    return [(span.start_s, span.end_s) for span in spans]


def _outside(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The rest of the week: (start, end) with an end above the start, which may be in the week that follows."""
    taken = sorted(
        part
        for start, end in intervals
        for part in ([(start, end)] if start < end else [(start, WEEK_S), (0, end)])
        if part[0] < part[1]
    )
    rest, at = [], 0
    for start, end in taken:
        if start > at:
            rest.append((at, start))
        at = max(at, end)
    if at < WEEK_S:
        rest.append((at, WEEK_S))
    if len(rest) > 1 and rest[0][0] == 0 and rest[-1][1] == WEEK_S:
        first = rest.pop(0)
        rest[-1] = (rest[-1][0], WEEK_S + first[1])
    return rest


def _rows(intervals: Iterable[tuple[int, int]], what: str) -> Iterator[Row]:
    """Intervals as rows, those of the same hours together."""
    days: dict[tuple[int, int], set[int]] = {}
    for start, end in intervals:
        for day, begin, stop in _by_day(start, end if end > start else end + WEEK_S):
            days.setdefault((begin, stop), set()).add(day)
    for (begin, stop), found in sorted(days.items()):
        is_whole = (begin, stop) == (0, DAY_S)
        hours = ("", "") if is_whole else (_clock(begin), _clock(stop % DAY_S))
        for name in _day_names(found, needed=is_whole):
            yield dict(zip(KEYS, (name, *hours, what), strict=True))


def _by_day(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(day, from, to) of each part: over one midnight it stays in one piece, over more it is cut at each."""
    while start < end:
        day, begin = divmod(start, DAY_S)
        stop = min(end - day * DAY_S, DAY_S)
        if begin and end - start < DAY_S:
            stop = end - day * DAY_S
        yield day % 7, begin, stop
        start = day * DAY_S + stop


def _day_names(days: set[int], *, needed: bool) -> Iterator[str]:
    if len(days) == 7:
        yield "mon-sun" if needed else ""
        return
    for first in sorted(day for day in days if day - 1 not in days):
        last = first
        while last + 1 in days:
            last += 1
        yield DAYS[first] if first == last else f"{DAYS[first]}-{DAYS[last]}"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second % 3600 // 60:02}"
