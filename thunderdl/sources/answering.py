"""Requests and answers of protocols that have no heads of their own, in the terms of HTTP/1.1. No I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import Address

_RANGE, _WHOLE = b"R", b"W"
_DAYS, _MONTHS = "MonTueWedThuFriSatSun", "JanFebMarAprMayJunJulAugSepOctNovDec"


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A :class:`thunderdl.sources.base.Request` for one path; what range is asked for, its Transfer says."""

    address: Address

    def range(self, start: int, end: int, if_range: str | None = None) -> bytes:
        return _RANGE + self.address.target.encode()

    def whole(self) -> bytes:
        return _WHOLE + self.address.target.encode()

    def fields(self) -> list[tuple[bytes, bytes]]:
        return []


def asks_for_all(transfer: Transfer) -> bool:
    """Whether it is to be answered by 200."""
    return transfer.request.startswith(_WHOLE)


def path_asked(transfer: Transfer) -> bytes:
    """The path of a PlainRequest, decoded; begins with a slash."""
    return unquote_to_bytes(transfer.request[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a file before its first byte. ``size_bytes``: None where unsaid; ``modified``: seconds since
    1970; ``tag``: changes with every version; ``ranges``: whether any part can be had; ``type``: its media type."""

    size_bytes: int | None = None
    modified: float | None = None
    tag: str | None = None
    ranges: bool = True
    type: str | None = None


def answer(facts: Facts, transfer: Transfer) -> ResponseHead:
    """The head that an HTTP server would answer with."""
    start, size = transfer.start, facts.size_bytes
    fields = [("accept-ranges", "bytes" if facts.ranges and size is not None else "none")]
    if facts.modified is not None and facts.modified >= 0:
        fields.append(("last-modified", http_date(facts.modified)))
        fields.append(("date", http_date(time.time())))
    if facts.tag is not None:
        fields.append(("etag", f'"{facts.tag}"'))
    if facts.type is not None:
        fields.append(("content-type", facts.type))
    if asks_for_all(transfer) or not facts.ranges or not size:
        length = [("content-length", str(size))] if size is not None else []
        return _head(200, [*fields, *length])
    if start >= size:
        return _head(416, [*fields, ("content-range", f"bytes */{size}"), ("content-length", "0")])
    # Of a range that was lowered to nothing before it was answered, its first byte: a range of none cannot be written.
    end = min(max(transfer.end, start + 1), size)
    part = [("content-range", f"bytes {start}-{end - 1}/{size}"), ("content-length", str(end - start))]
    return _head(206, [*fields, *part])


def http_date(seconds: float) -> str:
    """An IMF-fixdate (RFC 9110 section 5.6.7). email.utils would cost 5 ms to import."""
    at = time.gmtime(seconds)
    day, month = _DAYS[at.tm_wday * 3 :][:3], _MONTHS[at.tm_mon * 3 - 3 :][:3]
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year:04} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"


def _head(status: int, fields: list[tuple[str, str]]) -> ResponseHead:
    raw = [(name, value.encode("latin-1", "replace")) for name, value in fields]
    return ResponseHead(
        status=status, reason=b"", http_version="1.1", fields=raw, first=dict(raw), keep_alive=True
    )  # fmt: skip
