"""A server that speaks HTTP/2 as a test wants it, right or wrong. It serves one file, whatever the path."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.servers.certificates import Identity

_FRAME_BYTES = 16_384
Fields = dict[str, str]


class Talk:
    """One connection; ``number``: how many there were before it."""

    def __init__(self, sock: ssl.SSLSocket, content: bytes, number: int) -> None:
        self.sock, self.content, self.number = sock, content, number
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def part(self, asked: Fields) -> tuple[Fields, bytes]:
        """Head and body of the right answer."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.get("range", ""))
        if found is None:
            return {":status": "200", "content-length": str(len(self.content)), "etag": '"1"'}, self.content
        start, end = int(found[1]), min(int(found[2]) + 1, len(self.content))
        stated = {"content-range": f"bytes {start}-{end - 1}/{len(self.content)}", "content-length": str(end - start)}
        return {":status": "206", "etag": '"1"', **stated}, self.content[start:end]

    def head(self, stream: int, fields: Fields, *, ends: bool = False) -> None:
        self.h2.send_headers(stream, list(fields.items()), end_stream=ends)
        self.flush()

    def body(self, stream: int, content: bytes, *, ends: bool = True, padding: int | None = None) -> None:
        """It has to fit in the client's window."""
        for at in range(0, len(content), _FRAME_BYTES - 256):
            self.h2.send_data(stream, content[at : at + _FRAME_BYTES - 256], pad_length=padding)
        if ends:
            self.h2.end_stream(stream)
        self.flush()


Behaviour = Callable[[Talk, int, Fields], None]


def well(talk: Talk, stream: int, asked: Fields) -> None:
    head, content = talk.part(asked)
    talk.head(stream, head)
    talk.body(stream, content)


class FakeHttp2:
    """``behaviour``: answers each request; ``asked``: the fields of those that came, ``connections``: how many."""

    def __init__(self, identity: Identity, content: bytes, behaviour: Behaviour = well) -> None:
        self.content, self.behaviour = content, behaviour
        self.asked: list[Fields] = []
        self.connections = 0
        self._context = identity.server_context()
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}/f"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> FakeHttp2:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                self._open.append(plain)
                self._start(lambda plain=plain: self._serve(plain))  # type: ignore[misc]

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
            self._open.append(sock)
            if sock.selected_alpn_protocol() != "h2":
                self._serve_http1(sock)
                return
            talk = Talk(sock, self.content, self.connections)
            self.connections += 1
            talk.h2.initiate_connection()
            talk.flush()
            while raw := sock.recv(65_536):
                for event in talk.h2.receive_data(raw):
                    if isinstance(event, RequestReceived) and event.stream_id is not None:
                        fields = {str(name): str(value) for name, value in event.headers or ()}
                        self.asked.append(fields)
                        self.behaviour(talk, event.stream_id, fields)
                talk.flush()

    def _serve_http1(self, sock: ssl.SSLSocket) -> None:
        """All of it to whoever asks."""
        raw = b""
        while b"\r\n\r\n" not in raw and (more := sock.recv(65_536)):
            raw += more
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.content), self.content))
