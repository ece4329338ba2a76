"""What to download, lazily: the URLs of the command line, then an input list line by line.

A list is never held: one line at a time, of bounded length, so that 200,000 URLs cost what one costs.
Format: a URL a line, tab-separated URLs of a line are mirrors of one file, ``#`` begins a comment line, blank
lines are nothing. A line is never an option, whatever it begins with (bad-inputs T5). A bad line is reported by
its number and the rest goes on.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from thunderdl.cli.links import LONGEST, checked, checked_target
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
            on_bad_line(_too_long(name, number, longest))
        elif (entry := entry_of(line, f"{name}:{number}", on_bad_line, is_first=number == 1)) is not None:
            yield entry


async def piped_entries(
    on_bad_line: Callable[[UsageError], None], *, longest: int = LONGEST
) -> AsyncIterator[Entry]:  # fmt: skip
    """The same from a pipe or a terminal on standard input: what runs goes on while the next line is waited for."""
    loop, reader, name = asyncio.get_running_loop(), asyncio.StreamReader(4 * longest), "standard input"
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    number = 0
    try:
        while True:
            number += 1
            try:
                raw = await reader.readline()
            except ValueError:
                on_bad_line(_too_long(name, number, longest))
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "surrogateescape")
            if len(line.rstrip("\n")) > longest:
                on_bad_line(_too_long(name, number, longest))
            elif (entry := entry_of(line, f"{name}:{number}", on_bad_line, is_first=number == 1)) is not None:
                yield entry
    finally:
        transport.close()


def is_pipe(path: str) -> bool:
    """Whether the list comes from standard input, and that is no regular file: then a line may be long in coming."""
    if path != "-" or sys.stdin is None:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def entry_of(line: str, where: str, on_bad_line: Callable[[UsageError], None], *, is_first: bool) -> Entry | None:
    """The entry of one line; None for a comment, a blank line and one that is bad."""
    text = (line.lstrip("\ufeff") if is_first else line).strip("\r\n \t")
    if not text or text.startswith("#"):
        return None
    try:
        first, *others = (part.strip(" ") for part in text.split("\t") if part.strip(" "))
        url, mirrors = checked_target(first), [checked(other) for other in others]
    except InvalidUrl as error:
        on_bad_line(UsageError(f"{where}: {error}"))
        return None
    return url, tuple(mirrors)


def read_stdin(most_bytes: int, what: str) -> bytes:
    """The document that is on standard input. Raises UsageError where nothing is, or more than ``most_bytes``."""
    try:
        document = sys.stdin.buffer.read(most_bytes + 1) if sys.stdin is not None else b""
    except (OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {printable(str(error))}.") from error
    if not document:
        raise UsageError(f"standard input is empty; {what} was to come from there.")
    if len(document) > most_bytes:
        raise UsageError(f"standard input is longer than the {most_bytes} bytes that {what} may have.")
    return document


def _too_long(name: str, number: int, longest: int) -> UsageError:
    return UsageError(f"{name}:{number}: the line is longer than {longest} characters.")


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
