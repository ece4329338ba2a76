"""Heads of HTTP/1.1 responses: parsed by llhttp (httptools), judged against what was asked. No I/O.

Judging happens in the mover thread, before one byte of the body is written: bytes of another version, of
another offset or of an error page never reach the part file (bad-input cases: 200 to a range, a wrong
Content-Range, another ETag, a coded body).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import httptools

from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    ContentChanged,
    NotFound,
    RangesUnsupported,
    ServerBusy,
    SourceError,
)  # fmt: skip
from thunderdl.formats.http_headers import (
    parse_content_length,
    parse_content_range,
    parse_unsatisfied_range,
    retry_after_s,
)
from thunderdl.model import Validators

# curl stops at 300 KiB of head, httpcore at 100 KiB; no honest server needs more.
MAX_HEAD_BYTES = 100 * 1024
_ARCHIVES = (b".gz", b".tgz", b".svgz")
_TAG_OF_DATE = r'"[0-9a-f]{1,16}-[0-9a-f]{1,16}"'
# A bare LF ends a line, too (RFC 9112 section 2.2): small devices and old scripts send it, browsers and curl take it.
END_OF_HEAD = re.compile(rb"\n\r?\n")


@dataclass(slots=True, kw_only=True)
class ResponseHead:
    """One parsed head. ``fields``: names in lower case, values as received, in order; ``first``: the first of each.

    ``names_archive``: the request's path ends as compressed files do.
    """

    status: int
    reason: bytes
    http_version: str
    fields: list[tuple[str, bytes]]
    first: dict[str, bytes]
    keep_alive: bool
    names_archive: bool = False

    def get(self, name: str) -> str | None:
        """The first value of the field, decoded as Latin-1 (RFC 9110 section 5.5), or None."""
        value = self.first.get(name)
        return None if value is None else value.decode("latin-1")

    def raw(self, name: str) -> bytes | None:
        return self.first.get(name)

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.fields if key == name]

    @property
    def validators(self) -> Validators:
        """As sent, but for a file of this very second: it may change once more within it, and the date would not
        show that (RFC 9110 section 8.8.2.2), nor would a tag that is made of the date and the size, as nginx's is."""
        etag, modified = self.get("etag"), self.get("last-modified")
        if modified is None or modified != self.get("date"):
            return Validators(etag=etag, last_modified=modified)
        return Validators(etag=f"W/{etag}" if etag and re.fullmatch(_TAG_OF_DATE, etag) else etag)

    @property
    def chunked(self) -> bool:
        return (self.get("transfer-encoding") or "").lower().strip().endswith("chunked")

    @property
    def coded(self) -> bool:
        """Whether the body is content-coded although identity was asked for.

        A server that calls ``x.tar.gz`` a tar in gzip coding means the file itself: browsers keep it as sent, too.
        """
        coding = (self.get("content-encoding") or "identity").strip().lower()
        return coding not in ("", "identity") and not (self.names_archive and coding in ("gzip", "x-gzip"))

    @property
    def content_length(self) -> int | None:
        """Raises ValueError for a length that is no length."""
        return parse_content_length(self.all("content-length"))

    @property
    def total_bytes(self) -> int | None:
        """The size of the whole, from Content-Range or from the length of a 200; None where unsaid."""
        if self.status == 416:
            return parse_unsatisfied_range(self.get("content-range") or "")
        if self.status == 206:
            found = parse_content_range(self.get("content-range") or "")
            return found.total if found else None
        return self.content_length if self.status == 200 and not self.coded else None

    @property
    def total_unsaid(self) -> bool:
        """Whether a Content-Range tells where the part lies, and not how large the whole is."""
        found = parse_content_range(self.get("content-range") or "")
        return found is not None and found.total is None


class _Fields:
    """What httptools calls back."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, bytes]] = []
        self.first: dict[str, bytes] = {}
        self.reason = b""
        self.body: list[bytes] = []
        self.complete = False

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.decode("latin-1").lower()
        self.fields.append((lower, value))
        self.first.setdefault(lower, value)

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        self.complete = True


class Parser:
    """One response: its head, and its body where that is chunked. Raises BadResponse for what is no HTTP."""

    __slots__ = ("_callbacks", "_parser", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self._callbacks = _Fields()
        self._parser = httptools.HttpResponseParser(self._callbacks)
        # "Dangerous" where messages are passed on and another reader may see other borders; here nothing is.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)

    def head(self, raw: bytes, request: bytes) -> ResponseHead:
        """``raw``: up to and with the empty line; ``request``: what it answers."""
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserError as error:
            raise BadResponse(self.url, f"the answer is no HTTP ({_first_line(error)})") from None
        head = ResponseHead(
            status=self._parser.get_status_code(),
            reason=self._callbacks.reason,
            http_version=self._parser.get_http_version(),
            fields=self._callbacks.fields,
            first=self._callbacks.first,
            keep_alive=bool(self._parser.should_keep_alive()),
            names_archive=names_archive(request),
        )
        if [coding.strip().lower() for coding in head.all("transfer-encoding")] not in ([], ["chunked"]):
            # We send no TE: nothing but chunked may come (RFC 9112 section 7.4), and nothing else is undone here.
            raise BadResponse(self.url, "the answer has a transfer coding that was not asked for")
        return head

    def chunked_body(self, raw: memoryview) -> tuple[bytes, bool]:
        """The content in ``raw``, and whether the last chunk was seen."""
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserError as error:
            raise BadResponse(self.url, f"the chunked body is broken ({_first_line(error)})") from None
        parts, self._callbacks.body = self._callbacks.body, []
        return b"".join(parts), self._callbacks.complete


def names_archive(request: bytes) -> bool:
    """Whether the path asked for ends as compressed files do."""
    return request.split(b" ", 2)[1].partition(b"?")[0].lower().endswith(_ARCHIVES)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:100]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a lane's answer must be: the version begun, and its size."""

    url: str
    version: Version
    date_now: float = 0.0


