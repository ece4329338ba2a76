"""A small FTP server that does what it is told, wrong things too. It knows just what a download needs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from urllib.parse import quote

from tests.servers.certificates import Identity

MDTM = b"213 20240229123456"
_CHUNK_BYTES = 16 * 1024
Reply = bytes | Callable[[bytes], bytes]


class FakeFtp:
    """``files``: by path, without a leading slash. What it does may be changed at any time:

    ``replies``: by verb, instead of its own (without the line end; a callable is given the argument).
    ``users``: None for anybody.
    ``stall_after``: bytes of each retrieval after which it waits for ``release``.
    ``cut_after``: bytes after which it closes, to say ``cut_reply``.
    ``pause_s``: between chunks of 16 KiB.
    ``more``: bytes that follow the file.
    ``has_rest``: whether REST is obeyed.
    ``most``: control connections at once; each further one is greeted with ``full``, counted in ``turned_away``,
        and sets ``release``.
    ``opens_data``: else nobody listens for the data connection.
    ``passive_host``: what PASV names.
    ``opening``: said before a file.
    ``listings``: by path, what MLSD and LIST bring; ``listed``: said behind that.
    ``commands``: what came.
    """

    def __init__(self, files: Mapping[str, bytes], *, tls: Identity | None = None) -> None:
        self.files = {quote(name).encode(): content for name, content in files.items()}
        self.replies: dict[str, Reply] = {}
        self.users: dict[str, str] | None = None
        self.stall_after: int | None = None
        self.cut_after: int | None = None
        self.cut_reply = b"426 broken"
        self.pause_s = 0.0
        self._over = threading.Event()
        self.more = b""
        self.has_rest = self.opens_data = True
        self.most, self.full, self.turned_away = 1000, b"421 too many", 0
        self.greeting, self.opening = b"220 ready", b"150 here it comes"
        self.passive_host = b"127,0,0,1"
        self.release = threading.Event()
        self.release.set()
        self.listings: dict[str, bytes] = {}
        self.listed = b"226 done"
        self.commands: list[str] = []
        self.context = tls.server_context() if tls else None
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def url(self, name: str, login: str = "") -> str:
        at = f"{login}@" if login else ""
        return f"{'ftpes' if self.context else 'ftp'}://{at}127.0.0.1:{self.port}/{quote(name)}"

    def __enter__(self) -> FakeFtp:
        self._threads[0].start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release.set()
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for sock in list(self._open):
            self.hang_up(sock)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def count(self, verb: str) -> int:
        return sum(command.split(" ")[0] == verb for command in self.commands)

    def hang_up_all(self) -> None:
        """Close every control connection."""
        for sock in list(self._open):
            self.hang_up(sock)

    def pause(self) -> None:
        """Wait as long as ``pause_s`` says."""
        self._over.wait(self.pause_s)

    @staticmethod
    def hang_up(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        self._open.add(sock)
        try:
            _Dialogue(self, sock).run(is_full=len(self._open) > self.most)
        except OSError:
            pass
        finally:
            self._open.discard(sock)
            self.hang_up(sock)
            sock.close()


class _Dialogue:
    """One control connection."""

    def __init__(self, server: FakeFtp, sock: socket.socket) -> None:
        self._server, self._sock = server, sock
        self._buffer, self._user, self._rest = b"", "", 0
        self._listening: socket.socket | None = None

    def run(self, *, is_full: bool) -> None:
        if is_full:
            self._server.turned_away += 1
            self._server.release.set()
        self._say(self._server.full if is_full else self._server.greeting)
        try:
            while not is_full and (line := self._line()) is not None:
                verb, _, argument = line.partition(b" ")
                self._server.commands.append(line.decode("latin-1"))
                self._obey(verb.decode("latin-1").upper(), argument)
        finally:
            self._stop_listening()
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.close()

    def _line(self) -> bytes | None:
        while b"\r\n" not in self._buffer:
            part = self._sock.recv(4096)
            if not part:
                return None
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _say(self, reply: bytes) -> None:
        self._sock.sendall(reply + b"\r\n")

    def _obey(self, verb: str, argument: bytes) -> None:
        if (told := self._server.replies.get(verb)) is not None:
            self._say(told if isinstance(told, bytes) else told(argument))
        elif verb == "RETR":
            self._retrieve(argument)
        elif verb in ("MLSD", "LIST"):
            self._list(self._server.listings.get(argument.decode()))
        else:
            self._say(self._reply(verb, argument))
            if verb == "AUTH" and self._server.context is not None:
                self._sock = self._server.context.wrap_socket(self._sock, server_side=True)

    def _reply(self, verb: str, argument: bytes) -> bytes:
        content = self._server.files.get(quote(argument).encode())
        if verb == "USER":
            self._user = argument.decode()
            return b"331 and the password?"
        if verb == "PASS":
            users = self._server.users
            return b"230 in" if users is None or users.get(self._user) == argument.decode() else b"530 no"
        if verb == "REST" and self._server.has_rest:
            self._rest = int(argument)
            return b"350 go on"
        if verb in ("SIZE", "MDTM") and content is not None:
            return (b"213 %d" % len(content)) if verb == "SIZE" else MDTM
        if verb == "AUTH":
            return b"234 go on" if self._server.context else b"502 no"
        if verb in ("SIZE", "MDTM", "CWD"):
            return b"550 no"
        if verb in ("EPSV", "PASV"):
            return self._listen(verb)
        return b"200 so be it" if verb in ("TYPE", "PBSZ", "PROT", "OPTS") else b"502 what?"

    def _listen(self, verb: str) -> bytes:
        self._stop_listening()
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        if not self._server.opens_data:
            self._stop_listening()
        if verb == "EPSV":
            return b"229 there (|||%d|)" % port
        return b"227 there (%b,%d,%d)" % (self._server.passive_host, *divmod(port, 256))

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _retrieve(self, path: bytes) -> None:
        content, start = self._server.files.get(quote(path).encode()), self._rest
        self._rest = 0
        if content is None or self._listening is None:
            self._say(b"550 no")
            return
        self._listening.settimeout(5)
        plain, _ = self._listening.accept()
        with plain:
            # Nobody may be there any more to hear it.
            self._say(self._server.opening)
            with self._secured(plain) as data:
                try:
                    reply = self._send(data, content[start:] + self._server.more)
                except OSError:
                    reply = b"426 you hung up"
        self._say(reply)

    def _list(self, listing: bytes | None) -> None:
        if listing is None or self._listening is None:
            self._say(b"550 no")
            return
        self._listening.settimeout(5)
        data, _ = self._listening.accept()
        self._say(self._server.opening)
        with contextlib.closing(data), contextlib.suppress(OSError):
            data.sendall(listing)
        self._say(self._server.listed)

    def _secured(self, plain: socket.socket) -> socket.socket:
        context = self._server.context
        return plain if context is None else context.wrap_socket(plain, server_side=True)

    def _send(self, data: socket.socket, content: bytes) -> bytes:
        server = self._server
        for at in range(0, len(content), _CHUNK_BYTES):
            part = content[at : at + _CHUNK_BYTES]
            if server.cut_after is not None and at + len(part) > server.cut_after:
                data.sendall(part[: server.cut_after - at])
                return server.cut_reply
            if server.stall_after is not None and at >= server.stall_after:
                server.release.wait()
            data.sendall(part)
            if server.pause_s:
                server.pause()
        if isinstance(data, ssl.SSLSocket):
            data.unwrap()
        return b"226 done"
