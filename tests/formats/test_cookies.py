"""Which cookies go where: labels, suffixes, paths, secure ways, and lines that are none (C6, C7, C8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats import cookies as module
from thunderdl.formats.cookies import Cookie, CookieJar, parse_cookie_file, parse_set_cookie

NOW = 1_700_000_000.0
SUFFIXES = {"com", "co.uk", "uk", "github.io"}


def jar_with(*cookies: Cookie) -> CookieJar:
    jar = CookieJar(SUFFIXES.__contains__)
    for cookie in cookies:
        jar.put(cookie)
    return jar


def sent(jar: CookieJar, host: str, path: str = "/", *, is_secure: bool = True) -> str:
    return jar.header(host=host, path=path, is_secure=is_secure, now=NOW, except_names=frozenset())


def taken(*lines: str, host: str = "a.example.com", path: str = "/", is_secure: bool = True) -> CookieJar:
    jar = jar_with()
    for line in lines:
        jar.take(line, host=host, path=path, is_secure=is_secure, now=NOW)
    return jar


def line(domain: str, below: str = "TRUE", path: str = "/", secure: str = "FALSE", expires: str = "0") -> str:
    return "\t".join((domain, below, path, secure, expires, "n", "v"))


@pytest.mark.parametrize(
    ("host", "has_it"),
    [
        ("example.com", True), ("a.example.com", True), ("b.a.example.com", True),
        ("badexample.com", False), ("example.com.evil.org", False), ("com", False), ("xample.com", False),
        ("example.co", False), (".example.com", False),
    ],
)  # fmt: skip
def test_on_the_border_of_a_label_only(host: str, has_it: bool) -> None:
    [cookie], _ = parse_cookie_file(line(".example.com"))
    assert sent(jar_with(cookie), host) == ("n=v" if has_it else "")


def test_for_one_host_alone() -> None:
    [cookie], _ = parse_cookie_file(line("example.com", "FALSE"))
    assert sent(jar_with(cookie), "example.com") == "n=v"
    assert sent(jar_with(cookie), "a.example.com") == ""


@pytest.mark.parametrize("domain", ["com", ".co.uk", "github.io", "CO.UK"])
def test_none_goes_below_a_public_suffix(domain: str) -> None:
    cookies, _ = parse_cookie_file(line(domain))
    assert sent(jar_with(*cookies), f"victim.{domain.strip('.').lower()}") == ""
    jar = taken(f"n=v; Domain={domain}", host=f"evil.{domain.strip('.').lower()}")
    assert sent(jar, f"victim.{domain.strip('.').lower()}") == ""


@pytest.mark.parametrize("domain", ["example.com.", ".example.com.", "com.", ""])
def test_no_domain_with_a_dot_at_its_end(domain: str) -> None:
    assert parse_cookie_file(line(domain)) == ([], 1)
    jar = taken(f"n=v; Domain={domain}", host="b.example.com")
    assert sent(jar, "a.example.com") == ""


def test_an_address_has_nothing_below_it() -> None:
    [cookie], _ = parse_cookie_file(line(".0.0.1"))
    assert sent(jar_with(cookie), "127.0.0.1") == ""
    assert parse_set_cookie("n=v; domain=.0.0.1", host="127.0.0.1", path="/", now=NOW) is None
    assert sent(taken("n=v; domain=127.0.0.1", host="127.0.0.1"), "127.0.0.1") == "n=v"


@pytest.mark.parametrize("domain", ["example.org", "b.a.example.com", "le.com", "evil.a.example.com"])
def test_a_host_sets_cookies_for_itself_and_above_only(domain: str) -> None:
    assert len(taken(f"n=v; Domain={domain}")) == 0


def test_lines_of_a_file() -> None:
    text = "\n".join(
        (
            "# Netscape HTTP Cookie File", "", "#HttpOnly_" + line(".example.com"), line("b.example.com") + "\r",
            line("c.example.com").removesuffix("\tv"), "no cookie", line("d.example.com", "MAYBE"),
            line("e.example.com", expires="soon"), line("f.example.com", path="x"), line("g.example.com") + "\tx",
            line("h.example.com") + "\x00", line("i.example.com").replace("n\t", "a b\t"), line("j.exam ple.com"),
        )
    )  # fmt: skip
    found, skipped = parse_cookie_file(text)
    assert [(each.domain, each.value) for each in found] == [
        ("example.com", "v"), ("b.example.com", "v"), ("c.example.com", ""),
    ]  # fmt: skip
    assert skipped == 8


def test_paths_are_cut_at_slashes() -> None:
    [cookie], _ = parse_cookie_file(line("example.com", path="/a"))
    jar = jar_with(cookie)
    assert [sent(jar, "example.com", path) for path in ("/a", "/a/b", "/ab", "/", "/b/a")] == ["n=v", "n=v", "", "", ""]
    assert sent(taken("x=1; Path=/a", "y=2", "z=3; Path=rubbish", path="/p/q"), "a.example.com", "/p/r") == "y=2; z=3"


def test_the_longest_path_comes_first() -> None:
    assert sent(taken("x=1", "y=2; Path=/a"), "a.example.com", "/a/b") == "y=2; x=1"


def test_secure_cookies_keep_to_secure_ways() -> None:
    jar = taken("n=v; Secure")
    assert sent(jar, "a.example.com") == "n=v"
    assert sent(jar, "a.example.com", is_secure=False) == ""
    assert len(taken("n=v; Secure", is_secure=False)) == 0
    jar.take("n=evil", host="a.example.com", path="/", is_secure=False, now=NOW)
    assert sent(jar, "a.example.com") == "n=v"


@pytest.mark.parametrize(
    "text",
    [
        "__Host-n=v; Secure; Path=/; Domain=a.example.com", "__Host-n=v; Path=/", "__host-n=v; Secure; Path=/x",
        "__Secure-n=v", "__SECURE-n=v",
    ],
)  # fmt: skip
def test_prefixes_are_held_to(text: str) -> None:
    assert len(taken(text)) == 0
    assert len(taken("__Host-n=v; Secure; Path=/", "__Secure-m=v; Secure")) == 2


@pytest.mark.parametrize(
    ("attributes", "lives"),
    [
        ("Max-Age=10", True), ("Max-Age=0", False), ("Max-Age=-1", False), ("Max-Age=rubbish", True),
        ("Expires=Wed, 09 Jun 2038 10:18:14 GMT", True), ("Expires=Wed, 09-Jun-2038 10:18:14 GMT", True),
        ("Expires=Wed, 09 Jun 2021 10:18:14 GMT", False), ("Expires=soon", True),
        ("Expires=Wed, 09 Jun 2038 10:18:14 GMT; Max-Age=0", False), ("Max-Age=99999999999999999999999", True),
    ],
)  # fmt: skip
def test_how_long_it_lives(attributes: str, lives: bool) -> None:
    assert (len(taken(f"n=v; {attributes}")) == 1) is lives


def test_an_end_in_the_past_takes_one_away() -> None:
    assert len(taken("n=v", "n=; Max-Age=0")) == 0
    [old], _ = parse_cookie_file(line("example.com", expires="1"))
    assert sent(jar_with(old), "example.com") == ""


@pytest.mark.parametrize("text", ["", "=", ";", "n=v\x00", "n=v\r\nX: 1", "n=v\x7f", "n=" + "v" * 5000, " ; Path=/"])
def test_what_is_no_cookie(text: str) -> None:
    assert len(taken(text)) == 0


def test_a_server_cannot_fill_the_jar() -> None:
    jar = taken(*(f"n{number}=v" for number in range(1000)))
    assert len(jar) == module.MAX_OF_A_DOMAIN
    for number in range(5000):
        jar.take("n=v", host=f"h{number}.example.com", path="/", is_secure=True, now=NOW)
    assert len(jar) <= module.MAX_COOKIES


@given(st.text(max_size=200), st.sampled_from(["a.example.com", "127.0.0.1", "localhost"]))
def test_any_set_cookie(text: str, host: str) -> None:
    cookie = parse_set_cookie(text, host=host, path="/", now=NOW)
    if cookie is not None:
        assert cookie.domain == host or host.endswith("." + cookie.domain)
        assert not any(ord(c) < 32 and c != "\t" for c in cookie.name + cookie.value)


@given(st.text(alphabet=st.sampled_from("\t\n.ab#TRUEFALSE01/\x00") | st.characters(), max_size=200))
def test_any_file(text: str) -> None:
    for cookie in parse_cookie_file(text)[0]:
        assert "\n" not in cookie.name + cookie.value
        assert cookie.path.startswith("/")
