"""Where the daemon listens: as typed, as systemd hands it over; what cannot be had is said in one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from thunderdl.errors import UsageError
from thunderdl.rpc.listening import LOOPBACK, Place, from_systemd, opened, parse_place, place_of, tell_systemd


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:7000", Place("127.0.0.1", 7000)), ("localhost", LOOPBACK), (":7000", Place("127.0.0.1", 7000)),
        ("0.0.0.0", Place("0.0.0.0", 6800)), ("[::1]:1", Place("::1", 1)), ("[::1]", Place("::1", 6800)),
        ("::1", Place("::1", 6800)), ("127.0.0.1:0", Place("127.0.0.1", 0)),
    ],
)  # fmt: skip
def test_addresses_as_typed(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["example.org:80", "127.0.0.1:70000", "127.0.0.1:x", "[::1", "1.2.3", "127.0.0.1:1:2", "x", "[::1]1", "a b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        parse_place(text)


def test_only_this_machine_is_loopback() -> None:
    assert [parse_place(text).is_loopback for text in ("127.9.9.9", "::1", "0.0.0.0", "::", "192.168.0.1")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert str(Place("::1", 5)) == "[::1]:5"


def test_a_port_that_is_taken_is_told_and_nothing_stays_open() -> None:
    (taken,) = opened([Place("127.0.0.1", 0)])
    place = place_of(taken)
    assert place is not None
    with taken, pytest.raises(UsageError, match="another program listens there") as raised:
        opened([Place("127.0.0.1", 0), place])
    assert str(place) in str(raised.value)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UsageError, match="no such address"):
        opened([Place("192.0.2.1", 0)])


def test_answers_do_not_wait_for_nagle() -> None:
    # asyncio sets TCP_NODELAY only where the socket says that it is TCP.
    (listening,) = opened([Place("127.0.0.1", 0)])
    with listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_socket_of_systemd_is_taken_by_whom_it_is_for(tmp_path: Path) -> None:
    """In a process of its own: the descriptors have fixed numbers."""
    program = (
        "import os, sys\n"
        "os.dup2(int(sys.argv[2]), 3)\n"
        "from thunderdl.rpc.listening import from_systemd, place_of\n"
        "environment = {'LISTEN_FDS': '1', 'LISTEN_PID': sys.argv[1] or str(os.getpid())}\n"
        "found = from_systemd(environment, os.getpid())\n"
        "print(*map(place_of, found), sorted(environment))\n"
    )
    (listening,) = opened([Place("127.0.0.1", 0)])
    with listening:
        for pid, told in (("", f"{place_of(listening)} []"), ("1", "[]")):
            argv = [sys.executable, "-c", program, pid, str(listening.fileno())]
            run = subprocess.run(
                argv, pass_fds=[listening.fileno()], capture_output=True, text=True, check=True, cwd=os.getcwd()
            )
            assert run.stdout.strip() == told


@pytest.mark.parametrize(("given", "told"), [("file", "no open socket"), ("datagrams", "ListenStream")])
def test_what_systemd_hands_over_and_cannot_be_listened_at_is_told(given: str, told: str) -> None:
    program = (
        "import os, sys\n"
        "os.dup2(int(sys.argv[1]), 3)\n"
        "from thunderdl.errors import UsageError\n"
        "from thunderdl.rpc.listening import from_systemd\n"
        "try:\n"
        "    from_systemd({'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid())}, os.getpid())\n"
        "except UsageError as error:\n"
        "    print(error)\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, open(os.devnull) as file:
        fd = datagrams.fileno() if given == "datagrams" else file.fileno()
        argv = [sys.executable, "-c", program, str(fd)]
        run = subprocess.run(argv, pass_fds=[fd], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert told in run.stdout


def test_without_systemd_there_are_none() -> None:
    assert from_systemd({}, 1) == []
    assert from_systemd({"LISTEN_FDS": "x", "LISTEN_PID": "1"}, 1) == []


def test_systemd_is_told_where_it_waits_for_it(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waiting:
        waiting.bind(path)
        tell_systemd("READY=1", {"NOTIFY_SOCKET": path})
        assert waiting.recv(100) == b"READY=1"
    # Nobody waits, or not any more.
    tell_systemd("READY=1", {})
    tell_systemd("READY=1", {"NOTIFY_SOCKET": path})
