"""netrc files: who logs in where. Pure.

Python's own reader keeps one login for a host, the last; files have several, told apart by the user of the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"?|(\S+)', re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class NetrcError(ValueError):
    """``args[0]``: a clause that says what is wrong, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``host``: in lower case, None for all others; ``login``, ``password``: None where the entry has none."""

    host: str | None
    login: str | None = None
    password: str | None = None


def parse_netrc(text: str) -> tuple[Entry, ...]:
    """The entries in order. Raises NetrcError."""
    entries: list[dict[str, str | None]] = []
    tokens = _tokens(text.removeprefix("\ufeff"))
    comment_line = 0
    for line, word in tokens:
        if line == comment_line:
            continue
        if word == "default":
            entries.append({"host": None})
        elif word == "machine":
            entries.append({"host": _value(tokens, line, word).lower().rstrip(".")})
        elif word in ("login", "user", "password", "account") and entries:
            value = _value(tokens, line, word)
            name = "login" if word == "user" else word
            if name != "account":
                entries[-1][name] = value
        elif word.startswith("#"):
            # As curl and Python: where a value is due it is one, a password may begin so.
            comment_line = line
        else:
            raise NetrcError(f"line {line}: {word[:40]!r} is not expected there")
    return tuple(Entry(**entry) for entry in entries)


def login_of(entries: tuple[Entry, ...], host: str, user: str | None, *, with_default: bool) -> Entry | None:
    """The first entry for a host, and for a user where one is named; None for none."""
    fit = [each for each in entries if each.host == host.lower() and user in (None, each.login or user)]
    rest = [each for each in entries if each.host is None and user in (None, each.login or user)]
    knows_host = any(each.host == host.lower() for each in entries)
    return next(iter(fit), None) or (next(iter(rest), None) if with_default and not knows_host else None)


def _value(tokens: Iterator[tuple[int, str]], line: int, word: str) -> str:
    found = next(tokens, None)
    if found is None:
        raise NetrcError(f"line {line}: nothing follows {word}")
    value = re.sub(r"\\(.)", lambda escaped: _ESCAPES.get(escaped[1], escaped[1]), found[1][1:], flags=re.DOTALL) if (
        found[1].startswith('"')
    ) else found[1]  # fmt: skip
    if _CONTROL.search(value) or "\n" in value or "\r" in value:
        raise NetrcError(f"line {found[0]}: a control character")
    return value


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Words with the number of their line; a quoted one still has its first quote. Macros are skipped."""
    in_macro = False
    for number, line in enumerate(text.split("\n"), 1):
        if in_macro:
            # To the next empty line, whatever is in between.
            in_macro = bool(line.strip())
            continue
        if line.lstrip().startswith("#"):
            continue
        for found in _TOKEN.finditer(line):
            if found[2] == "macdef":
                in_macro = True
                break
            yield number, found[2] if found[1] is None else '"' + found[1]
