"""What to download, lazily: the URLs of the command line, then an input list line by line.

A list is never held: one file at a time, lines of bounded length, so that 200,000 URLs cost what one costs.
A line is what ``formats/input_lists.py`` reads in it: tab-separated URLs of one file, an indented option as in aria2's
input files, or an object of JSON. A bad line is reported by its number and the rest goes on; an option that is wrong
spoils its file, which would get another name or no check otherwise.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader, TextIOWrapper
from typing import NamedTuple, Protocol, TextIO

from thunderdl.cli.named import checked_sources
from thunderdl.errors import UsageError, printable
from thunderdl.formats.input_lists import ListedFile, ListedSetting, Shape, parse_line
from thunderdl.formats.targets import LONGEST, checked, checked_target
from thunderdl.options import Options

# So long a pipe is waited for after a URL: options may be about to come. What they name is begun then.
GRACE_S = 0.25
MOST_SETTINGS = 256


class Entry(NamedTuple):
    """One file of a list; ``options`` where they differ from those of the run."""

    url: str
    mirrors: tuple[str, ...] = ()
    options: Options | None = None


class MakesOptions(Protocol):
    """What is made of the settings of one file. Raises UsageError."""

    def check(self, shapes: Sequence[tuple[str, Shape]]) -> None: ...

    def options(self, settings: list[tuple[str, str]], where: str) -> Options | None: ...


OnBadLine = Callable[[UsageError], None]


class Gathering:
    """Lines in, files out: a file is complete when the next one begins. ``name``: of the list, for messages."""

    def __init__(self, name: str, on_bad_line: OnBadLine, settled: MakesOptions | None = None) -> None:
        self._name, self._on_bad_line, self._settled = name, on_bad_line, settled
        self._number = 0
        self._file: ListedFile | None = None
        self._settings: list[tuple[str, str]] = []
        self._where = ""
        # Options that follow a bad line belong to it; those that come after their file was begun are a fault.
        self._is_spoilt = self._is_late = False

    @property
    def has_file(self) -> bool:
        """Whether a file waits for what may still be said of it."""
        return self._file is not None

    def take(self, line: str) -> Entry | None:
        """Read one line: the file before it, where that is complete now."""
        self._number += 1
        where = f"{self._name}:{self._number}"
        try:
            found = parse_line(line.lstrip("\ufeff") if self._number == 1 else line)
        except UsageError as error:
            return self._refuse(where, f"{error}.")
        if isinstance(found, ListedSetting):
            self._set(where, found)
            return None
        if found is None:
            return None
        entry = self.rest()
        self._file, self._settings, self._where = found, list(found.settings), where
        self._is_spoilt = self._is_late = False
        return entry

    def too_long(self, longest: int) -> Entry | None:
        """The same for a line that was not read."""
        self._number += 1
        return self._refuse(f"{self._name}:{self._number}", f"the line is longer than {longest} characters.")

    def rest(self) -> Entry | None:
        """The last file, or the one that is not waited for any longer."""
        file, self._file, self._is_late = self._file, None, True
        if file is None:
            return None
        try:
            first, *others = file.urls
            url, mirrors = checked_target(first), tuple(map(checked, others))
            if self._settled:
                self._settled.check(file.shapes)
            options = self._settled.options(self._settings, self._where) if self._settled else None
            checked_sources(url, mirrors)
        except UsageError as error:
            self._on_bad_line(UsageError(f"{self._where}: {error}"))
            return None
        return Entry(url, mirrors, options)

    def _refuse(self, where: str, reason: str) -> Entry | None:
        entry = self.rest()
        self._is_spoilt, self._is_late = True, False
        self._on_bad_line(UsageError(f"{where}: {reason}"))
        return entry

    def _set(self, where: str, setting: ListedSetting) -> None:
        shown = printable(setting.name)[:60]
        if self._file is not None and len(self._settings) < MOST_SETTINGS:
            self._settings.append((setting.name, setting.value))
        elif self._file is not None:
            self._file, self._is_spoilt = None, True
            self._on_bad_line(UsageError(f"{where}: more than {MOST_SETTINGS} options for one file."))
        elif not self._is_spoilt:
            reason = "came too late, its file was begun already" if self._is_late else "has no URL above it"
            self._on_bad_line(UsageError(f"{where}: the option {shown!r} {reason}."))


def entries(
    lines: TextIO, name: str, on_bad_line: OnBadLine, settled: MakesOptions | None = None, *, longest: int = LONGEST
) -> Iterator[Entry]:  # fmt: skip
    """Each file of the list; ``on_bad_line`` hears of each line that is none, named ``NAME:7``."""
    gathering = Gathering(name, on_bad_line, settled)
    while line := _line(lines, longest, on_bad_line):
        if len(line) > longest and not line.endswith("\n"):
            _skip_rest(lines, longest)
            entry = gathering.too_long(longest)
        else:
            entry = gathering.take(line)
        if entry is not None:
            yield entry
    if (entry := gathering.rest()) is not None:
        yield entry


def _line(lines: TextIO, longest: int, on_bad_line: OnBadLine) -> str:
    try:
        return lines.readline(longest + 1)
    except UsageError as error:
        # Of a gzip that ends early: what was read before goes on.
        on_bad_line(error)
        return ""


async def piped_entries(
    on_bad_line: OnBadLine, settled: MakesOptions | None = None, *, longest: int = LONGEST
) -> AsyncIterator[Entry]:  # fmt: skip
    """The same from a pipe or a terminal on standard input: what runs goes on while the next line is waited for."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(4 * longest)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    gathering = Gathering("standard input", on_bad_line, settled)
    try:
        while (line := await _next_line(reader, GRACE_S if gathering.has_file else None)) != "":
            if line is None:
                entry = gathering.rest()
            elif len(line.rstrip("\n")) > longest:
                entry = gathering.too_long(longest)
            else:
                entry = gathering.take(line)
            if entry is not None:
                yield entry
        if (entry := gathering.rest()) is not None:
            yield entry
    finally:
        transport.close()


