"""A connection belongs to one mover at a time, also while it changes hands."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from thunderdl.errors import Cancelled, ConnectionLost
from thunderdl.sources.http.bucket import Meter, SharedLimit
from thunderdl.sources.http.connection import Connection, Phase
from thunderdl.sources.http.events import Broke, Finished
from thunderdl.sources.http.head import Body
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.transfer import Store, Transfer


@pytest.fixture
def movers() -> Iterator[tuple[Mover, Mover]]:
    pair = Mover(lambda: None), Mover(lambda: None)
    yield pair
    for mover in pair:
        mover.stop()


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        made.phase = Phase.PARKED
        yield made


def transfer() -> Transfer:
    return Transfer(request=b"", start=0, end=10, meter=cast(Any, None), notify=lambda event: None)


def test_what_is_ordered_during_a_hand_over_is_done_by_the_new_mover_and_in_order(
    movers: tuple[Mover, Mover], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = movers
    done: list[tuple[str, Mover]] = []
    over = threading.Event()

    def noted(name: str, last: bool = False) -> Any:
        def act(mover: Mover, *_: object, **__: object) -> None:
            done.append((name, mover))
            if last:
                over.set()

        return act

    for name in ("_proceed", "_ask", "_lower"):
        monkeypatch.setattr(Mover, name, noted(name))
    monkeypatch.setattr(Mover, "_break", noted("_break", last=True))
    # Keep the first mover from taking its commands until all of them are there.
    gate, other = threading.Event(), Connection(connection.sock)
    first.attach(other)
    first.attach(connection)
    Mover._order(other, lambda mover: cast(None, gate.wait(30)))
    first.proceed(connection, transfer(), Body(0, 10, False), cast(Any, None), second)
    first.ask(connection, transfer())
    first.lower(connection, transfer(), 5)
    first.close(connection, Cancelled())
    gate.set()
    assert over.wait(30)
    assert done == [("_proceed", second), ("_ask", second), ("_lower", second), ("_break", second)]
    assert connection in second.attached
    assert connection not in first.attached
    first.attached.clear()
    second.attached.clear()


def test_what_is_ordered_of_the_old_mover_afterwards_reaches_the_new_one(
    movers: tuple[Mover, Mover], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = movers
    by: list[Mover] = []
    over = threading.Event()

    def ask(mover: Mover, *_: object) -> None:
        by.append(mover)
        over.set()

    monkeypatch.setattr(Mover, "_ask", ask)
    second.attach(connection)
    # Read before the hand-over, used after it.
    first.ask(connection, transfer())
    assert over.wait(30)
    assert by == [second]
    second.attached.clear()


def test_what_is_handed_over_while_a_mover_ends_is_closed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A session stops its movers one after the other: those that still run may hand over to one that is ending."""
    run = Mover._run

    def handed_one_at_the_end(mover: Mover) -> None:
        run(mover)
        mover.attach(connection)

    monkeypatch.setattr(Mover, "_run", handed_one_at_the_end)
    Mover(lambda: None).stop()
    assert connection.is_closed
    assert connection.sock.fileno() == -1


def of_tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    return ours, theirs


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("limit", [None, 1e9])
@pytest.mark.parametrize("served", [0, 1])
@pytest.mark.parametrize(
    ("answer", "kept", "answered"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 60, 60, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3c\r\n" + b"x" * 60, 60, True),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 60, 60, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 0, True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 0, True),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", 0, True),
        (b"", 0, False),
    ],
    ids=["body", "chunks", "to its end", "no body", "half a head", "early hints", "nothing"],
)
def test_what_came_before_a_reset_counts(
    tmp_path: Path, answer: bytes, kept: int, answered: bool, served: int, limit: float | None
) -> None:  # fmt: skip
    """Up to a buffer of it was thrown away, and a connection that had served before passed for one closed while idle:
    the fault was not counted."""
    event, position, written = after_a_reset(tmp_path, answer, served, limit)
    assert isinstance(event, Broke)
    assert isinstance(event.error, ConnectionLost)
    assert "broke" in str(event.error)
    assert event.stale is (served > 0 and not answered)
    assert (position, written) == (kept, b"x" * kept)


@pytest.mark.parametrize("limit", [None, 1e9])
def test_a_whole_answer_before_a_reset_is_whole(tmp_path: Path, limit: float | None) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    event, position, written = after_a_reset(tmp_path, whole, 0, limit)
    assert isinstance(event, Finished)
    assert (position, written) == (100, b"x" * 100)


def after_a_reset(folder: Path, answer: bytes, served: int, limit: float | None) -> tuple[object, int, bytes]:
    """What is told of an answer that came, and a reset behind it, before anybody looked: (event, bytes, file)."""
    told: queue.Queue[object] = queue.Queue()
    mover = Mover(lambda: collect(mover, told))
    fd = os.open(folder / "f", os.O_RDWR | os.O_CREAT)
    ours, theirs = of_tcp()
    connection = Connection(ours)
    connection.served = served
    mover.attach(connection)
    transfer = Transfer(
        request=b"GET / HTTP/1.1\r\n\r\n", start=0, end=100, meter=Meter(SharedLimit(limit), 1.0), notify=told.put,
        judge=lambda head: Body(0, None if head.content_length is None else head.content_length, False),
        store=Store(fd=fd, path="f", granule_bytes=1 << 20),
    )  # fmt: skip
    mover.ask(connection, transfer)
    held, gate = threading.Event(), threading.Event()

    def hold(_: Mover) -> None:
        held.set()
        gate.wait(30)

    Mover._order(connection, hold)
    assert held.wait(30)
    theirs.sendall(answer)
    until(lambda: len(answer) == 0 or len(ours.recv(1 << 16, socket.MSG_PEEK)) == len(answer))
    reset(theirs)
    gate.set()
    try:
        return told.get(timeout=30), transfer.position, os.pread(fd, 1000, 0)
    finally:
        mover.stop()
        os.close(fd)


def collect(mover: Mover, told: queue.Queue[object]) -> None:
    while mover.events():
        told.put(mover.events().popleft()[1])


def until(claim: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            if claim():
                return
        except BlockingIOError:
            pass
        time.sleep(0.001)
    raise AssertionError("never came")
