"""Entries of netrc files: several for a host, quotes, macros, and files that are none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.netrc import Entry, NetrcError, login_of, parse_netrc

FILE = """\
# machine commented.example login x password y
machine Example.ORG. login a password one
machine example.org
    login b
    password two
machine spaced.example login "a b" password "q\\"uo\\\\te # x"
machine macro.example login m password n macdef init
  machine inside.example login "broken
  cd /

machine bare.example login c
machine nobody.example password p
default login d password rest
"""


@pytest.mark.parametrize(
    ("host", "user", "expected"),
    [
        ("example.org", None, ("a", "one")), ("example.org", "b", ("b", "two")), ("EXAMPLE.org", "a", ("a", "one")),
        ("example.org", "z", None),
        ("spaced.example", None, ("a b", 'q"uo\\te # x')), ("macro.example", None, ("m", "n")),
        ("bare.example", None, ("c", None)),
        ("nobody.example", "x", (None, "p")), ("inside.example", None, ("d", "rest")),
        ("commented.example", None, ("d", "rest")),
        ("other.example", "z", None), ("b.example.org", None, ("d", "rest")),
    ],
)  # fmt: skip
def test_who_logs_in(host: str, user: str | None, expected: tuple[str | None, str | None] | None) -> None:
    found = login_of(parse_netrc(FILE), host, user, with_default=True)
    assert (found and (found.login, found.password)) == expected


def test_the_default_only_where_it_may_be() -> None:
    assert login_of(parse_netrc(FILE), "other.example", None, with_default=False) is None


def test_words_in_any_layout() -> None:
    assert parse_netrc("machine\th\r\n login l\naccount z password\np") == (Entry(host="h", login="l", password="p"),)
    assert parse_netrc("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "machine h login l password #p # my host, not yours\n", "\ufeffmachine h login l password #p",
        "machine h #machine g\nlogin l password #p",
    ],
)  # fmt: skip
def test_comments_after_words_and_the_mark_of_windows(text: str) -> None:
    assert parse_netrc(text) == (Entry(host="h", login="l", password="#p"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rubbish", "line 1"), ("login x", "line 1"), ("machine", "nothing follows"), ("machine h\nlogin", "line 2"),
        ("machine h login a\x00b", "control"),
        ('machine h password "a\\nX: 1"', "control"), ("machine h login l bogus", "bogus"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(text: str, words: str) -> None:
    with pytest.raises(NetrcError, match=words):
        parse_netrc(text)


@given(st.text(alphabet=st.sampled_from('machinelogpswrdf "\\\n#\x00') | st.characters(), max_size=120))
def test_any_file(text: str) -> None:
    with contextlib.suppress(NetrcError):
        for entry in parse_netrc(text):
            assert "\n" not in (entry.login or "") + (entry.password or "")
