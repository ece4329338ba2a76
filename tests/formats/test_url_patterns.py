"""Patterns of URLs as curl reads them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.runs import check_sentence
from thunderdl.errors import UsageError
from thunderdl.formats.url_patterns import MOST_URLS, parse_pattern, with_chosen


def urls(text: str) -> list[str]:
    return [url for url, _ in parse_pattern(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h/x", ["http://h/x"]),
        ("http://{a,b}/x", ["http://a/x", "http://b/x"]),
        ("h/{a,}", ["h/a", "h/"]), ("h/{,a,}", ["h/", "h/a", "h/"]), ("h/{a}", ["h/a"]), ("h/{,}", ["h/", "h/"]),
        ("h/[8-11]", ["h/8", "h/9", "h/10", "h/11"]), ("h/[08-11]", ["h/08", "h/09", "h/10", "h/11"]),
        ("h/[001-002]", ["h/001", "h/002"]), ("h/[1-10:4]", ["h/1", "h/5", "h/9"]), ("h/[0-1]", ["h/0", "h/1"]),
        ("h/[a-c]", ["h/a", "h/b", "h/c"]), ("h/[A-E:2]", ["h/A", "h/C", "h/E"]), ("h/[b-b:1][2-2:1]", ["h/b2"]),
        ("{a,b}[1-2]", ["a1", "a2", "b1", "b2"]),
        (r"h/\{a\}\[1\]{x\,y,\{}", ["h/{a}[1]x,y", "h/{a}[1]{"]), ("h/a\\b", ["h/a\\b"]),
        ("http://[::1]:80/[]/{a}", ["http://[::1]:80/[]/a"]), ("http://[fe80::1%25eth0]/", ["http://[fe80::1%25eth0]/"]),
    ],
)  # fmt: skip
def test_patterns(text: str, expected: list[str]) -> None:
    assert urls(text) == expected
    assert parse_pattern(text).count == len(expected)


@pytest.mark.parametrize(
    ("text", "at", "told"),
    [
        ("h/{a,b", 3, "not closed"), ("h/[1-2", 3, "not closed"), ("h/]", 3, "closes nothing"),
        ("h/}", 3, "closes nothing"),
        ("h/{a{b}}", 5, "no further"), ("h/{a[1-2]}", 5, "no further"), ("h/{}", 3, "empty"),
        ("h/[2-1]", 3, "ends before"),
        ("h/[z-a]", 3, "ends before"), ("h/[a-Z]", 3, "not a range"), ("h/[1-3:0]", 3, "step"),
        ("h/[1-3:3]", 3, "step"),
        ("h/[1-a]", 3, "not a range"), ("h/[-1-2]", 3, "not a range"), ("h/[1-9999999999999999999]", 3, "URLs"),
        ("h/[٠-٣]", 3, "not a range"), ("h/[1]", 3, "not a range"), ("h/[0-1000000]", 3, "1000001 URLs"),
        ("h/" + "{a,b}" * 40, 1, "URLs"), ("h/[0-999999][0-9]", 1, "URLs"),
        ("h/[1-99999999999999999999]", 3, "not a range"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(text: str, at: int, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert f"character {at}: " in check_sentence(caught.value)
    assert told in str(caught.value)


def test_a_million_urls_cost_what_one_costs() -> None:
    tracemalloc.start()
    try:
        pattern = parse_pattern("http://h/[000000-999999]")
        assert pattern.count == MOST_URLS
        first = next(iter(pattern))
        last = pattern.at(pattern.count - 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (first[0], last[0]) == ("http://h/000000", "http://h/999999")
    assert peak < 64 * 1024


def test_what_stood_there_in_the_name() -> None:
    assert with_chosen("a#1-#2.#3#0#10#x", ("p", "q")) == "ap-q.#3#0#10#x"
    assert with_chosen("#1", ("#2", "x")) == "#2"
    assert with_chosen("#10", tuple("abcdefghij")) == "j"


def test_patterns_have_names() -> None:
    pattern = parse_pattern("h/{<set>a,b}[<nr>7-8][0-1]")
    assert pattern.names == ("set", "nr", "")
    named = [with_chosen("#<set>-#<nr>-#3-#<x>", chosen, pattern.names) for _, chosen in pattern]
    assert named[:3] == ["a-7-0-#<x>", "a-7-1-#<x>", "a-8-0-#<x>"]
    assert urls("h/{<a b>x}") == ["h/<a b>x"]


@given(st.text(alphabet="ab1-9:,{}[]\\/#", max_size=30))
def test_any_pattern_is_read_or_refused(text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except UsageError:
        return
    assert sum(1 for _, _ in zip(range(50), pattern, strict=False)) == min(pattern.count, 50)
