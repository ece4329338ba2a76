"""The console of ``thunderdl aria2c``: notices, the line of progress, and the log file.

Everything goes to stdout, as aria2's does, or to stderr with ``--stderr``; nothing with ``--quiet``. Colours and the
line that is wiped are for terminals alone; through a pipe each line of progress is one of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import TextIO

from thunderdl.cli.aria2c.given import Given
from thunderdl.errors import UsageError, printable, shown_url

_LEVELS = ("debug", "info", "notice", "warn", "error")
_COLOURS = {"notice": "\x1b[1;32m", "warn": "\x1b[1;33m", "error": "\x1b[1;31m"}
_PLAIN = "\x1b[0m"
_WIPE = "\r\x1b[K"


class Console:
    """Made of what was given. Raises UsageError where the log cannot be written."""

    def __init__(self, given: Given, stream: TextIO | None = None) -> None:
        self._stream = stream or (sys.stderr if given.is_on("stderr") else sys.stdout)
        self.is_quiet = given.is_on("quiet")
        self.human = given.is_on("human-readable")
        self.is_terminal = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.has_colours = self.is_terminal and given.is_on("enable-color") and not os.environ.get("NO_COLOR")
        self._shows_readout = given.is_on("show-console-readout")
        self._cuts = given.is_on("truncate-console-readout")
        self._level = _LEVELS.index(given.text("console-log-level"))
        self._log_level = _LEVELS.index(given.text("log-level"))
        self._log = _opened(given.text("log"))
        self._has_readout = False

    def notice(self, text: str) -> None:
        self._tell("notice", text)

    def warn(self, text: str) -> None:
        self._tell("warn", text)

    def error(self, text: str) -> None:
        self._tell("error", text)

    def lines(self, *lines: str) -> None:
        """As they are, whatever the level."""
        if not self.is_quiet:
            self._wipe()
            self._write("".join(f"{line}\n" for line in lines))

    def readout(self, line: str) -> None:
        """In place of the last one, on a terminal."""
        if self.is_quiet or not self._shows_readout or not line:
            return
        if not self.is_terminal:
            self._write(line + "\n")
            return
        width = shutil.get_terminal_size().columns
        self._write(_WIPE + (line[: width - 1] if self._cuts else line))
        self._has_readout = True

    def close(self) -> None:
        """Leave the terminal, and the log, in order."""
        self._wipe()
        if self._log is not None and self._log is not sys.stdout:
            self._log.close()
            self._log = None

    def _tell(self, level: str, text: str) -> None:
        text = "\n".join(printable(shown_url(line)) for line in text.split("\n"))
        if self._log is not None and _LEVELS.index(level) >= self._log_level:
            with contextlib.suppress(OSError):
                self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{level.upper()}] {text}\n")
                self._log.flush()
        if self.is_quiet or _LEVELS.index(level) < self._level:
            return
        self._wipe()
        name = level.upper()
        shown = f"{_COLOURS[level]}{name}{_PLAIN}" if self.has_colours else name
        self._write(f"\n{time.strftime('%m/%d %H:%M:%S')} [{shown}] {text}\n")

    def _wipe(self) -> None:
        if self._has_readout:
            self._has_readout = False
            self._write(_WIPE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _opened(path: str) -> TextIO | None:
    if not path:
        return None
    if path == "-":
        return sys.stdout
    try:
        return open(path, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--log {printable(path)}: {error.strerror or error}.") from error
