"""What is written of addresses, proxies and kinds of addresses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.reach import IpVersion, Resolve, parse_command, parse_ip_version, parse_proxy_for, parse_resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org:443:192.0.2.1", Resolve("example.org", 443, ("192.0.2.1",))),
        ("Example.org:443:192.0.2.1,2001:db8::1", Resolve("example.org", 443, ("192.0.2.1", "2001:db8::1"))),
        ("example.org:443:[2001:db8::1]", Resolve("example.org", 443, ("2001:db8::1",))),
        ("example.org:*:192.0.2.1", Resolve("example.org", None, ("192.0.2.1",))),
        ("example.org:192.0.2.1", Resolve("example.org", None, ("192.0.2.1",))),
        ("*:443:192.0.2.1", Resolve("*", 443, ("192.0.2.1",))),
        ("*:*:::1", Resolve("*", None, ("::1",))),
    ],
)
def test_resolve(text: str, expected: Resolve) -> None:
    assert parse_resolve(text) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "h:443", "h:443:", "h:443:name", "h:443:1.2.3", ":443:192.0.2.1", "a/b:1:::1"]
)
def test_resolve_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT:ADDRESS"):
        parse_resolve(text)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    for parse in (parse_resolve, parse_proxy_for, parse_ip_version, parse_command):
        with contextlib.suppress(ValueError):
            parse(text)


def test_proxy_for() -> None:
    assert parse_proxy_for(".example.org=socks5://h:1?a=b") == (".example.org", "socks5://h:1?a=b")
    for text in ("", "=", "h=", "=x", "h"):
        with pytest.raises(ValueError, match="HOSTS=URL"):
            parse_proxy_for(text)


def test_ip_version() -> None:
    assert parse_ip_version("6") is IpVersion.V6
    with pytest.raises(ValueError, match="neither"):
        parse_ip_version("5")
