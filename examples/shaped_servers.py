"""HTTP servers of unequal speed and honesty on loopback, for the demonstration; all in one process.

Run as ``shaped_servers.py FILE SPECS``; SPECS is JSON, a list of objects with ``rate`` (bytes a second) and
``dies_after``, ``lies_after`` (bytes sent, null: never). Prints the ports as a JSON list, then, for each line on
stdin, the bytes sent by each server; ends when stdin ends, so it cannot outlive its parent.
"""

from __future__ import annotations

import json
import mmap
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

BLOCK_BYTES = 256 * 1024
TICK_S = 0.02
WRONG = bytes(byte ^ 0xFF for byte in range(256))
RANGE = re.compile(rb"(?im)^range: *bytes=(\d+)-(\d*)\r?$")


class ShapedServer:
    """One server. Its rate is shared by all its connections."""

    def __init__(self, content: memoryview, rate: int, dies_after: int | None, lies_after: int | None) -> None:
        self.content, self.rate, self.dies_after, self.lies_after = content, rate, dies_after, lies_after
        self.sent_bytes = 0
        self.dead = False
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError), self._listener:
            while not self.dead:
                sock, _ = self._listener.accept()
                self._open.add(sock)
                threading.Thread(target=self._converse, args=(sock,), daemon=True).start()

    def _converse(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for head in _heads(sock):
                self._answer(sock, head)
            if self.dead:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._open.discard(sock)

    def _answer(self, sock: socket.socket, head: bytes) -> None:
        size = len(self.content)
        match = RANGE.search(head)
        start = int(match[1]) if match else 0
        end = min(size, int(match[2]) + 1) if match and match[2] else size
        status = "206 Partial Content" if match else "200 OK"
        if start >= end:
            status, start, end = "416 Range Not Satisfiable", 0, 0
        where = f"bytes {start}-{end - 1}/{size}" if end else f"bytes */{size}"
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {end - start}", "Accept-Ranges: bytes", 'ETag: "demo"']
        lines += [f"Content-Range: {where}"] if match else []
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        if not head.startswith(b"HEAD "):
            self._send(sock, start, end)

    def _send(self, sock: socket.socket, start: int, end: int) -> None:
        step = max(4096, min(BLOCK_BYTES, int(self.rate * TICK_S)))
        for at in range(start, end, step):
            block: memoryview | bytes = self.content[at : min(at + step, end)]
            if self.lies_after is not None and self.sent_bytes >= self.lies_after:
                block = bytes(block).translate(WRONG)
            time.sleep(self._book(len(block)))
            if self.dead:
                raise ConnectionAbortedError
            sock.sendall(block)

    def _book(self, count: int) -> float:
        """Take ``count`` bytes from the budget; the seconds to wait before sending them."""
        with self._lock:
            now = time.monotonic()
            begin = max(self._free_at, now)
            self._free_at = begin + count / self.rate
            self.sent_bytes += count
            if self.dies_after is not None and self.sent_bytes >= self.dies_after and not self.dead:
                self._die()
            return begin - now

    def _die(self) -> None:
        self.dead = True
        for sock in [self._listener, *self._open]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _heads(sock: socket.socket) -> Iterator[bytes]:
    """The requests of a connection, one after another."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            more = sock.recv(65536)
            if not more:
                return
            buffer += more
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        yield head + b"\r\n"


def main(path: str, specs: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our stdin
    with open(path, "rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    servers = [ShapedServer(content, **spec) for spec in json.loads(specs)]
    print(json.dumps([server.port for server in servers]), flush=True)
    for _ in sys.stdin:
        print(json.dumps([server.sent_bytes for server in servers]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
