"""A server for SFTP that can be made to do wrong, as a program in the place of ``ssh``: it speaks on its standard input
and output. Run as ``python fake_sftp.py FOLDER``; it serves FOLDER's files by their absolute paths, and looks into
FOLDER.behaviour before each answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shlex
import stat
import struct
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """``said``: on standard error, then exit by ``code``; ``text``: printed before SFTP begins; ``most_read``: no reply
    is longer; ``limits``: whether it tells that; ``backwards``: of the replies to reads that came together the last
    goes first; ``size``, ``mode``: what it says of every file; ``stall_after``, ``cut_after``: bytes after each FSTAT;
    ``reply_type``: of what answers a read; ``too_much``: bytes more than asked; ``wrong_id``: added to the id of each
    reply to a read; ``length``: that a reply to a read states; ``deaf_to``: the kind of packet that it answers no more;
    ``links``: whether each look into a folder finds one more link, without end."""

    said: str | None = None
    code: int = 255
    text: str = ""
    most_read: int = 255 * 1024
    limits: bool = True
    backwards: bool = False
    size: int | None = None
    mode: int | None = None
    stall_after: int | None = None
    cut_after: int | None = None
    reply_type: int = 103
    too_much: int = 0
    wrong_id: int = 0
    length: int | None = None
    deaf_to: int = 0
    links: bool = False


def behave(folder: Path, behaviour: Behaviour) -> None:
    """From its next answer on."""
    made = folder.with_suffix(".new")
    made.write_text(json.dumps(dataclasses.asdict(behaviour)))
    made.rename(folder.with_suffix(".behaviour"))


def command(folder: Path) -> list[str]:
    """What to run for a server of ``folder``."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(folder)]


def ssh_that_runs(folder: Path, script: str) -> None:
    """A program called ``ssh`` in ``folder``: this shell script."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)


@contextlib.contextmanager
def in_place_of_ssh(folder: Path) -> Iterator[None]:
    """Whoever runs ``ssh`` meanwhile reaches a server of ``folder``."""
    with tempfile.TemporaryDirectory(prefix="thunderdl-ssh-") as programs:
        ssh_that_runs(Path(programs), "exec " + shlex.join(command(folder)))
        with unittest.mock.patch.dict(os.environ, {"PATH": f"{programs}:{os.environ['PATH']}"}):
            yield


def _behaviour(folder: Path) -> Behaviour:
    try:
        return Behaviour(**json.loads(folder.with_suffix(".behaviour").read_text()))
    except FileNotFoundError:
        return Behaviour()


def _string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


class _Server:
    def __init__(self, folder: Path, source: RawIOBase, sink: BinaryIO) -> None:
        self._folder, self._source, self._sink = folder, source, sink
        self._fd = -1
        self._sent = 0
        self._entries: list[bytes] = []
        self._listed = b""
        self._held: list[bytes] = []

    def serve(self) -> None:
        behaviour = _behaviour(self._folder)
        self._sink.write(behaviour.text.encode())
        while head := self._take(5):
            length, kind = struct.unpack(">IB", head)
            self._answer(kind, self._take(length - 1))

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            if not (part := self._source.read(count - len(taken))):
                return b""
            taken += part
        return taken

    def _answer(self, kind: int, payload: bytes) -> None:
        behaviour = _behaviour(self._folder)
        request_id, rest = payload[:4], payload[4:]
        if kind == behaviour.deaf_to:
            return
        if kind == 1:
            extra = _string(b"limits@openssh.com") + _string(b"1") if behaviour.limits else b""
            self._send(2, struct.pack(">I", 3) + extra)
        elif kind == 3:
            self._open(request_id, rest[4 : 4 + int.from_bytes(rest[:4], "big")])
        elif kind == 4:
            self._send(101, request_id + struct.pack(">I", 0) + _string(b"") * 2)
        elif kind == 5:
            self._read(behaviour, request_id, *struct.unpack(">QI", rest[-12:]))
        elif kind == 8:
            self._sent = 0
            found = os.fstat(self._fd)
            size = found.st_size if behaviour.size is None else behaviour.size
            mode = found.st_mode if behaviour.mode is None else behaviour.mode
            self._send(105, request_id + struct.pack(">IQIII", 13, size, mode, 0, int(found.st_mtime)))
        elif kind == 11:
            self._open_folder(request_id, rest[4 : 4 + int.from_bytes(rest[:4], "big")])
        elif kind == 12:
            self._names(request_id, links=behaviour.links)
        elif kind == 200:
            self._send(201, request_id + struct.pack(">QQQQ", 1 << 18, behaviour.most_read, 0, 0))

    def _open(self, request_id: bytes, path: bytes) -> None:
        try:
            opened = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            self._send(101, request_id + struct.pack(">I", 2) + _string(b"No such file") + _string(b""))
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = opened
        self._send(102, request_id + _string(b"h"))

    def _open_folder(self, request_id: bytes, path: bytes) -> None:
        if not os.path.isdir(path):
            self._send(101, request_id + struct.pack(">I", 2) + _string(b"No such file") + _string(b""))
            return
        self._entries = [b".", b"..", *sorted(os.listdir(path))]
        self._listed = path
        self._send(102, request_id + _string(b"d"))

    def _names(self, request_id: bytes, *, links: bool) -> None:
        """A few at a time."""
        if links:
            link = _string(b"link") + _string(b"for people") + struct.pack(">II", 4, stat.S_IFLNK | 0o777)
            self._send(104, request_id + struct.pack(">I", 1) + link)
            return
        some, self._entries = self._entries[:3], self._entries[3:]
        if not some:
            self._send(101, request_id + struct.pack(">I", 1) + _string(b"") * 2)
            return
        told = struct.pack(">I", len(some))
        for name in some:
            found = os.lstat(os.path.join(self._listed, name))
            told += _string(name) + _string(b"for people")
            # With an extension that nobody knows.
            told += struct.pack(">IQIII", 0x8000000D, found.st_size, found.st_mode, 0, int(found.st_mtime))
            told += struct.pack(">I", 1) + _string(b"x@y") + _string(b"z")
        self._send(104, request_id + told)

    def _read(self, behaviour: Behaviour, request_id: bytes, position: int, length: int) -> None:
        if stat.S_ISDIR(os.fstat(self._fd).st_mode):
            self._send(101, request_id + struct.pack(">I", 4) + _string(b"Failure") + _string(b""))
            return
        part = os.pread(self._fd, min(length, behaviour.most_read), position)
        if behaviour.cut_after is not None and self._sent + len(part) > behaviour.cut_after:
            self._sink.flush()
            os._exit(0)
        while (now := _behaviour(self._folder)).stall_after is not None and self._sent + len(part) > now.stall_after:
            self._sink.flush()
            time.sleep(0.01)
        self._sent += len(part)
        if not part:
            self._send(101, request_id + struct.pack(">I", 1) + _string(b"End of file") + _string(b""))
            return
        answered = struct.pack(">I", (int.from_bytes(request_id, "big") + behaviour.wrong_id) & 0xFFFFFFFF)
        part += bytes(behaviour.too_much)
        stated = len(part) if behaviour.length is None else behaviour.length
        payload = answered + struct.pack(">I", stated) + part
        self._held.append(struct.pack(">IB", 1 + len(payload), behaviour.reply_type) + payload)
        if not behaviour.backwards or not select.select([0], [], [], 0.002)[0]:
            self._release()

    def _release(self) -> None:
        self._sink.write(b"".join(reversed(self._held)))
        self._held.clear()
        self._sink.flush()

    def _send(self, kind: int, payload: bytes) -> None:
        self._release()
        self._sink.write(struct.pack(">IB", 1 + len(payload), kind) + payload)
        self._sink.flush()


def _main() -> None:
    folder = Path(sys.argv[1])
    behaviour = _behaviour(folder)
    if behaviour.said is not None:
        sys.stderr.write(behaviour.said)
        sys.exit(behaviour.code)
    with os.fdopen(0, "rb", buffering=0) as source, os.fdopen(1, "wb") as sink:
        _Server(folder, source, sink).serve()


if __name__ == "__main__":
    _main()
