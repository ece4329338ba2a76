"""What a view of running downloads is, and what it needs to see of the client.

A view only looks: it polls snapshots a few times a second and is told of each result; it decides nothing.
Everything it writes that came from outside went through ``printable`` or ``shown_url`` (bad-inputs T1, T3, T8).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from thunderdl.errors import ThunderdlError
from thunderdl.model import Explanation, Progress, Result


class WatchedTask(Protocol):
    """One download, as far as a view sees it."""

    def progress(self) -> Progress: ...
    def explanations(self) -> Sequence[Explanation]: ...


class WatchedTotals(Protocol):
    """Counts over the whole session."""

    @property
    def files_done(self) -> int: ...
    @property
    def files_failed(self) -> int: ...
    @property
    def bytes_done(self) -> int: ...
    @property
    def rate_bytes_per_s(self) -> float: ...


class Watched(Protocol):
    """The client, as far as a view sees it: the tasks active now and the totals."""

    def tasks(self) -> Sequence[WatchedTask]: ...
    def totals(self) -> WatchedTotals: ...


class View(Protocol):
    """One way of showing a session."""

    async def watch(self, client: Watched) -> None:
        """Show progress until cancelled; puts the terminal back in order when it is."""

    def finished(self, result: Result) -> None:
        """One file has ended, well or not."""

    def problem(self, error: ThunderdlError) -> None:
        """Something that belongs to no file: a bad input line."""

    def close(self) -> None:
        """After the last result: what is left to say."""


class Paper(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class Loudness(NamedTuple):
    """How much is said: ``quiet`` only errors, ``verbose`` each event and attempt too."""

    quiet: bool = False
    verbose: bool = False


def write_line(stream: Paper, text: str) -> None:
    """One line at once, so that lines of two streams do not tear each other."""
    stream.write(text + "\n")
    stream.flush()


def prepare_streams() -> None:
    """A character the terminal's encoding lacks is escaped, never an error (LANG=C); a closed stream takes all."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # `>&-`: whatever is opened next would get the number 1 or 2 and receive our lines.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # for the life of the process
        getattr(sys, name).reconfigure(errors="backslashreplace")
