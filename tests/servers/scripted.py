"""A server on 127.0.0.1 that says given bytes: one answer a request, chosen by the test, nothing added.

Unlike the loopback server it knows no right answer: what goes out may be no HTTP at all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

_LIMIT_BYTES = 1 << 20


class Heard(NamedTuple):
    """A request as it came: its first line in parts, its fields."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]

    def field(self, name: str) -> str | None:
        """The first value, None where there is none."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)


class Said(NamedTuple):
    """The bytes of an answer. ``close``: whether the connection ends then."""

    octets: bytes
    close: bool = True


class ScriptedServer:
    """Used as a context manager; ``requests`` are all that came, in order. ``address``: where it listens."""

    def __init__(self, answer: Callable[[Heard], Said], address: str = "127.0.0.1") -> None:
        self._answer = answer
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[Heard] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> ScriptedServer:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A listener that is only closed goes on accepting in the thread that waits for it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self._lock:
            for each in self._open:
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        try:
            while (end := buffer.find(b"\r\n\r\n")) >= 0 or (more := connection.recv(65536)):
                if end < 0:
                    buffer += more
                    assert len(buffer) < _LIMIT_BYTES
                    continue
                head, buffer = buffer[:end], buffer[end + 4 :]
                said = self._say(head)
                connection.sendall(said.octets)
                if said.close:
                    break
        except OSError:
            # The client has gone: that is its right.
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()

    def _say(self, head: bytes) -> Said:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        pairs = tuple((name, value.strip()) for name, _, value in (field.partition(":") for field in fields))
        with self._lock:
            heard = Heard(method, rest.rpartition(" ")[0], pairs)
            self.requests.append(heard)
            return self._answer(heard)
