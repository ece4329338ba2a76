"""A server of one huge file that exists nowhere: byte ``n`` is byte ``n mod 1 MiB`` of a fixed block.

    python -m tests.bench.endless PORT SIZE COUNTER_FILE

Ranges, If-Range and keep-alive; a thread for each connection; eight bytes at the head of the counter file
hold how many bytes of bodies were sent, for the benchmark to see when a client's download moves.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import socket
import sys
import threading

BLOCK_BYTES = 1 << 20
BLOCK = hashlib.shake_128(b"endless").digest(BLOCK_BYTES)
ETAG = '"endless-1"'
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d*)", re.IGNORECASE)
_IF_RANGE = re.compile(rb"\r\nif-range: *([^\r]*)", re.IGNORECASE)


class Server:
    def __init__(self, size_bytes: int, counter: mmap.mmap) -> None:
        self._size, self._counter = size_bytes, counter
        self._sent = 0
        self._lock = threading.Lock()
        self._block = memoryview(BLOCK)

    def serve(self, port: int) -> None:
        with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        waiting = b""
        with connection:
            try:
                while True:
                    while b"\r\n\r\n" not in waiting:
                        more = connection.recv(65536)
                        if not more:
                            return
                        waiting += more
                    head, _, waiting = waiting.partition(b"\r\n\r\n")
                    self._answer(connection, b"\r\n" + head)
            except OSError:
                return

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        asked = _RANGE.search(head)
        condition = _IF_RANGE.search(head)
        start, end = 0, self._size
        status = "200 OK"
        if asked and (condition is None or condition[1].decode() == ETAG):
            start = int(asked[1])
            end = min(int(asked[2]) + 1 if asked[2] else end, end)
            status = "206 Partial Content"
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {end - start}", "Accept-Ranges: bytes", f"ETag: {ETAG}"]
        if status.startswith("206"):
            lines.append(f"Content-Range: bytes {start}-{end - 1}/{self._size}")
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        if not head.startswith(b"\r\nHEAD"):
            self._send(connection, start, end)

    def _send(self, connection: socket.socket, start: int, end: int) -> None:
        at = start
        while at < end:
            inside = at % BLOCK_BYTES
            count = connection.send(self._block[inside : inside + end - at])
            at += count
            with self._lock:
                self._sent += count
                self._counter[:8] = self._sent.to_bytes(8, "little")


def main() -> None:
    port, size_bytes, counter_path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with open(counter_path, "r+b") as file, mmap.mmap(file.fileno(), 8) as counter:
        Server(size_bytes, counter).serve(port)


if __name__ == "__main__":
    main()
