"""What a request of each hop carries, where no loopback server can stand for the usual ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.test_cookie_jars import firefox
from thunderdl.engine.access import Access, Hop
from thunderdl.options import Options
from thunderdl.sources.http.wire import parse_url

HOME = "http://first.example"
NETRC = """\
machine first.example login a password one
machine second.example login b password two
machine bare.example login c
default login d password rest
"""


async def in_place(work: Callable[..., None], *args: object) -> None:
    work(*args)


def said(url: str, options: Options, *, home: str = HOME, named: set[str] | None = None) -> dict[str, str]:
    access = Access(options, {HOME} if named is None else named)
    hop = Hop(parse_url(url), home)
    asyncio.run(access.keeping.prepare(in_place, hop.address.endpoint, options))
    return dict(access.request(hop, options).plain_fields())


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    (tmp_path / "netrc").write_text(NETRC)
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return Options(netrc=True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://first.example/", "Basic YTpvbmU="),
        # Another scheme or port of the same host: its own entry, at the usual port alone.
        ("https://first.example/", "Basic YTpvbmU="),
        ("http://first.example:81/", None),
        ("https://second.example/", "Basic Yjp0d28="),
        # Never the password of the hop before.
        ("https://bare.example/", "Basic Yzo="),
        # The entry for all others is for those that the user named.
        ("https://third.example/", None),
        ("https://evil.first.example/", None),
        ("https://first.example.evil/", None),
    ],
)
def test_netrc_after_a_redirect(netrc: Options, url: str, expected: str | None) -> None:
    assert said(url, netrc).get("Authorization") == expected


def test_the_entry_for_all_others_and_a_host_that_the_user_named(netrc: Options) -> None:
    third = "https://third.example"
    assert said(third + "/", netrc, home=third, named={third}).get("Authorization") == "Basic ZDpyZXN0"
    # Named by a torrent or a metalink, not by the user.
    assert said(third + "/", netrc, home=third, named=set()).get("Authorization") is None


@pytest.mark.parametrize(
    ("url", "has_it"),
    [
        ("https://first.example/", False), ("http://first.example:81/", False), ("http://second.example/", False),
        ("http://first.example/other", True),
    ],
)  # fmt: skip
def test_the_users_own_after_a_redirect(url: str, has_it: bool) -> None:
    given = Options(headers=(("X-Token", "t"), ("Authorization", "Bearer b"), ("Cookie", "c=1"), ("Accept", "text/x")))
    fields = said(url, given)
    assert ({"X-Token", "Authorization", "Cookie"} <= fields.keys()) is has_it
    assert has_it or not {"X-Token", "Authorization", "Cookie"} & fields.keys()
    assert fields["Accept"] == "text/x"


def test_a_token_for_a_host_in_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    kept = {("thunderdl", "first.example"): "tok", ("thunderdl", "me@first.example"): "pass"}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept.get((service, name)))
    home = "https://first.example"
    assert said(home + "/", Options(keyring=True), home=home)["Authorization"] == "Bearer tok"
    assert said(home + "/", Options(keyring=True, user="me"), home=home)["Authorization"] == "Basic bWU6cGFzcw=="
    assert "Authorization" not in said("https://second.example/", Options(keyring=True), home=home)
    assert "Authorization" not in said(home + "/", Options(), home=home)


def test_a_store_of_a_browser_is_looked_at_for_one_host(tmp_path: Path) -> None:
    pytest.importorskip("browser_cookie3")
    from thunderdl.sources.http.browser_cookies import browser_cookies

    store = firefox(tmp_path, (".example.com", "a"), ("www.example.com", "b"), ("mail.example.com", "c"))
    assert sorted(cookie.name for cookie in browser_cookies(store, "www.example.com")) == ["a", "b"]


def test_who_comes_while_it_is_read_waits_for_it(netrc: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the second file of a list was asked for without a login, and each remark was told twice."""
    read: list[str] = []

    async def slowly(work: Callable[..., None], *args: object) -> None:
        read.append(work.__name__)
        for _ in range(3):
            await asyncio.sleep(0)
        work(*args)

    monkeypatch.setattr("thunderdl.sources.http.browser_cookies.browser_cookies", lambda name, host: [])
    options = replace(netrc, cookies_from_browser="firefox")

    async def both() -> list[str | None]:
        access, hop = Access(options, {HOME}), Hop(parse_url(f"{HOME}/"), HOME)

        async def login() -> str | None:
            await access.keeping.prepare(slowly, hop.address.endpoint, options)
            return dict(access.request(hop, options).plain_fields()).get("Authorization")

        return list(await asyncio.gather(login(), login()))

    assert asyncio.run(both()) == ["Basic YTpvbmU="] * 2
    assert read == ["_read_files", "_read_browser"]
