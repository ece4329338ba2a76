from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import BadResponse, ConnectionLost, SourceError, TimedOut
from thunderdl.sources.ftp.control import Control, Features, Reply, features_of, size_of, time_of


@pytest.fixture
def ends() -> Iterator[tuple[Control, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Control(ours, 1.0), theirs


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"220 ready\r\n", Reply(220, ("ready",))),
        (b"220 ready\n", Reply(220, ("ready",))),
        (b"220\r\n", Reply(220, ("",))),
        (b"211-can\r\n REST STREAM\r\n211 end\r\n", Reply(211, ("211-can", " REST STREAM", "end"))),
        (
            b"211-can\r\n211-more\r\n212 not yet\r\n211 end\r\n",
            Reply(211, ("211-can", "211-more", "212 not yet", "end")),
        ),
    ],
)
def test_replies(ends: tuple[Control, socket.socket], sent: bytes, reply: Reply) -> None:
    control, server = ends
    server.sendall(sent + b"200 next\r\n")
    assert control.reply() == reply
    assert control.reply().code == 200


def test_what_is_left_of_a_transfer_is_no_answer(ends: tuple[Control, socket.socket]) -> None:
    control, server = ends
    server.sendall(b"226 that was all\r\n213 7\r\n")
    assert control.ask(b"SIZE f") == Reply(213, ("7",))


@pytest.mark.parametrize("command", [b"RETR a\r\nDELE a", b"RETR a\nDELE a", b"RETR a\rb", b"RETR a\0"])
def test_one_command_is_one_line(ends: tuple[Control, socket.socket], command: bytes) -> None:
    control, server = ends
    with pytest.raises(BadResponse):
        control.send(command)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1)


def test_a_reply_that_drips_is_given_up(ends: tuple[Control, socket.socket]) -> None:
    control, server = ends
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.01):
            server.sendall(b"2")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TimedOut):
            control.reply(0.1)
    finally:
        over.set()
        dripping.join()


def test_the_end_of_the_connection_is_told(ends: tuple[Control, socket.socket]) -> None:
    control, server = ends
    server.sendall(b"220-half")
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        control.reply()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_reply_or_a_fault(raw: bytes) -> None:
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        try:
            code = Control(ours, 1.0).reply().code
        except SourceError:
            return
        assert 100 <= code < 600


@given(st.text(max_size=40))
def test_any_text_is_a_size_and_a_time_or_none(text: str) -> None:
    size = size_of(Reply(213, (text,)))
    assert size is None or 0 <= size < 1 << 63
    assert time_of(Reply(213, (text,))) is None or text.strip()[:14].isdigit()


def test_times_are_of_the_world_not_of_the_place() -> None:
    assert time_of(Reply(213, ("20240229123456",))) == 1709210096.0
    assert time_of(Reply(213, ("20240229123456.789",))) == 1709210096.0
    assert time_of(Reply(213, ("20230229123456",))) is None
    assert time_of(Reply(550, ("20240229123456",))) is None


def test_features() -> None:
    told = Reply(211, ("211-Extensions:", " MDTM", " rest stream", " UTF8", "End"))
    assert features_of(told) == Features(rest=True, utf8=True)
    assert features_of(Reply(211, (" REST", "End"))) == Features()
    assert features_of(Reply(500, (" REST STREAM",))) == Features()
