"""Response header values that every download reads: ranges, lengths, dates.

Pure: text in, values out; no clock, no I/O, no policy. Header values come from anyone on the network, so:

- every parser is linear in its input and never raises for rubbish, but for the one whose summary says so;
- a number is ASCII digits alone (no sign, space, underscore) and at most 2^63 - 1.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LENGTH_BYTES = 2**63 - 1
MAX_RETRY_AFTER_S = 86_400.0
_CONTENT_RANGE = re.compile(r"bytes +([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes +\*/([0-9]{1,19})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """The part that a 206 holds: half-open ``[start, end)`` in bytes; ``total``: None where sent as ``*``."""

    start: int
    end: int
    total: int | None


def parse_content_range(value: str) -> ContentRange | None:
    """Content-Range of a 206 (RFC 9110 section 14.4); None for rubbish, other units and the form of a 416."""
    found = _CONTENT_RANGE.fullmatch(value.strip(" \t"))
    if not found:
        return None
    start, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    highest = MAX_LENGTH_BYTES if total is None else min(total, MAX_LENGTH_BYTES)
    if (total or 0) > MAX_LENGTH_BYTES or not start < end <= highest:
        return None
    return ContentRange(start=start, end=end, total=total)


def parse_unsatisfied_range(value: str) -> int | None:
    """The length in bytes that a 416 gives as ``bytes */N``; None for anything else."""
    found = _UNSATISFIED.fullmatch(value.strip(" \t"))
    total = int(found[1]) if found else None
    return total if total is not None and total <= MAX_LENGTH_BYTES else None


def parse_content_length(values: Iterable[str]) -> int | None:
    """The length that all Content-Length lines agree on, in bytes; None where there is no line.

    Equal values may be repeated, over lines or commas (RFC 9110 section 8.6). Raises ValueError for
    rubbish, a sign, more than 2^63 - 1, and values that differ: the body's end is then unknowable.
    """
    lengths: set[int] = set()
    for value in values:
        for member in value.split(","):
            digits = member.strip(" \t")
            if not _DIGITS.fullmatch(digits) or len(digits.lstrip("0")) > 19:
                raise ValueError(f"Content-Length is not a length: {value[:40]!r}")
            lengths.add(int(digits))
    if len(lengths) > 1:
        raise ValueError(f"Content-Length lines differ: {sorted(lengths)[:4]}")
    length = lengths.pop() if lengths else None
    if length is not None and length > MAX_LENGTH_BYTES:
        raise ValueError(f"Content-Length is beyond 2^63 - 1: {length}")
    return length


_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# IMF-fixdate and RFC 850 (RFC 9110 section 5.6.7), then asctime.
_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"[A-Za-z]{{3,9}}, ?(?P<day>\d\d?)[ -](?P<month>[A-Za-z]{{3}})[ -](?P<year>\d{{4}}|\d\d) {_CLOCK} (?:GMT|UTC)",
        rf"[A-Za-z]{{3}} (?P<month>[A-Za-z]{{3}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    )
)


def http_date(value: str) -> float | None:
    """An HTTP-date in Unix seconds, None for rubbish. A two-digit year is 1970 … 2069: no clock is asked."""
    found = next(filter(None, (pattern.fullmatch(value.strip(" \t")) for pattern in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    second = min(int(found["second"]), 59) if found["second"] == "60" else int(found["second"])
    try:
        moment = datetime.datetime(
            year, _MONTHS[found["month"].lower()], int(found["day"]), int(found["hour"]), int(found["minute"]), second,
            tzinfo=datetime.UTC,
        )  # fmt: skip
    except (ValueError, KeyError):
        return None
    return moment.timestamp()


def retry_after_s(value: str, date_now: float) -> float | None:
    """Seconds to wait by a Retry-After of seconds or of a date, kept within 0 … 86400; None for rubbish.

    ``date_now``: Unix seconds, by the server's Date header where there is one, as its clock may be wrong.
    """
    text = value.strip(" \t")
    if _DIGITS.fullmatch(text):
        digits = text.lstrip("0")
        return MAX_RETRY_AFTER_S if len(digits) > 6 else min(float(digits or 0), MAX_RETRY_AFTER_S)
    date = http_date(text)
    return None if date is None else min(max(date - date_now, 0.0), MAX_RETRY_AFTER_S)
