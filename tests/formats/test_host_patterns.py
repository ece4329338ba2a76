"""Which hosts a pattern of NO_PROXY means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.host_patterns import means, patterns_of
from thunderdl.sources.http.wire import ascii_host


@pytest.mark.parametrize(
    ("pattern", "host", "port", "expected"),
    [
        ("*", "example.org", 80, True),
        ("example.org", "example.org", 80, True),
        ("example.org", "a.example.org", 80, True),
        (".example.org", "a.example.org", 80, True),
        (".example.org", "example.org", 80, True),
        ("*.example.org", "a.b.example.org", 80, True),
        ("example.org.", "example.org", 80, True),
        ("EXAMPLE.org", "example.org", 80, True),
        ("example.org", "badexample.org", 80, False),
        ("example.org", "example.org.evil.net", 80, False),
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 80, False),
        ("*:8080", "anything", 8080, True),
        ("*:8080", "anything", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.1.2.3/8", "10.9.9.9", 80, True),
        ("192.0.2.1", "192.0.2.1", 80, True),
        ("192.0.2.1:81", "192.0.2.1", 80, False),
        ("0.2.1", "192.0.2.1", 80, False),
        (".2.1", "192.0.2.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:81", "::1", 81, True),
        ("[::1]:81", "::1", 80, False),
        ("2001:db8::/32", "2001:db8::5", 80, True),
        ("[2001:db8::/32]", "2001:db9::5", 80, False),
        ("192.0.2.0/24", "::ffff:192.0.2.7", 80, True),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", 80, True),
        ("10.0.0.0/8", "10.example.org", 80, False),
        ("", "example.org", 80, False),
        (".", "example.org", 80, False),
        ("/", "example.org", 80, False),
        ("[", "example.org", 80, False),
        ("org", "example.org", 80, True),
    ],
)
def test_means(pattern: str, host: str, port: int, expected: bool) -> None:
    assert means(pattern, host, port, ascii_host) is expected


def test_a_list() -> None:
    assert patterns_of(" a, .b c,,\td:80 ,") == ("a", ".b", "c", "d:80")


@given(st.text(max_size=40), st.sampled_from(["example.org", "::1", "10.0.0.1", "a" * 300]))
def test_any_pattern(pattern: str, host: str) -> None:
    means(pattern, host, 80, ascii_host)
