"""A rate that depends on the clock: ``08:00-18:00=1M, 22:00-06:00=0, 5M``. Pure: the time comes in as a number.

Time is local wall time as seconds since Monday 00:00, as the caller's clock shows it at that moment: what daylight
saving does to a day is then the caller's clock's business, who asks again after at most some seconds.
Invariants: spans are half-open and lie within the week; where several hold, the first one written counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
WEEK_S = 7 * DAY_S
_DAYS = rf"(?P<first>{'|'.join(DAYS)})(?:-(?P<last>{'|'.join(DAYS)}))?"
RateParser = Callable[[str], int | None]
_HOURS = r"(?P<from>[0-9]{1,2}:[0-9]{2})-(?P<to>[0-9]{1,2}:[0-9]{2})"


@dataclass(frozen=True, slots=True)
class Span:
    """``[start_s, end_s)`` of the week; an end at or before the start is in the week that follows."""

    start_s: int
    end_s: int
    rate_bytes_per_s: int | None

    def holds(self, second_of_week: float) -> bool:
        if self.start_s < self.end_s:
            return self.start_s <= second_of_week < self.end_s
        return second_of_week >= self.start_s or second_of_week < self.end_s


@dataclass(frozen=True, slots=True)
class Timetable:
    """``otherwise``: the rate outside of all spans; None as a rate: no limit; ``text``: as it was written."""

    spans: tuple[Span, ...]
    otherwise: int | None
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.text

    def rate_at(self, second_of_week: float) -> int | None:
        """Bytes a second that hold then, None for no limit."""
        second = second_of_week % WEEK_S
        return next((span.rate_bytes_per_s for span in self.spans if span.holds(second)), self.otherwise)

    def changes_in_s(self, second_of_week: float) -> float | None:
        """Seconds, more than 0, until a span begins or ends; None for a timetable without any."""
        second = second_of_week % WEEK_S
        borders = {border for span in self.spans for border in (span.start_s, span.end_s)}
        return min(((border - second) % WEEK_S or WEEK_S for border in borders), default=None)


def parse_timetable(text: str, parse_rate: RateParser) -> Timetable:
    """The timetable in ``text``: parts ``[DAYS] [FROM-TO]=RATE`` and at most one bare rate for all other hours.

    Parts are separated by commas, semicolons or spaces. Raises ValueError with a clause that says what was expected.
    """
    spans: list[Span] = []
    otherwise: list[int | None] = []
    for days, hours, rate in _parts(text):
        if days or hours:
            spans += _spans(days, hours, parse_rate(rate))
        else:
            otherwise.append(parse_rate(rate))
    if len(otherwise) > 1:
        raise ValueError("two rates without hours: one at most, for all hours that are not named")
    return Timetable(tuple(spans), otherwise[0] if otherwise else None, " ".join(text.split()))


def parse_hours(text: str) -> Timetable:
    """The times that ``mon-fri 22:00-06:00, sat-sun`` names: within them the rate is 1, outside of them None.

    Raises ValueError with a clause that says what was expected.
    """
    spans: list[Span] = []
    days = ""
    for word in filter(None, re.split(r"[\s,;]+", re.sub(r"\s*-\s*", "-", text.strip().lower()))):
        if re.fullmatch(_HOURS, word):
            spans += _spans(days, word, 1)
            days = ""
        elif re.fullmatch(_DAYS, word):
            spans += _spans(days, "", 1) if days else ()
            days = word
        else:
            raise ValueError(f"{word!r} is neither days nor hours: write mon-fri 22:00-06:00, sat-sun")
    spans += _spans(days, "", 1) if days else ()
    if not spans:
        raise ValueError("no hours: write mon-fri 22:00-06:00, sat-sun")
    return Timetable(tuple(spans), None, " ".join(text.split()))


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """(days, hours, rate) of each part, as text."""
    days = ""
    tight = re.sub(r"\s*([=-])\s*", r"\1", text.strip().lower())
    for word in filter(None, re.split(r"[\s,;]+", tight)):
        if days and "=" not in word:
            raise ValueError(f"{days!r} names days, but no rate for them: write {days} 08:00-18:00=1M")
        name, equals, rate = word.rpartition("=")
        if not equals and re.fullmatch(_DAYS, word):
            days = word
        elif not equals:
            yield "", "", word
        elif re.fullmatch(_HOURS, name):
            yield days, name, rate
            days = ""
        elif not days and re.fullmatch(_DAYS, name):
            yield name, "", rate
        else:
            raise ValueError(f"{name!r} is no time of day: write 08:00-18:00=1M, or mon-fri 08:00-18:00=1M")
    if days:
        raise ValueError(f"{days!r} names days, but no rate for them: write {days} 08:00-18:00=1M")


def _spans(days: str, hours: str, rate: int | None) -> Iterator[Span]:
    start, end = _hours(hours) if hours else (0, DAY_S)
    if not days and not hours:
        return
    for day in _days(days):
        # Over midnight it belongs to the day that it begins on.
        stop = day * DAY_S + end + (DAY_S if end <= start else 0)
        yield Span(day * DAY_S + start, stop % WEEK_S, rate)


def _days(text: str) -> tuple[int, ...]:
    match = re.fullmatch(_DAYS, text)
    if match is None:
        return tuple(range(7))
    first, last = DAYS.index(match["first"]), DAYS.index(match["last"] or match["first"])
    return tuple((first + number) % 7 for number in range((last - first) % 7 + 1))


def _hours(text: str) -> tuple[int, int]:
    match = re.fullmatch(_HOURS, text)
    assert match is not None
    start, end = _second_of_day(match["from"]), _second_of_day(match["to"])
    if start in (end, DAY_S):
        raise ValueError(f"{text!r} is no span of time: write 00:00-24:00 for the whole day")
    return start, end


def _second_of_day(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if hour * 60 + minute > 24 * 60 or minute > 59:
        raise ValueError(f"{text!r} is no time of day: write 00:00 to 24:00")
    return hour * 3600 + minute * 60