async def _next_line(reader: asyncio.StreamReader, patience_s: float | None) -> str | None:
    """A line; "" at the end; None where there was none in this time. One that is too long comes cut, but too long."""
    try:
        raw = await asyncio.wait_for(reader.readline(), patience_s)
    except TimeoutError:
        return None
    except ValueError:
        return "x" * (LONGEST + 1)
    return raw.decode("utf-8", "surrogateescape")


def is_pipe(path: str) -> bool:
    """Whether the list comes from standard input, and that is a pipe or a terminal: then a line may be long in coming.

    /dev/null, which programs without a terminal have there, is a character device that nobody can wait for.
    """
    if path != "-" or sys.stdin is None:
        return False
    try:
        fd = sys.stdin.fileno()
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)


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


def open_list(path: str) -> tuple[str, AbstractContextManager[TextIO]]:
    """The list's name for messages and its text, ``-`` for standard input; UsageError if it cannot be opened."""
    if path == "-":
        if sys.stdin is None:
            raise UsageError("--input -: standard input is closed.")
        sys.stdin.reconfigure(errors="surrogateescape", newline="\n")  # type: ignore[union-attr]  # a TextIOWrapper
        return "standard input", nullcontext(sys.stdin)
    try:
        octets = _unpacked(_octets(path), printable(path))
    except OSError as error:
        raise UsageError(f"--input {printable(path)}: {error.strerror or error}.") from error
    # newline="\n": a lone CR is no line end here, so it stays in the URL and is refused there.
    return printable(path), TextIOWrapper(octets, encoding="utf-8", errors="surrogateescape", newline="\n")


def _octets(path: str) -> BufferedReader:
    return open(path, "rb")


def _unpacked(octets: BufferedReader, name: str) -> BufferedReader:
    """The list itself where it is gzip; looked at and not taken, for it may be a pipe."""
    if not octets.peek(2).startswith(b"\x1f\x8b"):
        return octets
    # Loaded when first needed: most lists are text.
    from thunderdl.cli.gzipped_lists import Unpacked

    return BufferedReader(Unpacked(octets, name))


def _skip_rest(lines: TextIO, longest: int) -> None:
    while (rest := lines.readline(longest)) and not rest.endswith("\n"):
        pass
