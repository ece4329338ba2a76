"""Which files of a torrent somebody wants: ``1,3-5``, ``*.iso``, or both, as text. Pure.

Numbers are those of the listing, from 1. A pattern is compared without regard to case, with a file's whole path,
with what is below the torrent's own folder, and with the bare name; ``*`` also stands for ``/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

_NUMBERS = re.compile(r"(\d{1,9})(?:(-)(\d{1,9})?)?", re.ASCII)
_SHOWN = 60


def selected(text: str, paths: Sequence[str]) -> frozenset[int]:
    """Positions, from 0, of the files that ``text`` names; ValueError with a clause where a part of it names none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError("names no file: write numbers, as 1,3-5, or a pattern, as '*.iso'")
    return frozenset(position for part in parts for position in _of_part(part, paths))


def _of_part(part: str, paths: Sequence[str]) -> Iterator[int]:
    numbers = _NUMBERS.fullmatch(part)
    if numbers is None:
        return _matching(part, paths)
    first = int(numbers[1])
    last = int(numbers[3]) if numbers[3] else len(paths) if numbers[2] else first
    if first < 1:
        raise ValueError(f"there is no file {first}; the first is 1")
    if last > len(paths) or first > len(paths):
        raise ValueError(f"there is no file {max(first, last)}; the last is {len(paths)}")
    if last < first:
        raise ValueError(f"the range {part} ends before it begins")
    return iter(range(first - 1, last))


def _matching(pattern: str, paths: Sequence[str]) -> Iterator[int]:
    match = re.compile(translate(pattern.casefold())).match
    found = [at for at, path in enumerate(paths) if any(match(name) for name in _names(path.casefold()))]
    if not found:
        shown = pattern if len(pattern) <= _SHOWN else pattern[: _SHOWN - 3] + "..."
        raise ValueError(f"{shown!r} matches none of the {len(paths)} files")
    return iter(found)


def _names(path: str) -> tuple[str, str, str]:
    return path, path.partition("/")[2] or path, path.rpartition("/")[2]
