"""Cookies on their way: from files, browsers and answers to the hosts that they are for, and to no other (C6 to C8)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.engine.runs import all_say, content_of, failed, fetch
from tests.servers import misbehave as m
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import UsageError
from thunderdl.reach import parse_resolve

HERE = (parse_resolve("*:*:127.0.0.1"),)
FAR = "4102444800"


def line(domain: str, name: str = "n", below: str = "TRUE", secure: str = "FALSE", path: str = "/") -> str:
    return "\t".join((domain, below, path, secure, FAR, name, "v")) + "\n"


def url_of(server: LoopbackServer, host: str, path: str = "/f") -> str:
    return server.url(path).replace("127.0.0.1", host)


def sent(server: LoopbackServer, tmp_path: Path, host: str, text: str) -> str | None:
    """What the server hears where it is called ``host`` and the file holds ``text``."""
    (tmp_path / "jar").write_text(text)
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(url_of(server, host), tmp_path / "d", cookies=str(tmp_path / "jar"), resolve=HERE)
    assert content_of(result) == b"x"
    return server.requests[-1].header("Cookie")


@pytest.mark.parametrize(
    ("domain", "host", "has_it"),
    [
        (".example.com", "www.example.com", True), (".example.com", "badexample.com", False),
        (".example.com", "example.com.evil.net", False), (".com", "example.com", False), (".co.uk", "a.co.uk", False),
        (".github.io", "somebody.github.io", False), (".example.com.", "www.example.com", False),
        (".Example.COM", "WWW.example.com", True),
    ],
)  # fmt: skip
def test_of_a_file(tmp_path: Path, server: LoopbackServer, domain: str, host: str, has_it: bool) -> None:
    text = "# Netscape HTTP Cookie File\n" + line("other.example.net") + line(domain)
    assert sent(server, tmp_path, host, text) == ("n=v" if has_it else None)


def test_lines_that_are_none_are_skipped_and_counted(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "jar").write_text("rubbish\n#HttpOnly_" + line("127.0.0.1", below="FALSE") + "a\tb\n")
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(server.url("/f"), tmp_path / "d", cookies=str(tmp_path / "jar"))
    assert all_say(server, "Cookie", "n=v")
    assert any("2 lines were no cookie" in note for note in result.notes)


def test_a_newline_makes_no_header(tmp_path: Path, server: LoopbackServer) -> None:
    text = line("127.0.0.1", below="FALSE") + line("127.0.0.1", name="a\rX-Evil: 1", below="FALSE")
    assert sent(server, tmp_path, "127.0.0.1", text) == "n=v"
    assert server.requests[0].header("X-Evil") is None


def test_only_the_file_that_was_named_is_read(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """curl CVE-2023-38546: a file called "none" was read where none was to be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").write_text(line("127.0.0.1", below="FALSE"))
    server.resources["/f"] = Resource(body=b"x")
    assert content_of(fetch(server.url("/f"), tmp_path / "d")) == b"x"
    assert all_say(server, "Cookie", None)


def test_secure_ones_keep_to_secure_ways(tmp_path: Path, server: LoopbackServer) -> None:
    assert sent(server, tmp_path, "www.example.com", line(".example.com", secure="TRUE")) is None


def test_the_users_own_header_and_the_jar(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "jar").write_text(line("127.0.0.1", below="FALSE") + line("127.0.0.1", name="own", below="FALSE"))
    server.resources["/f"] = Resource(body=b"x")
    fetch(server.url("/f"), tmp_path / "d", cookies=str(tmp_path / "jar"), headers=(("Cookie", "own=1"),))
    assert all_say(server, "Cookie", "own=1; n=v")


# Set by answers.


@pytest.mark.parametrize(
    ("domain", "comes_back"),
    [("example.com", True), ("com", False), ("www.example.com", False), ("le.com", False), ("example.com.", False)],
)
def test_set_by_a_redirect(tmp_path: Path, server: LoopbackServer, domain: str, comes_back: bool) -> None:
    away = url_of(server, "cdn.example.com", "/g")
    cookie = ("Set-Cookie", f"pass=1; Domain={domain}; Path=/")
    server.resources["/f"] = Resource(body=b"", behaviour=m.status(302, ("Location", away), cookie))
    server.resources["/g"] = Resource(body=b"x")
    assert content_of(fetch(url_of(server, "www.example.com"), tmp_path, resolve=HERE)) == b"x"
    assert server.requests[-1].header("Cookie") == ("pass=1" if comes_back else None)


def test_a_login_by_cookies_and_back(tmp_path: Path, server: LoopbackServer) -> None:
    """As portals do it: away to where the cookie is set, back to the file, which wants it; on every lane."""
    server.resources["/f"] = Resource(body=bytes(3_000_000), behaviour=m.when(
        lambda request: "pass=1" not in (request.header("Cookie") or ""), m.redirect("/login")
    ))  # fmt: skip
    back = m.status(302, ("Location", "/f"), ("Set-Cookie", "pass=1; Path=/; HttpOnly; SameSite=Lax"))
    server.resources["/login"] = Resource(body=b"", behaviour=back)
    assert content_of(fetch(server.url("/f"), tmp_path, task_limit=16 << 20)) == bytes(3_000_000)


# Of a browser.


def firefox(path: Path, *rows: tuple[str, str]) -> str:
    """A store as Firefox keeps it: host and name of each cookie."""
    with sqlite3.connect(path / "cookies.sqlite") as store:
        store.execute(
            "CREATE TABLE moz_cookies (id INTEGER PRIMARY KEY, originAttributes TEXT NOT NULL DEFAULT '', name TEXT,"
            " value TEXT, host TEXT, path TEXT, expiry INTEGER, lastAccessed INTEGER, creationTime INTEGER,"
            " isSecure INTEGER, isHttpOnly INTEGER)"
        )
        for host, name in rows:
            store.execute(
                "INSERT INTO moz_cookies (name, value, host, path, expiry, isSecure, isHttpOnly)"
                " VALUES (?, 'v', ?, '/', ?, 0, 1)",
                (name, host, int(FAR)),
            )
    store.close()
    return f"firefox:{path / 'cookies.sqlite'}"


def test_of_a_browser_for_the_host_that_is_asked_alone(tmp_path: Path, server: LoopbackServer) -> None:
    pytest.importorskip("browser_cookie3")
    store = firefox(
        tmp_path, (".example.com", "a"), ("www.example.com", "b"), ("mail.example.com", "c"), (".com", "d"),
        ("badexample.com", "e"), (".other.example", "f"),
    )  # fmt: skip
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(url_of(server, "www.example.com"), tmp_path / "d", cookies_from_browser=store, resolve=HERE)
    assert content_of(result) == b"x"
    assert sorted((server.requests[0].header("Cookie") or "").split("; ")) == ["a=v", "b=v"]


@pytest.mark.parametrize("name", ["netscape", "firefox:/no/such/file", "../x", "load"])
def test_a_browser_that_is_none(tmp_path: Path, server: LoopbackServer, name: str) -> None:
    pytest.importorskip("browser_cookie3")
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(server.url("/f"), tmp_path / "d", cookies_from_browser=name)
    failed(result, UsageError, 2, "--cookies-from-browser")
    assert server.requests == []
