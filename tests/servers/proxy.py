"""A tiny HTTP proxy for tests: absolute-form requests and CONNECT tunnels, on 127.0.0.1, logged.

It must not sleep, and leaves nothing behind: ``close`` ends every tunnel and joins every thread.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import TracebackType
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"


class ProxyServer:
    """Forwards while used as a context manager.

    ``heads``: the head of every request made to the proxy itself, as text. ``password``: ``user:password`` in
    base64 that it wants, None for none. ``refuses``: answer CONNECT with 403. ``tls``: context to be spoken to by TLS.
    """

    def __init__(
        self, *, password: str | None = None, refuses: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:  # fmt: skip
        self.heads: list[str] = []
        self._password, self._refuses, self._tls = password, refuses, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stop, self._stopped = socket.socketpair()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> ProxyServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()
        for thread in list(self._threads):
            thread.join()
        self._stopped.close()

    def _start(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while self._listener in self._readable(self._listener):
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _readable(self, *socks: socket.socket) -> list[socket.socket]:
        """Those that can be read, none once the proxy is to stop."""
        ready, _, _ = select.select([self._stopped, *socks], [], [])
        return [] if self._stopped in ready else ready

    def _serve(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError), self._secured(plain) as client:
            while head := self._head(client):
                method, target, _ = head.split("\r\n", 1)[0].split(" ")
                self.heads.append(head)
                if self._password and f"Proxy-Authorization: Basic {self._password}".lower() not in head.lower():
                    client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                elif method == "CONNECT":
                    self._tunnel(client, target)
                    return
                else:
                    self._forward(client, head, target)
                    return

    def _secured(self, client: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(client, server_side=True) if self._tls else client

    def _head(self, client: socket.socket) -> str:
        data = b""
        while _HEAD_END not in data:
            part = client.recv(65536) if self._readable(client) else b""
            if not part:
                return ""
            data += part
        return data.decode("latin-1")

    def _tunnel(self, client: socket.socket, target: str) -> None:
        if self._refuses:
            client.sendall(b"HTTP/1.1 403 Not for you\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            self._relay(client, server)

    def _forward(self, client: socket.socket, head: str, target: str) -> None:
        """One request for each connection is enough here: the answer says to close."""
        parts = urlsplit(target)
        lines = head.split("\r\n")
        kept = [line for line in lines[1:] if line and not line.lower().startswith(("proxy-", "connection:"))]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        method = lines[0].split(" ")[0]
        with socket.create_connection((parts.hostname or "", parts.port or 80)) as server:
            server.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode())
            self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while ready := self._readable(client, server):
            for sock in ready:
                # What TLS has decrypted already no select speaks of.
                while True:
                    part = sock.recv(65536)
                    if not part:
                        return
                    other[sock].sendall(part)
                    if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                        break
