"""URLs that others name: only whole, single-line URLs of the asked schemes get through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.links import FOREIGN_SCHEMES
from thunderdl.formats.source_urls import LONGEST_URL, MIRROR_SCHEMES, WEB_SCHEMES, resolved_url, source_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" http://h.example/a b.iso\n", "http://h.example/a%20b.iso"),
        ("FTP://u:p@h.example:2121/x", "FTP://u:p@h.example:2121/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://müller.example/ä", "https://müller.example/ä"),
        ("http://h.example?x", "http://h.example?x"),
    ],
)
def test_what_is_a_source(text: str, url: str) -> None:
    assert source_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "//h.example/x", "http:", "http://", "http:///x", "http://:80/x", "http://u@/x", "http:x",
        "file:///etc/passwd", "data:,x", "javascript:alert(1)", "magnet:?xt=urn:btih:0", "mailto:a@b",
        "http://h.example:0/", "http://h.example:65536/", "http://h.example:{PORT}/", "http://h.example:-1/",
        "http://good.example\\@evil.example/", "http://u:p@evil.example;@good.example/", "http://[::1/x",
        "http://h.example/a\nb", "http://h.example/\x00", "http://h.example/\x1b[31m", "http://h\u2028.example/",
        "http://h.example/\udcff", "http://h.example/" + "a" * LONGEST_URL,
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert source_url(text) is None


@pytest.mark.parametrize("scheme", sorted(FOREIGN_SCHEMES))
def test_whatever_others_may_have_downloaded_by_is_a_source(scheme: str) -> None:
    assert source_url(f"{scheme}://h.example/x") == f"{scheme}://h.example/x"


def test_schemes_are_those_that_were_asked_for() -> None:
    assert source_url("ftp://h.example/x", WEB_SCHEMES) is None
    assert "file" not in MIRROR_SCHEMES


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("b", "http://h.example/d/b"),
        ("/b", "http://h.example/b"),
        ("//o.example/b", "http://o.example/b"),
        ("ftp://o.example/b", "ftp://o.example/b"),
        ("../../../b", "http://h.example/b"),
        ("file:///etc/passwd", None),
        ("http://[x", None),
        ("a" * 10_000, None),
    ],
)
def test_references(reference: str, url: str | None) -> None:
    assert resolved_url(reference, "http://h.example/d/a") == url


@given(st.text(max_size=60))
def test_whatever_gets_through_is_one_line_of_a_known_scheme(text: str) -> None:
    for found in (source_url(text), source_url("http://h/" + text), resolved_url(text, "http://h.example/d/a")):
        if found is not None:
            assert found.partition(":")[0].lower() in MIRROR_SCHEMES
            assert len(found.split()) == 1
            assert found.isprintable() or not any(ord(character) < 0x21 for character in found)
