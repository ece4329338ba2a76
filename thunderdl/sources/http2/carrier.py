"""Carriers whose transfers are streams of HTTP/2 connections: the requests and answers are those of HTTP/1.1."""

from __future__ import annotations

from thunderdl.errors import BadResponse, ConnectionLost
from thunderdl.sources.base import OnDisk
from thunderdl.sources.carrying import CallCarrier
from thunderdl.sources.http.head import ResponseHead, names_archive
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http2.line import Line
from thunderdl.sources.http2.stream import Stream

# Of the connection, not of the request (RFC 9113 section 8.2.2); Host becomes :authority.
_LEFT_OUT = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te"}
)


class Requests:
    """A :class:`thunderdl.sources.carrying.Origin`: one stream after another."""

    def __init__(self, line: Line) -> None:
        self._line, self._left = line, False
        self._stream: Stream | None = None

    async def head(self, transfer: Transfer) -> ResponseHead:
        self.end_stream()
        self._stream = Stream(self._line, fields_of(transfer.request))
        return head_of(await self._stream.head(), transfer.request)

    async def read(self, position: int, most_bytes: int) -> bytes:
        if self._stream is None:
            raise ConnectionLost("", "closed")
        return await self._stream.read(most_bytes)

    def end_stream(self) -> None:
        """Nothing more of the last answer is wanted."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abandon()

    def close(self) -> None:
        self.end_stream()
        if not self._left:
            self._left = True
            self._line.leave()


class StreamCarrier(CallCarrier):
    """One of those that share ``line``. ``peer``: the address at its other end."""

    def __init__(self, line: Line, on_disk: OnDisk, peer: str) -> None:
        self._requests = Requests(line)
        super().__init__(self._requests, on_disk)
        line.users += 1
        self.peer = peer

    def _end(self, transfer: Transfer, *, is_whole: bool) -> None:
        # A range that was cut short would fill its window in vain.
        self._requests.end_stream()
        super()._end(transfer, is_whole=is_whole)


def fields_of(request: bytes) -> list[tuple[bytes, bytes]]:
    """The head of an HTTP/1.1 request to an https origin, as HTTP/2 sends it."""
    line, *rest = request.split(b"\r\n")
    method, target, _ = line.split(b" ", 2)
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (field.partition(b":") for field in rest)]
    # Where the user gave one of his own, that is the last.
    host = [value for name, value in pairs if name == b"host"][-1]
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", host), (b":path", target)]
    return pseudo + [(name, value) for name, value in pairs if name and name not in _LEFT_OUT]


def head_of(fields: list[tuple[bytes, bytes]], request: bytes) -> ResponseHead:
    """The head of an answer. Raises BadResponse."""
    status = next((value for name, value in fields if name == b":status"), b"")
    if not (len(status) == 3 and status.isdigit()):
        raise BadResponse("", "the answer has no status")
    named = [(name.decode("latin-1"), value) for name, value in fields if not name.startswith(b":")]
    first: dict[str, bytes] = {}
    for name, value in named:
        first.setdefault(name, value)
    return ResponseHead(
        status=int(status), reason=b"", http_version="2", fields=named, first=first, keep_alive=True,
        names_archive=names_archive(request),
    )  # fmt: skip