def status_fault(url: str, head: ResponseHead, date_now: float) -> SourceError | None:
    """The error that a status stands for; None for 200, 206 and redirects."""
    fault = _status_fault(url, head, date_now)
    if fault is not None:
        fault.status = head.status
    if isinstance(fault, AccessDenied):
        fault.challenges = tuple(head.all("www-authenticate"))
    return fault


def _status_fault(url: str, head: ResponseHead, date_now: float) -> SourceError | None:
    status = head.status
    if status in (200, 206) or 300 <= status < 400:
        return None
    if status in (404, 410):
        return NotFound(url, f"not found (the server answered {status})")
    if status in (401, 402, 403, 407, 451):
        return AccessDenied(url, f"access denied (the server answered {status})", _ADVICE.get(status, ""))
    if status in (408, 425, 429) or 500 <= status < 600:
        wait = head.get("retry-after")
        return ServerBusy(url, status, retry_after_s(wait, date_now) if wait else None)
    return BadResponse(url, f"the server answered {status}")


_ADVICE = {
    401: "give a user name with --user, its password with --ask-password, --password-file or --netrc, or a token with "
    "THUNDERDL_TOKEN",
    403: "the link may need cookies (--cookies), a header, or a fresh copy of itself",
    407: "give the proxy's user name and password in --proxy",
}


class Body(NamedTuple):
    """What follows the head: ``start``: offset in the file; ``length`` in bytes, None where it must show itself."""

    start: int
    length: int | None
    chunked: bool


def judge(head: ResponseHead, start: int, end: int, expected: Expectation) -> Body:
    """The body of an accepted answer to ``[start, end)``; raises what is wrong with it otherwise."""
    url = expected.url
    if fault := status_fault(url, head, expected.date_now):
        raise fault
    if 300 <= head.status < 400:
        raise BadResponse(url, f"the server now redirects ({head.status})")
    if head.coded:
        raise BadResponse(url, "the body is compressed although identity was asked for")
    check_version(head, expected)
    if head.status == 206:
        return _partial(head, start, end, url)
    if start != 0:
        raise RangesUnsupported(url, "the server sent the whole file instead of a range")
    return Body(0, _length(head, url), head.chunked)


def check_opening(head: ResponseHead, start: int | None, end: int, url: str) -> None:
    """Raise BadResponse where a first answer is not to ``[start, end)``, or to no range (``start`` None)."""
    if head.status != 206 or head.coded:
        return
    if start is None:
        raise BadResponse(url, "sent a part although all was asked for")
    _partial(head, start, end, url)


def check_version(head: ResponseHead, expected: Expectation) -> None:
    """Raise ContentChanged where the answer is certainly of another version."""
    seen = Version(size=_total(head, expected.url), validators=head.validators)
    if compare(expected.version, seen) is Verdict.DIFFERENT:
        raise ContentChanged(expected.url, str(expected.version), str(seen))


def _partial(head: ResponseHead, start: int, end: int, url: str) -> Body:
    found = parse_content_range(head.get("content-range") or "")
    if found is None:
        raise BadResponse(url, "206 without a usable Content-Range")
    length = found.end - found.start
    stated = _length(head, url)
    if found.start != start or found.end > end or (stated is not None and stated != length):
        raise BadResponse(url, f"asked for bytes {start}-{end - 1}, was sent {found.start}-{found.end - 1}")
    return Body(start, length, head.chunked)


def _total(head: ResponseHead, url: str) -> int | None:
    try:
        return head.total_bytes
    except ValueError as error:
        raise BadResponse(url, str(error)) from None


def _length(head: ResponseHead, url: str) -> int | None:
    if head.chunked:
        return None
    try:
        return head.content_length
    except ValueError as error:
        raise BadResponse(url, str(error)) from None
