from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopwatch import Stopwatch
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import web_seed

PATHS = ["Set/a.ISO", "Set/sub/b.iso", "Set/sub/c[1].txt", "Set/straße.txt", "lone"]


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("1", {0}),
        ("1,3-4", {0, 2, 3}),
        (" 2 , 2-3,", {1, 2}),
        ("4-", {3, 4}),
        ("*.iso", {0, 1}),
        ("sub/*", {1, 2}),
        ("set/sub/b.iso", {1}),
        ("C[[]1].txt", {2}),
        ("STRASSE*", {3}),
        ("lone,5", {4}),
        ("?.iso,1-1", {0, 1}),
        ("*", {0, 1, 2, 3, 4}),
    ],
)
def test_what_is_meant(text: str, positions: set[int]) -> None:
    assert selected(text, PATHS) == positions


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "names no file"),
        (" , ", "names no file"),
        ("0", "there is no file 0; the first is 1"),
        ("0-2", "there is no file 0"),
        ("6", "there is no file 6; the last is 5"),
        ("6-", "there is no file 6"),
        ("2-9", "there is no file 9"),
        ("3-2", "ends before it begins"),
        ("*.mkv", "'\\*.mkv' matches none of the 5 files"),
        ("1,nothing", "'nothing' matches none"),
        ("x" * 500, "x\\.\\.\\.' matches none"),
        ("-3", "'-3' matches none"),
    ],
)
def test_what_means_nothing(text: str, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        selected(text, PATHS)


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_any_text_selects_or_says_why(text: str, paths: list[str]) -> None:
    try:
        found = selected(text, paths)
    except ValueError:
        return
    assert found
    assert found <= set(range(len(paths)))


def test_ten_thousand_files_are_quick() -> None:
    paths = [f"Set/{at}/{'a' * 60}" for at in range(10_000)]
    watch = Stopwatch()
    assert len(selected("1-10000,*a*a*,*", paths)) == 10_000
    with pytest.raises(ValueError, match="matches none"):
        selected("*a*a*a*a*a*b", paths)
    assert watch.took_s < 2


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h/a/", "http://h/a/"),
        ("  HTTPS://h:1/a b".replace(" b", "%20b") + " \n", "HTTPS://h:1/a%20b"),
        ("http://[::1]/x", "http://[::1]/x"),
        ("", None),
        ("http://", None),
        ("http:///x", None),
        ("file:///etc/passwd", None),
        ("ftp://h/x", None),
        ("http://h/a b", None),
        ("http://h/a\r\nX: y", None),
        ("http://h/\x1b[31m", None),
    ],
)
def test_only_urls_over_http_are_web_seeds(text: str, url: str | None) -> None:
    assert web_seed(text) == url
