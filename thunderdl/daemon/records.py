"""A task as a row of the database, and back. Pure.

Invariant: what is read is checked as what comes from outside is: a row that makes no task raises ValueError, so that
one bad row costs one task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from thunderdl.daemon.jobs import GID, Claim, Job, Outcome, State, Text, Wish
from thunderdl.model import Whole
from thunderdl.options import Priority

COLUMNS = (
    "gid", "state", "rank", "name", "url", "added_at", "began_at", "ended_at", "wish", "outcome", "claim", "whole",
)  # fmt: skip
SAVE = (
    f"INSERT INTO job ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))}) ON CONFLICT (gid) DO UPDATE SET "
    + ",".join(f"{column}=excluded.{column}" for column in COLUMNS[1:])
)
AMEND = "UPDATE job SET outcome = ? WHERE gid = ?"
FORGET_ENDED = "DELETE FROM job WHERE ended_at IS NOT NULL"
FORGET = "DELETE FROM job WHERE gid = ?"
# The others are there to be searched.
_READ = ",".join(column for column in COLUMNS if column not in ("name", "url"))
OPEN = f"SELECT {_READ} FROM job WHERE ended_at IS NULL"
ENDED = f"SELECT {_READ} FROM job WHERE ended_at IS NOT NULL"
ONE = f"SELECT {_READ} FROM job WHERE gid = ?"
COUNT_ENDED = "SELECT count(*) FROM job WHERE ended_at IS NOT NULL"
T = TypeVar("T")
_NONE: Mapping[str, Text] = {}
_STATES = {state.value: state for state in State}


def row_of(job: Job) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    claim = _compact(_told(job.claim)) if job.claim else None
    whole = _compact(_told(job.whole)) if job.whole else None
    name = (job.outcome.name if job.outcome else "") or job.wish.name
    return (
        job.gid, (job.leaving or job.state).value, job.rank,
        name, job.wish.url, job.added_at, job.began_at, job.ended_at,
        _compact(_told_wish(job.wish)), _outcome_of(job), claim, whole,
    )  # fmt: skip


def amended(job: Job) -> tuple[object, ...]:
    """What AMEND is carried out with."""
    return _outcome_of(job), job.gid


def _outcome_of(job: Job) -> str | None:
    return _compact(_told(job.outcome)) if job.outcome else None


class Reader:
    """Rows to tasks; equal options become one object, since most of 100,000 tasks have the same."""

    def __init__(self) -> None:
        self._shared: dict[str, Mapping[str, Text]] = {}

    def job_of(self, row: Sequence[Any]) -> Job:
        """Of a row that OPEN, ENDED or ONE found. Raises ValueError for what is no task."""
        gid, state, rank, added_at, began_at, ended_at, wish, outcome, claim, whole = row
        try:
            if not GID.fullmatch(gid):
                raise ValueError("no gid")
            return Job(
                gid, self._wish_of(_parsed(wish)), _STATES[state], float(rank), float(added_at), began_at, ended_at,
                _made(Outcome, outcome), _made(Claim, claim), whole=_made(Whole, whole),
            )  # fmt: skip
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a task: {error}") from None

    def share(self, options: Mapping[str, Text]) -> Mapping[str, Text]:
        """The same options as one object for all."""
        return self._shared.setdefault(_compact(options), dict(options)) if options else _NONE

    def _wish_of(self, found: dict[str, Any]) -> Wish:
        urls = tuple(map(str, found["urls"]))
        if not urls:
            raise ValueError("no URL")
        if len(found) == 1:
            # Nearly all of 100,000, twice as fast.
            return Wish(urls=urls, options=_NONE, foreign=_NONE)
        return Wish(
            urls=urls, options=self.share(_texts(found.get("options", {}))),
            foreign=self.share(_texts(found.get("foreign", {}))), category=str(found.get("category", "")),
            name=str(found.get("name", "")),
            priority=Priority(found.get("priority", "normal")), not_before=float(found.get("not_before", 0)),
        )  # fmt: skip


def _parsed(text: str) -> Any:
    """JSON without space around it, as it is written here: a third of the time of ``json.loads``, 0.2 s of 100,000."""
    found, end = _decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    return found


def _told_wish(wish: Wish) -> dict[str, object]:
    told: dict[str, object] = {"urls": wish.urls}
    if wish.options:
        told["options"] = dict(wish.options)
    if wish.foreign:
        told["foreign"] = dict(wish.foreign)
    if wish.name:
        told["name"] = wish.name
    if wish.category:
        told["category"] = wish.category
    if wish.priority is not Priority.NORMAL:
        told["priority"] = wish.priority.value
    if wish.not_before:
        told["not_before"] = wish.not_before
    return told


def _told(value: Outcome | Claim | Whole) -> dict[str, object]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _texts(found: Mapping[str, Any]) -> dict[str, Text]:
    if not found:
        return {}
    return {str(name): tuple(map(str, text)) if isinstance(text, list) else str(text) for name, text in found.items()}


def _made(kind: type[T], text: str | None) -> T | None:
    """None also for what cannot be read: the task itself goes on without it."""
    if text is None:
        return None
    try:
        found = json.loads(text)
        return _with_known(kind, found)
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None


def _with_known(kind: type[T], found: Mapping[str, Any]) -> T:
    # Of a later version of this one's rows more may be told than is known here.
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # both are dataclasses
    return kind(**{name: tuple(value) if isinstance(value, list) else value
                   for name, value in found.items() if name in known})  # fmt: skip


# Made once: json.dumps makes one for each call whose arguments are not its defaults.
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode
