"""The control connection of FTP (RFC 959, 2228, 2428, 3659, 4217): one command, one reply. Blocking, for a thread.

It must not move a byte of a file. Everything a server says is bounded, in bytes and in time, and none of its words
reach the user but the three digits: they may hold the user's name, and anything else.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from thunderdl.errors import BadResponse, ConnectionLost, TimedOut
from thunderdl.sources.http.connect import connect_fault

# A long greeting is a few KiB; the list of features is shorter.
MAX_REPLY_BYTES = 64 * 1024
_RECEIVE_BYTES = 4096
_LARGEST = (1 << 63) - 1
R = TypeVar("R")
# Of a transfer that we broke off: some servers tell of it twice, the second time when the next command has gone out.
_OF_A_TRANSFER = (225, 226, 426)


class Reply(NamedTuple):
    """``lines``: its text, as Latin-1 and without the digits of the last line."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        return self.lines[-1]


class Control:
    """``sock``: connected, blocking. ``timeout_s``: for each reply, however slowly its bytes come."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self.sock, self.timeout_s = sock, timeout_s
        self._buffer = bytearray()

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on over TLS."""
        if self._buffer:
            # Sent before there was any protection: it would be taken for what the server says under it.
            raise BadResponse("", "sent something between AUTH TLS and TLS")
        self.sock.settimeout(self.timeout_s)
        self.sock = _mapped(lambda: context.wrap_socket(self.sock, server_hostname=host))

    def ask(self, command: bytes, timeout_s: float | None = None) -> Reply:
        """Send a command and have its reply. Raises a SourceError."""
        self.send(command)
        reply = self.reply(timeout_s)
        return self.reply(timeout_s) if reply.code in _OF_A_TRANSFER else reply

    def send(self, command: bytes) -> None:
        """A command alone."""
        if b"\r" in command or b"\n" in command or b"\0" in command:
            # Checked where URLs are taken apart, too: a second command must not get out of here.
            raise BadResponse("", "a command that would hold a line end")
        self.sock.settimeout(self.timeout_s)
        _mapped(lambda: self.sock.sendall(command + b"\r\n"))

    def reply(self, timeout_s: float | None = None) -> Reply:
        """The next reply, in time and of bounded length. Raises a SourceError."""
        ends = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        room = MAX_REPLY_BYTES
        lines: list[str] = []
        code = ""
        while True:
            line = self._line(ends, room)
            room -= len(line) + 1
            if not lines:
                code = line[:3]
                if not re.fullmatch(r"[1-5]\d\d([ -].*)?", line, re.ASCII | re.DOTALL):
                    raise BadResponse("", "what answers there is no FTP server")
            if line[:3] == code and line[3:4] != "-":
                return Reply(int(code), (*lines, line[4:]))
            lines.append(line)

    def _line(self, ends: float, room: int) -> str:
        while (found := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) >= room:
                raise BadResponse("", f"its reply is longer than {MAX_REPLY_BYTES // 1024} KiB")
            left_s = ends - time.monotonic()
            if left_s <= 0:
                raise TimedOut("", "did not answer in time")
            self.sock.settimeout(left_s)
            part = _mapped(lambda: self.sock.recv(_RECEIVE_BYTES))
            if not part:
                raise ConnectionLost("", "closed its control connection")
            self._buffer += part
        line = bytes(self._buffer[:found])
        del self._buffer[: found + 1]
        return line.rstrip(b"\r").decode("latin-1")

    def interrupt(self) -> None:
        """Have a thread that waits for a reply come back. Not closed here: it would read on, from what has got the
        same number by then."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Say good-bye without waiting, and close."""
        with contextlib.suppress(OSError, ValueError):
            self.sock.setblocking(False)
            self.sock.send(b"QUIT\r\n")
        self.sock.close()


@dataclass(slots=True)
class Features:
    """What a server says that it can do; ``passive``: the kind of passive mode that works, None until one did;
    ``tells_facts``: size and time of a file; ``lists_facts``: those of all in a folder (MLSD)."""

    rest: bool | None = None
    utf8: bool = False
    tells_facts: bool = False
    lists_facts: bool = False
    passive: bytes | None = None


def features_of(reply: Reply) -> Features:
    """What FEAT brought (RFC 2389); nothing certain where the server does not know it."""
    if reply.code != 211:
        return Features()
    told = {line.strip().upper() for line in reply.lines}
    rest = True if "REST STREAM" in told else None
    # RFC 3659 section 7.8: a feature of its own MLSD is not, MLST names both.
    lists = any(line.split(" ")[0] in ("MLST", "MLSD") for line in told)
    return Features(
        rest=rest, utf8="UTF8" in told, tells_facts={"SIZE", "MDTM"} <= told, lists_facts=lists
    )  # fmt: skip


def size_of(reply: Reply) -> int | None:
    """What SIZE brought; None where that is no size."""
    text = reply.text.strip()
    if reply.code != 213 or not re.fullmatch(r"\d{1,19}", text, re.ASCII):
        return None
    size = int(text)
    return size if size <= _LARGEST else None


def time_of(reply: Reply) -> float | None:
    """What MDTM brought (RFC 3659 section 2.3: UTC), in seconds since 1970; None where that is no time."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?", reply.text.strip(), re.ASCII)
    if reply.code != 213 or found is None:
        return None
    try:
        return datetime(*map(int, found.groups()[:6]), tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def _mapped(call: Callable[[], R]) -> R:
    try:
        return call()
    except OSError as error:
        if isinstance(error, TimeoutError | ssl.SSLError):
            raise connect_fault("", error) from None
        raise ConnectionLost("", f"the control connection broke ({error.strerror or type(error).__name__})") from None
