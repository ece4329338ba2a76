"""What the daemon knows of one task, from the moment it was asked for until it is forgotten.

``Wish`` and ``Outcome`` are frozen and shared; a :class:`Job` is small, since there may be 100,000 of them.
"""

from __future__ import annotations

import enum
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from thunderdl.errors import ThunderdlError, foreseen
from thunderdl.model import Progress, Result, Status, Whole
from thunderdl.options import Priority

# One value of an option as it was written; several where the option repeats.
Text = str | tuple[str, ...]
GID = re.compile(r"[0-9a-f]{16}")


class State(enum.Enum):
    """Where a task stands. ACTIVE includes verifying and sharing, which :class:`thunderdl.model.Status` tells apart."""

    WAITING = "waiting"
    PAUSED = "paused"
    ACTIVE = "active"
    COMPLETE = "complete"
    FAILED = "failed"
    REMOVED = "removed"

    @property
    def has_ended(self) -> bool:
        return self in (State.COMPLETE, State.FAILED, State.REMOVED)

    @property
    def is_in_line(self) -> bool:
        return self in (State.WAITING, State.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for. ``urls``: the link and its mirrors; ``name``: what to call it until its file has a name;
    ``options``: by name, as texts (``option_values.py``);
    ``foreign``: options of another program's interface as they came, to be told again, never acted on."""

    urls: tuple[str, ...]
    options: Mapping[str, Text] = field(default_factory=dict)
    foreign: Mapping[str, Text] = field(default_factory=dict)
    category: str = ""
    priority: Priority = Priority.NORMAL
    name: str = ""
    # Unix time before which it is not begun, 0 for none.
    not_before: float = 0.0

    @property
    def url(self) -> str:
        return self.urls[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended, or how far it had come. ``path``: None where there is no file; ``error``: a sentence, or empty;
    ``kind``: the error's class."""

    name: str = ""
    path: str | None = None
    size_bytes: int | None = None
    done_bytes: int = 0
    uploaded_bytes: int = 0
    seconds: float = 0.0
    verified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    kind: str = ""
    exit_code: int = 0

    def how_far(self) -> Outcome:
        """What of it still holds while it waits again: the name is what its part is found by."""
        return Outcome(name=self.name, size_bytes=self.size_bytes, done_bytes=self.done_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A file that was about to get its final name: who finds it under that name knows that the task is done."""

    device: int
    inode: int
    folder: str
    size_bytes: int
    # Its last change: a file that came later and got its inode has another. A new name changes nothing of it.
    modified_ns: int


@dataclass(slots=True, eq=False)
class Job:
    """One task. ``rank``: its place among those in line, smaller is sooner; kept while it is active. ``leaving``: the
    state that one that runs is being stopped for; on the disk it has that already. ``whole``: of one that has not ended
    and is whole: it goes on being shared."""

    gid: str
    wish: Wish
    state: State = State.WAITING
    rank: float = 0.0
    added_at: float = 0.0
    began_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    claim: Claim | None = None
    leaving: State | None = None
    whole: Whole | None = None


def new_gid() -> str:
    """A name that no other task has: 64 random bits as 16 hex digits, as aria2 writes them."""
    return secrets.token_hex(8)


def state_of(result: Result) -> State:
    """Where a download that ended leaves its task."""
    if result.status in (Status.COMPLETE, Status.SKIPPED):
        return State.COMPLETE
    return State.REMOVED if result.status is Status.CANCELLED else State.FAILED


def how_far(seen: Progress) -> Outcome:
    """How far one that runs has come."""
    name = os.path.basename(seen.path or "")
    return Outcome(name=name, size_bytes=seen.size_bytes, done_bytes=seen.done_bytes)


def of_whole(whole: Whole, fault: str = "") -> Outcome:
    """How one that is whole ended, wherever its sharing stands. ``fault``: why that does not go on."""
    notes = (*whole.notes, f"not shared any more: {fault.rstrip('.')}") if fault else whole.notes
    return Outcome(
        name=os.path.basename(whole.path), path=whole.path, size_bytes=whole.size_bytes, done_bytes=whole.size_bytes,
        uploaded_bytes=whole.sent_bytes, seconds=whole.seconds, verified=whole.verified, notes=notes,
    )  # fmt: skip


def outcome_of(result: Result, seen: Progress, known: Outcome | None = None) -> Outcome:
    """``seen``: how far it had come. Of what has no file yet that is what the next beginning finds; where it came not
    even so far that it is known what it is called, it is what was ``known`` before. That somebody stopped it is nothing
    that is wrong with it."""
    error, path = result.error, result.path
    told = str(error) if error is not None and result.status is not Status.CANCELLED else ""
    far = known if known is not None and seen.path is None else how_far(seen)
    return Outcome(
        name=os.path.basename(path) if path else far.name, path=path,
        size_bytes=result.bytes if path else far.size_bytes, done_bytes=result.bytes if path else far.done_bytes,
        uploaded_bytes=result.uploaded_bytes, seconds=round(result.seconds, 3), verified=result.verified,
        notes=result.notes, error=told,
        kind=type(error).__name__ if error is not None else "",
        exit_code=error.exit_code if isinstance(error, ThunderdlError) else int(error is not None),
    )  # fmt: skip


def ended_by(bug: Exception, result: Result) -> tuple[State, Outcome]:
    """What is certain where a bug was met as the end was noted: what has its file is not fetched again for it."""
    if (path := result.path) is not None:
        name = os.path.basename(path)
        return state_of(result), Outcome(name=name, path=path, size_bytes=result.bytes, done_bytes=result.bytes)
    error = foreseen(bug)
    return State.FAILED, Outcome(error=str(error), kind=type(error).__name__, exit_code=error.exit_code)
