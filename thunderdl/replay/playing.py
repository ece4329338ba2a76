"""The events of a trace through the core once more, and whether it says the same. Pure.

A difference means that this version decides otherwise than the one that wrote the trace, or that something beside the
events decides (then it is a bug). What follows the first difference speaks of lanes and leases that this scheduler
never gave out, so the comparison ends there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from thunderdl.core.protocol import Command, Event
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.tracing import MOST_LANES, MOST_SOURCES, Begun, Entry, LaneGiven, Step
from thunderdl.errors import UsageError

_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``line``: of the trace; ``heard``: the event; ``expected``: what the trace says; ``got``: what was said now."""

    line: int
    heard: str
    expected: str
    got: str


class Player:
    """One download of a trace. ``jitter``: a ``Random(begun.seed)``."""

    def __init__(self, begun: Begun, jitter: random.Random) -> None:
        self.events = self.commands = self.last_line = 0
        self.difference: Difference | None = None
        # The exception that the trace ends with, where it came again.
        self.raised = ""
        self.scheduler: Scheduler | None = None
        try:
            self.scheduler = Scheduler(jitter=jitter, **cast("dict[str, Any]", begun.settings))
        except Exception as error:
            self.difference = Difference(line=0, heard="its settings", expected="a scheduler", got=_of(error))

    @property
    def is_exact(self) -> bool:
        return self.difference is None

    def play(self, line: int, entry: Entry) -> None:
        """Take in one entry; after a difference nothing is compared any more. Raises UsageError for an absurd trace."""
        if self.scheduler is None or self.difference is not None or isinstance(entry, Begun):
            return
        self.last_line = line
        if isinstance(entry, LaneGiven):
            given = self.scheduler.new_lane()
            self._compare(line, "the engine asking for a lane", f"lane {entry.lane}", f"lane {given}")
            return
        self.events += 1
        self.commands += len(entry.said)
        said, raised = self._said(self.scheduler, entry)
        expected = f"{entry.raised} raised" if entry.raised else _told(entry.said)
        self._compare(line, _cut(entry.heard), expected, raised or _told(said))
        self.raised = entry.raised if self.is_exact else ""
        books = self.scheduler.roster
        if len(books.sources) > MOST_SOURCES or len(books.lanes) > 2 * MOST_LANES:
            raise UsageError(f"line {line}: more sources or connections than any download has.")

    def given_up(self) -> Iterator[tuple[int, str]]:
        """The sources that the scheduler does not use any more, and why, as far as the replay is exact."""
        for number, source in self.scheduler.roster.sources.items() if self.scheduler else ():
            if not source.usable:
                yield number, f"banned: {source.note}" if source.banned else source.note or "a lasting fault"

    @staticmethod
    def _said(scheduler: Scheduler, step: Step) -> tuple[tuple[Command, ...], str]:
        try:
            return tuple(scheduler.handle(step.heard, step.at)), ""
        except Exception as error:
            # A bug, or what nobody who wrote the trace ever told a scheduler: either way that is the finding.
            return (), _of(error) if type(error).__name__ != step.raised else f"{step.raised} raised"

    def _compare(self, line: int, heard: str, expected: str, got: str) -> None:
        if expected != got:
            self.difference = Difference(line=line, heard=heard, expected=_shown(expected), got=_shown(got))


def _told(said: tuple[Command, ...]) -> str:
    return ", ".join(map(repr, said)) or "nothing"


def _of(error: Exception) -> str:
    return _shown(f"{type(error).__name__} raised ({error})")


def _cut(event: Event) -> str:
    return _shown(repr(event))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
