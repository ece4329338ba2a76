"""A trace file, read line by line: which downloads it holds, and the entries of one of them.

The file may come from a stranger: no line is read that is longer than :data:`LONGEST_LINE`, nothing is kept but what
is asked for, and whatever is wrong ends in one UsageError that names the line. A last line without its end was torn
by a crash: it is left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from thunderdl.core.tracing import Begun, Entry, is_first_line, read
from thunderdl.errors import UsageError, printable

# The first entry of a download resumed in very many parts is the longest there is.
LONGEST_LINE = 16 * 1024 * 1024
MOST_DOWNLOADS = 100_000
_NUMBER = re.compile(r'\{"d": ?(\d{1,9}),')


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A download in a trace; ``entries``: how many lines it has."""

    number: int
    name: str
    size: int
    entries: int


def downloads(path: str) -> tuple[Listed, ...]:
    """All downloads of the file, in the order in which they began. Raises UsageError."""
    begun: dict[int, Begun] = {}
    counts: Counter[int] = Counter()
    for at, line in _lines(path):
        number = _number_of(line, path, at)
        if '"begun"' in line:
            entry = _read(line, path, at)
            if isinstance(entry, Begun) and len(begun) < MOST_DOWNLOADS:
                begun.setdefault(number, entry)
        if number in begun:
            counts[number] += 1
    return tuple(
        Listed(number=number, name=each.name, size=each.size, entries=counts[number]) for number, each in begun.items()
    )


def entries(path: str, download: int) -> Iterator[tuple[int, Entry]]:
    """The number of the line, and what it says, for each line of this download. Raises UsageError."""
    for at, line in _lines(path):
        if _number_of(line, path, at) == download:
            yield at, _read(line, path, at)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Each whole line but the first, with its number."""
    try:
        # Not to wait for somebody who might write into a pipe of that name.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise UsageError(f"{printable(path)}: not a trace of thunderdl.")
            at = 0
            while raw := file.readline(LONGEST_LINE + 1):
                at += 1
                if len(raw) > LONGEST_LINE:
                    raise _complaint(path, at, "longer than any line of a trace")
                if at == 1:
                    _check_first(raw, path)
                elif raw.endswith(b"\n"):
                    yield at, raw.decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror or error}.") from None


def _check_first(raw: bytes, path: str) -> None:
    try:
        is_first_line(raw.decode("utf-8", "replace").rstrip("\n"))
    except ValueError as error:
        raise UsageError(f"{printable(path)}: {error}.") from None


def _number_of(line: str, path: str, at: int) -> int:
    found = _NUMBER.match(line)
    if found is None:
        raise _complaint(path, at, "not a line of a trace")
    return int(found[1])


def _read(line: str, path: str, at: int) -> Entry:
    try:
        return read(line)[1]
    except ValueError as error:
        raise _complaint(path, at, printable(str(error))) from None


def _complaint(path: str, at: int, clause: str) -> UsageError:
    return UsageError(f"{printable(path)}, line {at}: {clause}.")
