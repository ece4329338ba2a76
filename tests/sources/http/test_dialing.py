"""Names, addresses and interfaces: the first that answers is taken, and never one that was not asked for."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stopwatch import Stopwatch
from thunderdl.errors import UsageError
from thunderdl.reach import IpVersion, Resolve
from thunderdl.sources.http import dialing
from thunderdl.sources.http.dialing import Reach, dial


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port of ::1 that answers nothing: its queue is full, what comes is dropped."""
    if not socket.has_ipv6:
        pytest.skip("needs IPv6 on loopback")
    fillers: list[socket.socket] = []
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            pytest.skip("needs IPv6 on loopback")
        sock.listen(0)
        port = sock.getsockname()[1]
        for _ in range(4):
            filler = socket.socket(socket.AF_INET6)
            filler.setblocking(False)
            filler.connect_ex(("::1", port))
            fillers.append(filler)
        yield port
        for filler in fillers:
            filler.close()


def looked_up(monkeypatch: pytest.MonkeyPatch, *places: tuple[socket.AddressFamily, tuple[Any, ...]]) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(kind, 1, 6, "", place) for kind, place in places])


def test_a_dead_ipv6_costs_a_quarter_of_a_second(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket, deaf: int
) -> None:
    """RFC 8305: the dead one stays in the race, IPv4 joins it."""
    port = listener.getsockname()[1]
    looked_up(monkeypatch, (socket.AF_INET6, ("::1", deaf, 0, 0)), (socket.AF_INET, ("127.0.0.1", port)))
    watch = Stopwatch()
    with dial("dual.example", port, Reach(), 5.0) as sock:
        wall_s, took_s = watch.wall_s, watch.took_s
        assert sock.getpeername() == ("127.0.0.1", port)
    assert wall_s >= dialing.NEXT_ATTEMPT_S - 0.01
    assert took_s < dialing.NEXT_ATTEMPT_S + 0.25


def test_one_that_refuses_costs_nothing(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = [(socket.AF_INET, ("127.0.0.1", closed.getsockname()[1]))] * 3
        looked_up(monkeypatch, *refusing, (socket.AF_INET, ("127.0.0.1", port)))
        watch = Stopwatch()
        dial("h.example", port, Reach(), 5.0).close()
        assert watch.took_s < dialing.NEXT_ATTEMPT_S


def test_kinds_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    mixed = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]
    assert [place for _, place in dialing._alternating(mixed)] == [1, 4, 2, 5, 3]


def test_all_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        looked_up(monkeypatch, *[(socket.AF_INET, ("127.0.0.1", closed.getsockname()[1]))] * 2)
        with pytest.raises(ConnectionRefusedError):
            dial("h.example", 1, Reach(), 5.0)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, deaf: int) -> None:
    looked_up(monkeypatch, (socket.AF_INET6, ("::1", deaf, 0, 0)))
    with pytest.raises(TimeoutError):
        dial("h.example", deaf, Reach(), 0.1)


def test_one_kind_alone() -> None:
    v4 = Reach(ip_version=IpVersion.V4, resolve=(Resolve("h.example", None, ("::1", "127.0.0.1")),))
    assert [place[0] for _, place in v4.places("h.example", 80)] == ["127.0.0.1"]
    with pytest.raises(OSError, match="no address of that kind"):
        Reach(ip_version=IpVersion.V6).places("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["a..b", ".a", f"{'a' * 64}.example"])
def test_what_cannot_be_a_host_is_none(host: str) -> None:
    with pytest.raises(socket.gaierror):
        Reach().places(host, 80)


@pytest.mark.parametrize(
    ("given", "host", "port", "expected"),
    [
        (Resolve("h.example", 80, ("192.0.2.1",)), "h.example", 80, "192.0.2.1"),
        (Resolve("h.example", None, ("192.0.2.1",)), "h.example", 81, "192.0.2.1"),
        (Resolve("*", 80, ("192.0.2.1",)), "other.example", 80, "192.0.2.1"),
        (Resolve("h.example", 81, ("192.0.2.1",)), "127.0.0.9", 80, "127.0.0.9"),
        (Resolve("example", None, ("192.0.2.1",)), "127.0.0.9", 80, "127.0.0.9"),
    ],
)
def test_resolve(given: Resolve, host: str, port: int, expected: str) -> None:
    assert Reach(resolve=(given,)).places(host, port)[0][1][0] == expected


def test_several_addresses_are_tried(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    reach = Reach(resolve=(Resolve("*", None, ("127.0.0.77", "127.0.0.1")),))
    with dial("h.example", port, reach, 5.0) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"


def test_from_an_address_of_ours(listener: socket.socket) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127/8")
    with dial("127.0.0.1", listener.getsockname()[1], Reach(interface="127.0.0.9"), 5.0) as sock:
        assert sock.getsockname()[0] == "127.0.0.9"


@pytest.mark.parametrize("interface", ["no-such-if0", "203.0.113.99", "x" * 300, "\x1b[31m"])
def test_an_interface_that_is_none_is_never_left_out(listener: socket.socket, interface: str) -> None:
    with pytest.raises(UsageError, match="--interface") as caught:
        dial("127.0.0.1", listener.getsockname()[1], Reach(interface=interface), 5.0)
    assert "\x1b" not in str(caught.value)


def test_an_interface_by_its_name(listener: socket.socket) -> None:
    if sys.platform != "linux":
        pytest.skip("its loopback interface is called otherwise")
    try:
        dial("127.0.0.1", listener.getsockname()[1], Reach(interface="lo"), 5.0).close()
    except UsageError as error:
        assert "address instead" in str(error)  # noqa: PT017 - without the right to it


def test_no_socket_is_left_open(monkeypatch: pytest.MonkeyPatch, listener: socket.socket, deaf: int) -> None:
    made: list[socket.socket] = []
    real = socket.socket

    class Counted(real):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    port = listener.getsockname()[1]
    looked_up(monkeypatch, (socket.AF_INET6, ("::1", deaf, 0, 0)), (socket.AF_INET, ("127.0.0.1", port)))
    monkeypatch.setattr(socket, "socket", Counted)
    with dial("h.example", port, Reach(), 5.0) as sock:
        assert [each for each in made if each.fileno() >= 0] == [sock]
    assert errno.EINPROGRESS
