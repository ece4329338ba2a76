"""What ssh says becomes one sentence of ours."""

from __future__ import annotations

import pytest

from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    NoSuchHost,
    NotFound,
    ServerBusy,
    SourceError,
    TimedOut,
)
from thunderdl.formats.sftp import Status
from thunderdl.sources.sftp.faults import HostKeyRefused, rubbish, ssh_fault, status_fault

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for [127.0.0.1]:2022 has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = "No ED25519 host key is known for [127.0.0.1]:2022 and you have requested strict checking.\n" + (
    "Host key verification failed.\n"
)
SAID: list[tuple[str, type[SourceError], str]] = [
    (CHANGED, HostKeyRefused, "its host key is not the one in known_hosts"),
    (UNKNOWN, HostKeyRefused, "its host key is not in known_hosts"),
    ("root@h: Permission denied (publickey,password).\n", AccessDenied, "let nobody in"),
    ("ssh: connect to host h port 22: Connection refused\n", ConnectFailed, "refused"),
    ("ssh: Could not resolve hostname h: Name or service not known\n", NoSuchHost, "no such host"),
    ("ssh: Could not resolve hostname h: Temporary failure in name resolution\n", ConnectFailed, "just now"),
    ("ssh: connect to host h port 22: Connection timed out\n", TimedOut, "in time"),
    ("subsystem request failed on channel 0\n", BadResponse, "no SFTP"),
    ("kex_exchange_identification: Connection closed by remote host\n", ServerBusy, "turned the connection away"),
    ("Received disconnect from h port 22:2: Too many authentication failures\n", AccessDenied, "keys"),
    ("Unable to negotiate with h port 22: no matching host key type found.\n", BadResponse, "algorithm"),
    ("something\x1b[31m new\n", ConnectionLost, "something\ufffd[31m new"),
    ("", ConnectionLost, "before it answered"),
]


@pytest.mark.parametrize(("said", "kind", "told"), SAID)
def test_before_sftp_begins(said: str, kind: type[SourceError], told: str) -> None:
    error = ssh_fault("sftp://me:secret@h/x", said, has_begun=False)
    assert type(error) is kind
    assert told in str(error)
    assert str(error).isprintable()
    assert "secret" not in str(error)


def test_what_the_server_says_once_sftp_has_begun_is_no_login() -> None:
    error = ssh_fault("", "Permission denied (publickey).", has_begun=True)
    assert type(error) is ConnectionLost


def test_statuses() -> None:
    assert isinstance(status_fault(Status(2, "")), NotFound)
    assert isinstance(status_fault(Status(3, "")), AccessDenied)
    told = status_fault(Status(4, "no\x1b[2J\n" + "x" * 1000))
    assert isinstance(told, BadResponse)
    assert str(told).isprintable()
    assert len(str(told)) < 200


def test_text_where_sftp_should_begin() -> None:
    assert "start-up files" in str(rubbish(b"Welco"))
    assert "no SFTP" in str(rubbish(b"\0\0\0\0\x02"))
