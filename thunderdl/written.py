"""Values as they are written: text in, value out, ValueError with a clause that says what was expected. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thunderdl.timetable import Timetable

# Patterns of the parsers are compiled when first used: most runs use none of them.
_RATE = r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(?:i?B)?(?:/s)?"
_SECONDS = r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|h)?"
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def parse_rate(text: str) -> int | None:
    """Bytes a second from ``500K``, ``2.5M``, ``1G`` or a plain number; 1K is 1024, as aria2 and curl count.

    None for 0: no limit. ValueError for anything else.
    """
    match = re.fullmatch(_RATE, text.strip(), re.IGNORECASE | re.ASCII)
    if match is None:
        raise ValueError("not a rate: write bytes a second, as 500K, 2.5M or 1G")
    rate = int(float(match[1]) * 1024 ** "_KMGT".index(match[2].upper() or "_"))
    if rate == 0 and float(match[1]) > 0:
        raise ValueError("less than one byte a second")
    return rate or None


def parse_limit(text: str) -> int | Timetable | None:
    """A rate as :func:`parse_rate` reads it, or one that depends on the clock: ``mon-fri 08:00-18:00=1M, 5M``.

    ValueError for anything else.
    """
    if "=" not in text:
        try:
            return parse_rate(text)
        except ValueError as error:
            raise ValueError(f"{error}, or by the clock, as 08:00-18:00=1M") from None
    # Loaded when first used: most runs have no timetable.
    from thunderdl.timetable import parse_timetable

    return parse_timetable(text, parse_rate)


def parse_seconds(text: str) -> float:
    """Seconds from ``30``, ``1.5s``, ``2m`` or ``1h``; more than 0, else ValueError."""
    match = re.fullmatch(_SECONDS, text.strip(), re.IGNORECASE | re.ASCII)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[(match[2] or "s").lower()] if match else 0.0
    if not 0 < seconds < math.inf:
        raise ValueError("not a duration: write seconds, or 2m, or 1h")
    return seconds


def parse_header(text: str) -> tuple[str, str]:
    """Name and value from ``NAME: VALUE``; ValueError without a colon, with an odd name or a control character."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(TOKEN, name.strip()):
        raise ValueError("not a header: write NAME: VALUE")
    if CONTROL.search(value):
        raise ValueError("a header must not hold newlines or other control characters")
    return name.strip(), value.strip()


def parse_count(text: str, least: int) -> int:
    """A whole number not below ``least``; ValueError otherwise."""
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdecimal() and len(stripped) < 10) or int(stripped) < least:
        raise ValueError(f"not a whole number from {least}")
    return int(stripped)


def parse_switch(text: str) -> bool:
    """True or False from yes/no, true/false, on/off, 1/0; ValueError otherwise."""
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise ValueError("neither yes nor no") from None


def parse_ratio(text: str) -> float:
    """A number from 0 on; ValueError for anything else."""
    if not re.fullmatch(r"\d{1,6}(\.\d*)?|\.\d+", text.strip(), re.ASCII):
        raise ValueError("not a ratio: write a number, as 1 or 0.5")
    return float(text)


def parse_text(text: str) -> str:
    """The text itself; ValueError if it is empty or holds control characters (bad-inputs T5)."""
    if not text:
        raise ValueError("empty")
    if CONTROL.search(text):
        raise ValueError("holds newlines or other control characters")
    return text
