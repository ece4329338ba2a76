"""The frames of SFTP over a socket, from the far end's side."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import BadResponse
from thunderdl.sources.sftp.channel import Arrival, Channel, ChannelClosed


class Ends:
    """``far``: what the server would write to."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self._near, self.channel = near, Channel(near)

    def close(self) -> None:
        self._near.close()
        self.far.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


@pytest.mark.parametrize("length", [0, 1, 8, 256 * 1024 + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_no_packet_has_is_refused(ends: Ends, length: int) -> None:
    ends.far.sendall(struct.pack(">IBII", length, 101, 1, 0))
    with pytest.raises(BadResponse, match="no SFTP"):
        ends.channel.arrival()


def test_the_head_of_a_packet_may_come_in_parts(ends: Ends) -> None:
    packet = struct.pack(">IBII", 9 + 3, 103, 7, 3) + b"abc"
    for at in range(13):
        assert ends.channel.arrival(0.0) is None
        ends.far.sendall(packet[at : at + 1])
    assert ends.channel.arrival(0.0) == Arrival(kind=103, request_id=7, first=3, left_bytes=3)
    ends.far.sendall(packet[13:])
    assert ends.channel.collect(3) == b"abc"


def test_an_end_is_told_wherever_it_comes(ends: Ends) -> None:
    ends.far.sendall(b"\0\0\0")
    ends.far.close()
    with pytest.raises(ChannelClosed):
        ends.channel.arrival()
    with pytest.raises(ChannelClosed):
        ends.channel.send(bytes(1 << 20))


def read_on(channel: Channel) -> None:
    """As long as packets come."""
    channel.greet()
    while (arrival := channel.arrival()) is not None:
        channel.collect(arrival.left_bytes)


@given(st.binary(max_size=40))
def test_rubbish_is_refused_or_ends(rubbish: bytes) -> None:
    ends = Ends()
    try:
        ends.far.sendall(rubbish)
        ends.far.shutdown(socket.SHUT_WR)
        with pytest.raises((BadResponse, ChannelClosed)):
            read_on(ends.channel)
    finally:
        ends.close()
