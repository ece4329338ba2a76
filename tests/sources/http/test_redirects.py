"""Where a Location leads: followed, or refused with a reason (C4, C11, C12, T7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import RedirectRefused
from thunderdl.sources.http.redirects import next_hop
from thunderdl.sources.http.wire import Address, parse_url

OLD = parse_url("https://user:secret@example.org/a/b?q=1")


def follow(location: bytes, *, may_downgrade: bool = False) -> Address:
    return next_hop("https://example.org/a/b", OLD, location, may_downgrade=may_downgrade)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"/c", "https://example.org/c"),
        (b"c", "https://example.org/a/c"),
        (b"../../c", "https://example.org/c"),
        (b"?q=2", "https://example.org/a/b?q=2"),
        (b"//other.example/x", "https://other.example/x"),
        (b"HTTPS://Other.Example:8443/x#part", "https://other.example:8443/x"),
        (b"https://other.example", "https://other.example/"),
        (b"/\xe4", "https://example.org/%E4"),
        ("/ä b".encode(), "https://example.org/%C3%A4%20b"),
        ("https://bücher.example/".encode(), "https://xn--bcher-kva.example/"),
    ],
)
def test_followed(location: bytes, url: str) -> None:
    hop = follow(location)
    assert hop.url == url
    # The login of the first URL is taken along within its origin, and nowhere else.
    kept = ("user", "secret") if hop.endpoint.origin == OLD.endpoint.origin else (None, "")
    assert (hop.user, hop.password) == kept


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (b"ftp://example.org/x", "no web address"), (b"file:///etc/passwd", "no web address"),
        (b"data:,x", "no web address"), (b"https:x", "cannot be followed"), (b"https://\x80/", "cannot be followed"),
        (b"magnet:?xt=1", "no web address"), (b"", "no web address"), (b"javascript:x", "no web address"),
        (b"http://example.org/x", "https to http"), (b"/a\nb", "control character"), (b"/a\x00", "control character"),
        (b"https://", "cannot be followed"), (b"https://[::1", "cannot be followed"), (b"https://h:99999/", "cannot"),
        (b"https://a\\@evil/", "cannot be followed"), (b"https://a b/", "cannot be followed"),
    ],
)  # fmt: skip
def test_refused(location: bytes, words: str) -> None:
    with pytest.raises(RedirectRefused, match=words) as caught:
        follow(location)
    assert "secret" not in str(caught.value)


def test_down_where_that_was_allowed() -> None:
    assert follow(b"http://example.org/x", may_downgrade=True).url == "http://example.org/x"


@given(st.binary(max_size=60))
def test_any_location(location: bytes) -> None:
    try:
        hop = follow(location)
    except RedirectRefused:
        return
    assert hop.endpoint.scheme == "https"
    assert hop.target.startswith("/")
