"""Structured dictionaries in header fields (RFC 9651), read by the library http-sf.

Pure; never raises. A field that is malformed anywhere says nothing at all (RFC 9651 section 4.2): half of it may be
what somebody injected.
"""

from __future__ import annotations

from collections.abc import Iterable

#: http-sf takes 0.35 s for 80 KB of members (measured): servers send a few hundred bytes.
LONGEST_FIELD = 8192


def dictionary(lines: Iterable[str]) -> dict[str, object] | None:
    """Members by key, in order, each without its parameters; None for a malformed field or one over 8 KiB.

    An inner list is a list of its items, each with its parameters.
    """
    text = ", ".join(lines)
    if not text:
        return {}
    if len(text) > LONGEST_FIELD:
        return None
    # Loaded when the first server states something: most never do, and it takes a tenth of the start.
    import http_sf

    try:
        members = http_sf.parse(text.encode("ascii"), tltype="dictionary")
    except ValueError:
        return None
    if not isinstance(members, dict):
        return None
    return {key: member[0] if isinstance(member, tuple) else member for key, member in members.items()}


def byte_members(lines: Iterable[str]) -> dict[str, bytes]:
    """The members that are byte sequences; none for a malformed field."""
    return {key: value for key, value in (dictionary(lines) or {}).items() if isinstance(value, bytes)}
