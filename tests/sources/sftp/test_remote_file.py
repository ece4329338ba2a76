"""Reading a file over SFTP from servers that are odd, or lie."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.fake_sftp import Behaviour, behave, command
from thunderdl.errors import BadResponse, NotFound
from thunderdl.sources.sftp.channel import Channel, ChannelClosed
from thunderdl.sources.sftp.process import Process
from thunderdl.sources.sftp.remote_file import RemoteFile

SIZE = 700_001
CONTENT = random.Random(7).randbytes(SIZE)
PATIENCE_S = 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    (made / "f").write_bytes(CONTENT)
    return made


@pytest.fixture
def file(folder: Path) -> Iterator[RemoteFile]:
    process = Process(command(folder), {})
    yield RemoteFile(Channel(process.sock))
    process.end()


def path_of(folder: Path, name: str = "f") -> bytes:
    return os.fsencode(folder / name)


def read_all(file: RemoteFile, start: int, end: int, stop: int | None = None) -> bytes:
    """``[start, end)``, of which only what is before ``stop`` is taken."""
    file.begin(start, end)
    got, wanted = bytearray(), (end if stop is None else stop) - start
    while len(got) < wanted:
        view = file.read(wanted - len(got), end, PATIENCE_S)
        assert view is not None
        if not view:
            break
        got += view
    return bytes(got)


@pytest.mark.parametrize("behaviour", [
    Behaviour(), Behaviour(limits=False), Behaviour(most_read=1000), Behaviour(most_read=20_000, limits=False),
    Behaviour(backwards=True), Behaviour(backwards=True, most_read=30_000, limits=False),
], ids=str)  # fmt: skip
def test_every_range_comes_whole(folder: Path, file: RemoteFile, behaviour: Behaviour) -> None:
    behave(folder, behaviour)
    file.greet()
    assert file.open(path_of(folder)).size_bytes == SIZE
    for start, end in ((0, SIZE), (1, 5), (333_333, SIZE), (600_000, 600_001)):
        file.open(path_of(folder))
        assert read_all(file, start, end) == CONTENT[start:end]


@pytest.mark.parametrize("stop", [1, 1000, 32_768, 300_000])
def test_what_was_asked_in_vain_does_not_disturb_what_follows(folder: Path, file: RemoteFile, stop: int) -> None:
    file.greet()
    file.open(path_of(folder))
    assert read_all(file, 0, SIZE, stop) == CONTENT[:stop]
    (folder / "g").write_bytes(CONTENT[::-1])
    file.open(path_of(folder, "g"))
    assert read_all(file, 10, 100_000) == CONTENT[::-1][10:100_000]


def test_a_file_that_is_shorter_than_stated_ends(folder: Path, file: RemoteFile) -> None:
    behave(folder, Behaviour(size=SIZE + 100_000))
    file.greet()
    assert file.open(path_of(folder)).size_bytes == SIZE + 100_000
    assert read_all(file, 0, SIZE + 100_000) == CONTENT


def test_a_path_that_is_not_there_leaves_the_channel_in_order(folder: Path, file: RemoteFile) -> None:
    file.greet()
    with pytest.raises(NotFound):
        file.open(path_of(folder, "gone"))
    file.open(path_of(folder))
    assert read_all(file, 0, 10) == CONTENT[:10]


@pytest.mark.parametrize("behaviour", [
    Behaviour(too_much=1), Behaviour(wrong_id=77), Behaviour(length=5), Behaviour(length=0), Behaviour(reply_type=105),
    Behaviour(reply_type=0),
], ids=str)  # fmt: skip
def test_a_reply_that_is_none_is_refused(folder: Path, file: RemoteFile, behaviour: Behaviour) -> None:
    file.greet()
    file.open(path_of(folder))
    behave(folder, behaviour)
    with pytest.raises(BadResponse):
        read_all(file, 0, SIZE)


def test_an_early_reply_that_is_longer_than_asked_is_not_held() -> None:
    """A server whose first reply never comes could have had us hold 64 times what we asked for."""
    ours, servers = socket.socketpair()
    ours.setblocking(False)
    with ours, servers:
        file = RemoteFile(Channel(ours))
        file.begin(0, SIZE)
        head = struct.Struct(">IBII")
        first = int.from_bytes(servers.recv(65536)[5:9])
        servers.sendall(head.pack(9 + 40_000, 103, first + 1, 40_000) + bytes(40_000))
        with pytest.raises(BadResponse, match="another length"):
            file.read(SIZE, SIZE, PATIENCE_S)


@pytest.mark.parametrize(
    "text", ["Welcome to example.org!\r\n" * 4, "\0\0\0\x05\x7f\0\0\0\x03", "\x7f\x7f\x7f\x7f\x02"]
)
def test_what_is_no_sftp_is_refused(folder: Path, file: RemoteFile, text: str) -> None:
    behave(folder, Behaviour(text=text))
    with pytest.raises(BadResponse):
        file.greet()


def test_a_server_that_dies_is_seen_to(folder: Path, file: RemoteFile) -> None:
    file.greet()
    file.open(path_of(folder))
    behave(folder, Behaviour(cut_after=300_000))
    with pytest.raises(ChannelClosed):
        read_all(file, 0, SIZE)


def test_nothing_comes_within_ones_patience(folder: Path, file: RemoteFile) -> None:
    file.greet()
    file.open(path_of(folder))
    behave(folder, Behaviour(stall_after=0))
    file.begin(0, SIZE)
    assert file.read(SIZE, SIZE, 0.01) is None
    behave(folder, Behaviour())
    view = file.read(SIZE, SIZE, PATIENCE_S)
    assert view is not None
    assert bytes(view) == CONTENT[: len(view)]
