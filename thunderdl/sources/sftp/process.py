"""One ``ssh`` process, and the socket that its SFTP channel is bound to. Blocking: to be called in a thread.

It has a session of its own: Ctrl-C is for us, and there is no terminal on which it could ask anybody. It ends when
our end of the socket closes, also where we are killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Mapping

# As large as the channel's window in OpenSSH (channels.h: 64 packets of 32 KiB) is of use; the system gives less.
SOCKET_BYTES = 1024 * 1024
_PATIENCE_S = 2.0
_MOST_SAID = 64 * 1024


class Process:
    """``sock``: its channel, non-blocking. Raises OSError where the program cannot be run."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        try:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
            self._process = subprocess.Popen[bytes](
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, start_new_session=True,
                env={**os.environ, "LC_ALL": "C", **environment},
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        assert self._process.stderr is not None
        self._said = self._process.stderr
        os.set_blocking(self._said.fileno(), False)
        self.sock = ours
        self.sock.setblocking(False)

    def said(self) -> str:
        """What it printed on its standard error, once it has ended or was given a moment to."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        with contextlib.suppress(OSError, ValueError):
            return (self._said.read(_MOST_SAID) or b"").decode("utf-8", "replace")
        return ""

    def hang_up(self) -> None:
        """Let whoever waits for the channel see its end; does not wait itself."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Close the channel and wait for it to end. May be called more than once."""
        self.sock.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()


def output_of(command: list[str], timeout_s: float) -> str:
    """What a program prints on its standard output; empty where it fails, or takes longer."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout_s,
            start_new_session=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def has_aes_instructions() -> bool:
    """Whether the processor does AES by itself, as all but small ones do; taken for granted where nothing tells."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as told:
            return bool(re.search(r"\baes\b", told.read(1 << 16)))
    except OSError:
        return True
