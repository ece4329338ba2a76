"""What to download, lazily: the URLs of the command line, then an input list line by line.

A list is never held: one line at a time, of bounded length, so that 200,000 URLs cost what one costs.
Format: a URL a line, tab-separated URLs of a line are mirrors of one file, ``#`` begins a comment line, blank
lines are nothing. A line is never an option, whatever it begins with (bad-inputs T5). A bad line is reported by
its number and the rest goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from thunderdl.cli.links import LONGEST, checked
from thunderdl.errors import InvalidUrl, UsageError, printable

Entry = tuple[str, tuple[str, ...]]  # the URL and its mirrors


def entries(
    lines: TextIO, name: str, on_bad_line: Callable[[UsageError], None], *, longest: int = LONGEST
) -> Iterator[Entry]:
    """Each URL of the list with its mirrors; ``on_bad_line`` hears of each line that is none, named ``NAME:7``."""
    number = 0
    while line := lines.readline(longest + 1):
        number += 1
        if len(line) > longest and not line.endswith("\n"):
            _skip_rest(lines, longest)
            on_bad_line(UsageError(f"{name}:{number}: the line is longer than {longest} characters."))
            continue
        text = line.lstrip("\ufeff").strip("\r\n \t") if number == 1 else line.strip("\r\n \t")
        if not text or text.startswith("#"):
            continue
        try:
            url, *mirrors = (checked(part.strip(" ")) for part in text.split("\t") if part.strip(" "))
        except InvalidUrl as error:
            on_bad_line(UsageError(f"{name}:{number}: {error}"))
            continue
        yield url, tuple(mirrors)


def open_list(path: str) -> tuple[str, AbstractContextManager[TextIO]]:
    """The list's name for messages and its text, ``-`` for standard input; UsageError if it cannot be opened."""
    if path == "-":
        if sys.stdin is None:
            raise UsageError("--input -: standard input is closed.")
        sys.stdin.reconfigure(errors="surrogateescape", newline="\n")  # type: ignore[union-attr]  # a TextIOWrapper
        return "standard input", nullcontext(sys.stdin)
    try:
        # newline="\n": a lone CR is no line end here, so it stays in the URL and is refused there.
        return printable(path), open(path, encoding="utf-8", errors="surrogateescape", newline="\n")
    except OSError as error:
        raise UsageError(f"--input {printable(path)}: {error.strerror or error}.") from error


def _skip_rest(lines: TextIO, longest: int) -> None:
    while (rest := lines.readline(longest)) and not rest.endswith("\n"):
        pass
