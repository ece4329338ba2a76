"""Heads of HTTP/1.1 and of HTTP/2, one from the other."""

from __future__ import annotations

import pytest

from thunderdl.errors import BadResponse
from thunderdl.sources.http.wire import build_request, parse_url
from thunderdl.sources.http2.carrier import fields_of, head_of

REQUEST = build_request(parse_url("https://example.org:444/a%20b.gz?c"), [("X-Mine", "a: b"), ("TE", "trailers")])


def test_a_request() -> None:
    assert fields_of(REQUEST.range(5, 10, '"1"')) == [
        (b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.org:444"), (b":path", b"/a%20b.gz?c"),
        (b"x-mine", b"a: b"), (b"range", b"bytes=5-9"), (b"if-range", b'"1"'),
    ]  # fmt: skip


def test_a_host_of_the_users_own() -> None:
    request = build_request(parse_url("https://example.org/"), [("Host", "other.example")])
    assert (b":authority", b"other.example") in fields_of(request.whole())


def test_an_answer() -> None:
    fields = [(b":status", b"206"), (b"etag", b'"1"'), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]
    head = head_of(fields, REQUEST.whole())
    assert (head.status, head.get("etag"), head.all("set-cookie")) == (206, '"1"', ["a=b", "c=d"])
    assert head.names_archive
    assert not head.chunked


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"2x6", b" 20", "２０６".encode()])
def test_a_status_that_is_none(status: bytes) -> None:
    with pytest.raises(BadResponse):
        head_of([(b":status", status)], REQUEST.whole())
