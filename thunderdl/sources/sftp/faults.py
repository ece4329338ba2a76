"""What went wrong, from what ``ssh`` says on its standard error; that is partly the server's word. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    LastingFault,
    NoSuchHost,
    NotFound,
    ServerBusy,
    SourceError,
    TimedOut,
    printable,
)
from thunderdl.formats.sftp import NO_SUCH_FILE, PERMISSION_DENIED, Status

_ACCEPT = "connect once with ssh and compare its fingerprint, or pass --accept-new-host-keys"
_KEYS = "give a password in the URL or with --netrc, or add a key with ssh-add"


class HostKeyRefused(AccessDenied):
    """The server is not known, or is not who it was."""


class _Rule(NamedTuple):
    """``said``: in the text; the rest makes the error."""

    said: str
    kind: Callable[[str, str, str], SourceError]
    reason: str
    advice: str = ""


# The first that fits: what ssh says last follows from what it said first.
_RULES = (
    _Rule(
        "IDENTIFICATION HAS CHANGED", HostKeyRefused, "its host key is not the one in known_hosts, nothing was sent",
        "somebody may be in between; if the server was set up anew, run ssh-keygen -R HOST (-R [HOST]:PORT where the "
        "port is not 22) and connect once with ssh",
    ),
    _Rule("host key is known for", HostKeyRefused, "its host key is not in known_hosts, nothing was sent", _ACCEPT),
    _Rule("REVOKED HOST KEY", HostKeyRefused, "its host key was revoked, nothing was sent"),
    _Rule("Host key verification failed", HostKeyRefused, "its host key was refused, nothing was sent", _ACCEPT),
    _Rule("Permission denied (", AccessDenied, "the server let nobody in", _KEYS),
    _Rule(
        "Too many authentication failures", AccessDenied, "the server tired of the keys it was offered",
        "name the right one with IdentityFile and IdentitiesOnly in ~/.ssh/config",
    ),
    _Rule("Temporary failure in name resolution", ConnectFailed, "its name could not be looked up just now"),
    _Rule("Could not resolve hostname", NoSuchHost, "no such host", "check the spelling"),
    _Rule("Connection refused", ConnectFailed, "connection refused", "check the port and whether the server runs"),
    _Rule("subsystem request failed", BadResponse, "the server offers no SFTP"),
    _Rule("Connection timed out", TimedOut, "did not answer in time"),
    _Rule("Operation timed out", TimedOut, "did not answer in time"),
    _Rule("timed out during banner exchange", TimedOut, "did not answer in time"),
    _Rule("Timeout, server", TimedOut, "did not answer in time"),
    _Rule("no matching", BadResponse, "it and this ssh share no algorithm", "ssh -v to it says more"),
    _Rule("Bad configuration option", LastingFault, "ssh does not read its configuration", "ssh to it says more"),
    _Rule("terminating, ", LastingFault, "ssh does not read its configuration", "ssh to it says more"),
)  # fmt: skip
_TURNED_AWAY = ("kex_exchange_identification", "Exceeded MaxStartups", "Not allowed at this time")


def ssh_fault(url: str, said: str, *, has_begun: bool) -> SourceError:
    """The error for an ``ssh`` that ended. ``has_begun``: SFTP had been spoken already."""
    for rule in () if has_begun else _RULES:
        if rule.said in said:
            return rule.kind(url, rule.reason, rule.advice)
    if not has_begun and any(words in said for words in _TURNED_AWAY):
        # What sshd does over MaxStartups: it may take the connection a little later.
        return ServerBusy(url, 503, reason="the server turned the connection away")
    told = _last_line(said)
    where = "in the middle" if has_begun else "before it answered"
    return ConnectionLost(url, f"the connection broke {where}" + (f" ({told})" if told else ""))


def status_fault(status: Status) -> SourceError:
    """The error for a STATUS in answer to an open or a read."""
    if status.code == NO_SUCH_FILE:
        return NotFound("", "not found")
    if status.code == PERMISSION_DENIED:
        return AccessDenied("", "the server does not let this user read it")
    told = printable(status.message)[:100]
    return BadResponse("", f"the server cannot read it ({told or f'SFTP status {status.code}'})")


def rubbish(first: bytes) -> SourceError:
    """The error for what came instead of SFTP; ``first``: its first bytes."""
    if re.fullmatch(rb"[\t\r\n\x1b -~]{4}.*", first, re.DOTALL):
        # A start-up file of the login shell that prints: OpenSSH's sftp says "Received message too long" then.
        return BadResponse("", "the account prints text where SFTP should begin", "silence its shell's start-up files")
    return BadResponse("", "what it sent is no SFTP")


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return printable(lines[-1])[:120].rstrip(".") if lines else ""
