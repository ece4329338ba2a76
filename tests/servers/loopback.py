"""An HTTP/1.1 server on 127.0.0.1 for tests: right by default, wrong byte by byte where a test asks for it.

It must not sleep where an event will do, and leaves nothing behind: ``close`` joins every thread.
Invariants: the log and the counters change only under ``_lock``; answers of one connection go out in the
order of its requests (pipelining, RFC 9112 section 9.3.2).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from tests.servers.exchange import Behaviour, Reply, Request, Resource, Step, answer, generated, plain
from tests.servers.limits import TICK_S, Limits, Pace
from tests.servers.wire import Alarm, PeerGone, Stopped, Wire

__all__ = ["Limits", "LoopbackServer", "Request", "Resource", "generated"]

_HEAD_LIMIT_BYTES = 1 << 20
AHEAD_BYTES, PART_BYTES = 256 * 1024, 64 * 1024


class _End(Exception):
    """The plan says to end the connection here. ``args[0]``: how."""


class LoopbackServer:
    """Serves ``resources`` (path to :class:`Resource`, may be changed at any time) while used as a context manager.

    ``requests``: every request in order; ``answered``: how many of them have had all that they will get. ``sent``:
    bytes of bodies by path. ``release``: event that ends all stalls. ``waits_until``: before it holds no more than
    AHEAD_BYTES of a path go out. ``address``: of this machine. ``tls``: context for https. ``behaviour``: applies to
    every path, after the resource's own. ``connections``: accepted in all; ``peak_connections``: most at once;
    ``tls_failures``: refused handshakes.
    """

    def __init__(
        self,
        resources: dict[str, Resource] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        behaviour: Behaviour | None = None,
        limits: Limits | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.address = address
        self.resources = {} if resources is None else resources
        self.behaviour = behaviour
        self.limits = limits or Limits()
        self.requests: list[Request] = []
        self.answered = 0
        self.sent: Counter[str] = Counter()
        self.release = threading.Event()
        self.waits_until: Callable[[], bool] | None = None
        self.connections = 0
        self.peak_connections = 0
        self.tls_failures: list[str] = []
        self.port = 0
        self.alive = False
        self._tls = tls
        self._pace = Pace(self.limits.rate_bytes_per_s)
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._open: set[int] = set()
        self._seated: set[int] = set()
        self._numbers: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []
        self._alarms: list[Alarm] = []
        self._stop_listening: Alarm | None = None
        self._stop_serving: Alarm | None = None

    def __enter__(self) -> LoopbackServer:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def origin(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://{self.address}:{self.port}"

    def url(self, path: str) -> str:
        return self.origin + path

    @property
    def total_sent(self) -> int:
        """Bytes of bodies sent in all."""
        with self._lock:
            return sum(self.sent.values())

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def wait_for(self, claim: Callable[[LoopbackServer], bool], timeout_s: float = 30.0) -> None:
        """Return as soon as the claim holds, looked at after each request, block and close; else AssertionError."""
        with self._idle:
            assert self._idle.wait_for(lambda: claim(self), timeout_s), "the server never got there"

    def come_back(self) -> None:
        """Listen, on the same port as before if there was one."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.address, self.port))
        listener.listen(512)
        listener.setblocking(False)
        with self._lock:
            self.port = listener.getsockname()[1]
            self._stop_listening = self._new_alarm()
            if self._stop_serving is None or self._stop_serving.rung:
                self._stop_serving = self._new_alarm()
            self.alive = True
            self._start(self._accept, listener, self._stop_listening, self._stop_serving)

    def refuse(self) -> None:
        """Stop listening; connections that are open go on. Returns once new ones are refused."""
        with self._idle:
            if self._stop_listening is not None:
                self._stop_listening.ring()
            self._idle.wait_for(lambda: not self.alive, 5.0)

    def die(self) -> None:
        """Stop listening and reset every connection."""
        with self._lock:
            for alarm in (self._stop_listening, self._stop_serving):
                if alarm is not None:
                    alarm.ring()
        self.refuse()
        with self._idle:
            self._idle.wait_for(lambda: not self._open, 5.0)

    def close(self) -> None:
        """Stop, and join every thread."""
        self.release.set()
        self.die()
        for thread in list(self._threads):
            thread.join()
        for alarm in self._alarms:
            alarm.close()
        self._alarms.clear()

    def _new_alarm(self) -> Alarm:
        self._alarms.append(Alarm())
        return self._alarms[-1]

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, stop: Alarm, stop_serving: Alarm) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(stop, select.POLLIN)
        with listener:
            while poll.poll() and not stop.rung:
                with contextlib.suppress(OSError):
                    sock, _ = listener.accept()
                    self._admit(sock, stop_serving)
        with self._idle:
            self.alive = False
            self._idle.notify_all()

    def _admit(self, sock: socket.socket, stop_serving: Alarm) -> None:
        wire = Wire(sock, stop_serving, self._tls)
        with self._lock:
            self.connections += 1
            self._open.add(self.connections)
            self.peak_connections = max(self.peak_connections, len(self._open))
            self._start(_Connection(self, wire, self.connections).run)

    # What connections call.

    def log(self, connection: int, head: bytes) -> Request:
        """Note a request. ValueError where the head is not one."""
        line, *fields = head.decode("latin-1").split("\r\n")
        method, path, version = line.split(" ")
        headers = [(name, value.strip()) for name, _, value in (text.partition(":") for text in fields)]
        with self._idle:
            self._numbers[path] += 1
            request = Request(
                method=method, path=path, version=version, headers=headers, connection=connection,
                order=len(self.requests) + 1, number=self._numbers[path],
            )  # fmt: skip
            self.requests.append(request)
            self._idle.notify_all()
        return request

    def reply_to(self, request: Request) -> Reply:
        """The plan for an answer, all behaviours applied."""
        resource = self.resources.get(request.path)
        if not self._seat(request.connection):
            return plain(429)
        if request.method not in ("GET", "HEAD"):
            return plain(501)
        reply = plain(404) if resource is None else answer(request, resource)
        for behaviour in (resource and resource.behaviour, self.behaviour):
            reply = behaviour(request, reply) if behaviour else reply
        return reply

    def is_ahead(self, path: str) -> bool:
        """Whether it has something to wait for."""
        return self.waits_until is not None and self.sent[path] >= AHEAD_BYTES and not self.waits_until()

    def allowance(self, wanted_bytes: int) -> int:
        """How much of a block may still be sent before the server dies, also bounded by the pace."""
        left = self.limits.dies_at_bytes
        paced = min(wanted_bytes, self._pace.block_bytes())
        return paced if left is None else min(paced, left - self.total_sent)

    def count(self, path: str, sent_bytes: int) -> float:
        """Add to the books; how long to pause for the pace. Dies here once the limit is reached."""
        with self._idle:
            self.sent[path] += sent_bytes
            self._idle.notify_all()
            limit = self.limits.dies_at_bytes
            if limit is not None and self.total_sent >= limit and self._stop_serving and self._stop_listening:
                self._stop_listening.ring()
                self._stop_serving.ring()
        return self._pace.delay_s(sent_bytes)

    def note_answered(self) -> None:
        with self._idle:
            self.answered += 1
            self._idle.notify_all()

    def leave(self, connection: int) -> None:
        with self._idle:
            self._open.discard(connection)
            self._seated.discard(connection)
            self._idle.notify_all()

    def _seat(self, connection: int) -> bool:
        with self._lock:
            if self.limits.connections is None or len(self._seated | {connection}) <= self.limits.connections:
                self._seated.add(connection)
                return True
            return False


