"""Whose requests are looked at: names of this machine, pages of this server (bad-inputs R3, R4, R10)."""

from __future__ import annotations

import pytest

from thunderdl.rpc.access import Access, host_name, made

HERE = Access()


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:6800", "LOCALHOST:6800", "127.0.0.1:6800", "127.8.8.8", "[::1]:6800", "[::1]"]
)
def test_names_of_this_machine_are_admitted(host: str) -> None:
    assert HERE.admits_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:6800", "localhost.evil.example", "127.0.0.1.evil.example",
        "evil.example@localhost",
        "localhost@evil.example", "", ":6800", "[::1", "::1", "[evil]:1", "localhost:x", "localhost:6800:1",
        "192.168.0.1",
        "localhost/..", "lоcalhost", "127.0.0.1,evil.example", "2130706433x", "[::ffff:192.168.0.1]",
    ],
)  # fmt: skip
def test_others_are_not(host: str) -> None:
    assert not HERE.admits_host(host)


def test_addresses_that_are_listened_at_and_configured_names_are() -> None:
    access = made(["192.168.0.1", "[fd00::1]", "nas.example:80"], [], any_address=False)
    assert all(map(access.admits_host, ("192.168.0.1:6800", "[fd00:0::1]:6800", "NAS.example:6800")))
    assert not access.admits_host("192.168.0.2")
    everywhere = made(["0.0.0.0"], [], any_address=True)
    assert everywhere.admits_host("10.1.2.3:6800")
    # A name is what can be made to lead here, an address is not.
    assert not everywhere.admits_host("evil.example")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:6800", "localhost:6800"), ("http://127.0.0.1:6800", "127.0.0.1:6800"),
        ("http://localhost", "localhost"), ("http://localhost", "localhost:80"), ("https://nas.example", "nas.example"),
        ("http://[::1]:6800", "[::1]:6800"),
    ],
)  # fmt: skip
def test_pages_of_this_server_may_ask(origin: str, host: str) -> None:
    assert HERE.admits_origin(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "null", "", "http://localhost:3000", "http://localhost", "file://", "localhost:6800",
        "http://localhost:6800.evil.example", "chrome-extension://abc", "ftp://localhost:6800",
    ],
)  # fmt: skip
def test_pages_of_others_may_not(origin: str) -> None:
    assert not HERE.admits_origin(origin, "localhost:6800")


def test_pages_that_were_allowed_may() -> None:
    access = made([], ["https://UI.example/", "chrome-extension://abc"], any_address=False)
    assert access.admits_origin("https://ui.example", "localhost:6800")
    assert access.admits_origin("chrome-extension://abc", "localhost:6800")
    assert not access.admits_origin("https://evil.example", "localhost:6800")
    assert made([], ["*"], any_address=False).admits_origin("https://evil.example", "localhost:6800")


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.b:1", "a.b"), ("[::1]:1", "::1"), ("x y", ""), ("[::1]1", ""), ("a:99999999", ""), ("[abc]", "")],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name
