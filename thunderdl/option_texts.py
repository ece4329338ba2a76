"""What options mean as text, on the command line, in a settings file and in the environment.

Pure: text in, value out, ValueError with a clause that says what was expected. What needs another layer (digests:
``formats.hashes``) is parsed where that layer may be imported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from thunderdl.options import CONTROL, TOKEN, Encryption, Exists, Kind, Priority, Row
from thunderdl.reach import (
    parse_command,
    parse_ip_version,
    parse_peer,
    parse_proxy_for,
    parse_resolve,
    parse_tracker,
)

if TYPE_CHECKING:
    from thunderdl.timetable import Timetable

# Patterns of the parsers are compiled when first used: most runs use none of them.
_RATE = r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(?:i?B)?(?:/s)?"
_SECONDS = r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|h)?"
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def parse_rate(text: str) -> int | None:
    """Bytes a second from ``500K``, ``2.5M``, ``1G`` or a plain number; 1K is 1024, as aria2 and curl count.

    None for 0: no limit. ValueError for anything else.
    """
    match = re.fullmatch(_RATE, text.strip(), re.IGNORECASE | re.ASCII)
    amount = float(match[1]) * 1024 ** "_KMGT".index(match[2].upper() or "_") if match else math.inf
    # So many digits that they are infinite to a float are no rate, either.
    if amount == math.inf:
        raise ValueError("not a rate: write bytes a second, as 500K, 2.5M or 1G")
    rate = int(amount)
    if rate == 0 and amount > 0:
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


def parse_exists(text: str) -> Exists:
    """The policy named; ValueError lists those there are."""
    try:
        return Exists(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(policy.value for policy in Exists)}") from None


def parse_priority(text: str) -> Priority:
    """The level named; ValueError lists those there are."""
    try:
        return Priority(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(level.value for level in Priority)}") from None


def parse_encryption(text: str) -> Encryption:
    """The policy named; ValueError lists those there are."""
    try:
        return Encryption(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(policy.value for policy in Encryption)}") from None


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


def parse_hosts(text: str) -> str:
    """The list itself; an empty one is stronger than that of the environment. ValueError as :func:`parse_text`."""
    return parse_text(text) if text else ""


def parse_value(row: Row, text: str) -> object:
    """The value that ``text`` means for this row; ValueError with a clause. Not for DIGEST and PIECE_HASHES."""
    if row.kind is Kind.COUNT:
        return parse_count(text, row.least)
    if row.kind in _OF_PLAIN_TEXT:
        text = parse_text(text)
    return _PARSERS.get(row.kind, parse_text)(text)


_OF_PLAIN_TEXT = (Kind.PROXY_FOR, Kind.RESOLVE, Kind.COMMAND)
_PARSERS: Mapping[Kind, Callable[[str], object]] = {
    Kind.SECONDS: parse_seconds, Kind.RATE: parse_limit, Kind.SWITCH: parse_switch, Kind.HEADER: parse_header,
    Kind.EXISTS: parse_exists, Kind.PRIORITY: parse_priority, Kind.ENCRYPTION: parse_encryption,
    Kind.HOSTS: parse_hosts, Kind.PROXY_FOR: parse_proxy_for, Kind.RESOLVE: parse_resolve,
    Kind.IP_VERSION: parse_ip_version, Kind.COMMAND: parse_command, Kind.PEER: parse_peer, Kind.TRACKER: parse_tracker,
    Kind.RATIO: parse_ratio,
}  # fmt: skip