def in_step(*servers: LoopbackServer) -> None:
    """None of them gets far before each has sent a part: on a slow machine one alone had brought all."""

    def have_begun() -> bool:
        return all(server.total_sent >= PART_BYTES for server in servers)

    for server in servers:
        server.waits_until = have_begun


class _Connection:
    """Serves one connection in its own thread."""

    def __init__(self, server: LoopbackServer, wire: Wire, number: int) -> None:
        self._server, self._wire, self._number = server, wire, number
        self._buffer = b""
        self._pace = Pace(server.limits.connection_rate_bytes_per_s)

    def run(self) -> None:
        # The seat is given up before the client can see the close and come again; but after a reset by the
        # server itself, so that `die` returns when all is over.
        try:
            self._wire.handshake()
            self._converse()
        except Stopped:
            self._wire.reset(flush=False)
            self._server.leave(self._number)
        except ssl.SSLError as error:
            self._server.tls_failures.append(str(error))
            self._leave(self._wire.drop)
        except _End as end:
            self._leave(self._wire.reset if end.args[0] is Step.RESET else self._wire.close)
        except (PeerGone, OSError):
            self._leave(self._wire.drop)
        else:
            self._leave(self._wire.close)

    def _leave(self, close: Callable[[], None]) -> None:
        self._server.leave(self._number)
        close()

    def _converse(self) -> None:
        served = 0
        while (head := self._read_head()) is not None:
            request = self._server.log(self._number, head)
            self._skip_body(request)
            if self._server.limits.latency_s:
                self._wire.pause(self._server.limits.latency_s)
            reply = self._server.reply_to(request)
            served += 1
            reply.close = reply.close or self._is_last(request, served)
            if reply.close and reply.head is None:
                reply.header("Connection", "close")
            try:
                self._send(request, reply)
            finally:
                self._server.note_answered()
            if reply.close:
                return

    def _is_last(self, request: Request, served: int) -> bool:
        most = self._server.limits.requests_per_connection
        asked = (request.header("Connection") or "").lower() == "close" or request.version != "HTTP/1.1"
        return asked or (most is not None and served >= most)

    def _read_head(self) -> bytes | None:
        """The next request's head, None at the end of the stream."""
        while b"\r\n\r\n" not in self._buffer:
            more = self._wire.receive()
            if not more or len(self._buffer) > _HEAD_LIMIT_BYTES:
                return None
            self._buffer += more
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def _skip_body(self, request: Request) -> None:
        left = int(request.header("Content-Length") or 0)
        while len(self._buffer) < left:
            more = self._wire.receive()
            if not more:
                raise PeerGone
            self._buffer += more
        self._buffer = self._buffer[left:]

    def _send(self, request: Request, reply: Reply) -> None:
        for part in reply.head_blocks():
            if isinstance(part, Step):
                self._take(part)
            else:
                self._wire.send_all(part)
        if request.method == "HEAD" or reply.status in (204, 304):
            return
        for block in reply.blocks:
            if isinstance(block, Step):
                self._take(block)
            else:
                self._send_block(request.path, memoryview(block))

    def _take(self, step: Step) -> None:
        if step is not Step.STALL:
            raise _End(step)
        while not self._server.release.is_set():
            self._wire.pause(TICK_S)

    def _send_block(self, path: str, rest: memoryview) -> None:
        while rest:
            while self._server.is_ahead(path):
                self._wire.pause(TICK_S)
            allowed = self._server.allowance(min(len(rest), self._pace.block_bytes()))
            if allowed <= 0:
                raise Stopped
            sent = self._wire.send(rest[:allowed])
            delay_s = max(self._server.count(path, sent), self._pace.delay_s(sent))
            if delay_s > 0:
                self._wire.pause(delay_s)
            rest = rest[sent:]
