"""A connection belongs to one mover at a time, also while it changes hands."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from thunderdl.errors import Cancelled
from thunderdl.sources.http.connection import Connection, Phase
from thunderdl.sources.http.head import Body
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.transfer import Transfer


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
