"""Options with some of them changed, as the library's user writes them: digests and limits may be text."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from thunderdl.engine.pacing import checked_limit
from thunderdl.errors import UsageError, printable
from thunderdl.formats.hashes import parse_checksum
from thunderdl.options import Options, table

LIMITS = ("limit", "task_limit", "upload_limit", "task_upload_limit")
# Of those that all downloads of a client share.
LIVE = frozenset({"limit", "upload_limit", "per_host", "connections", "jobs"})
_CHOICES = {row.name: type(row.default) for row in table() if isinstance(row.default, enum.Enum)}


def fixed_ones(changes: Mapping[str, Any]) -> list[str]:
    """Of the names those that a client cannot change any more."""
    return sorted(row.name for row in table() if row.scope == "session" and row.name in changes.keys() - LIVE)


def changed(options: Options, changes: Mapping[str, Any]) -> Options:
    """``options`` with ``changes``, names of fields with their values. Raises UsageError."""
    changes = dict(changes)
    if isinstance(changes.get("checksum"), str):
        changes["checksum"] = parse_checksum(changes["checksum"])
    for name in LIMITS:
        if name in changes:
            changes[name] = checked_limit(name, changes[name])
    for name in changes.keys() & _CHOICES.keys():
        changes[name] = _chosen(name, changes[name])
    try:
        return replace(options, **changes)
    except TypeError as error:
        raise UsageError(f"no such option ({error}).") from None


def _chosen(name: str, value: object) -> enum.Enum:
    """A member of the option's enum, by itself or by its value."""
    try:
        return _CHOICES[name](value)
    except ValueError:
        listed = ", ".join(str(member.value) for member in _CHOICES[name])
        raise UsageError(f"{name} must be one of {listed}, not {printable(repr(value))[:100]}.") from None


def changed_for_one(options: Options, changes: Mapping[str, Any]) -> Options:
    """The same for one download alone. Raises UsageError for what all downloads of a client share, too."""
    shared = sorted(row.name for row in table() if row.scope == "session" and row.name in changes)
    if shared:
        raise UsageError(f"{', '.join(shared)}: set for all downloads of a client; give it to Client(Options(…)).")
    return changed(options, changes)
