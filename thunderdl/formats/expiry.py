"""Until when a signed link says that it holds. Pure.

Known: AWS signatures 4 and 2, Google's, Azure's shared access, CloudFront, Akamai's tokens, and the plain ``exp`` and
``expires`` that many sites write. It is a hint, never a proof: clocks differ, and servers have the last word.
"""

from __future__ import annotations

import datetime
import re
from urllib.parse import parse_qsl, urlsplit

# 2001 and 2100: what lies outside is no date.
_LEAST, _MOST = 1_000_000_000, 4_102_444_800
_PLAIN = ("expires", "exp", "expiry", "expire", "e", "x-expires")
_DATED = (("x-amz-date", "x-amz-expires"), ("x-goog-date", "x-goog-expires"), ("x-oss-date", "x-oss-expires"))
_TOKENS = ("hdnts", "hdnea", "hdntl", "__token__", "token")
MAX_QUERY_CHARS = 16384


def stated_expiry(url: str) -> float | None:
    """Seconds since 1970, None where the link states no end."""
    try:
        query = urlsplit(url).query
        given = {name.lower(): value for name, value in parse_qsl(query[:MAX_QUERY_CHARS], max_num_fields=200)}
    except ValueError:
        return None
    for begun, lasts in _DATED:
        if begun in given and (seconds := _digits(given.get(lasts, ""), 9)) is not None:
            start = _moment(given[begun])
            return None if start is None else start + seconds
    if "se" in given and "sig" in given:
        return _moment(given["se"])
    for name in _TOKENS:
        if found := re.search(r"(?:^|~)exp=(\d{10})(?:~|$)", given.get(name, "")):
            return _plausible(int(found[1]))
    return next((end for name in _PLAIN if (end := _epoch(given.get(name, ""))) is not None), None)


def _epoch(text: str) -> float | None:
    if (number := _digits(text, 13)) is None:
        return None
    # Thirteen digits are milliseconds.
    return _plausible(number / 1000 if len(text) == 13 else number)


def _digits(text: str, most: int) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= most else None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return _plausible(moment.timestamp())


def _plausible(moment: float) -> float | None:
    return moment if _LEAST <= moment <= _MOST else None
