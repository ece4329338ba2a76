"""Rates by the clock: what can be written, what holds when, and when it changes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.option_texts import parse_limit, parse_rate
from thunderdl.timetable import DAY_S, DAYS, WEEK_S, Timetable, parse_timetable

MIB = 1024 * 1024


def table(text: str) -> Timetable:
    return parse_timetable(text, parse_rate)


def at(day: str, clock: str) -> int:
    hour, minute = clock.split(":")
    return DAYS.index(day) * DAY_S + int(hour) * 3600 + int(minute) * 60


@pytest.mark.parametrize(
    ("text", "moment", "rate"),
    [
        ("08:00-18:00=1M", at("mon", "08:00"), MIB),
        ("08:00-18:00=1M", at("sun", "17:59"), MIB),
        ("08:00-18:00=1M", at("mon", "18:00"), None),
        ("08:00-18:00=1M", at("mon", "07:59"), None),
        ("08:00-18:00=1M, 5M", at("mon", "07:59"), 5 * MIB),
        ("5M 08:00-18:00=1M", at("tue", "12:00"), MIB),
        ("08:00-18:00=1M;18:00-24:00=2M", at("tue", "23:59"), 2 * MIB),
        ("22:00-06:00=0, 1M", at("wed", "05:59"), None),
        ("22:00-06:00=0, 1M", at("wed", "06:00"), MIB),
        ("sun 22:00-06:00=2M", at("mon", "03:00"), 2 * MIB),
        ("sun 22:00-06:00=2M", at("sun", "03:00"), None),
        ("mon-fri 8:00 - 18:00 = 1M, 5M", at("fri", "10:00"), MIB),
        ("mon-fri 08:00-18:00=1M, 5M", at("sat", "10:00"), 5 * MIB),
        ("fri-mon 08:00-18:00=1M", at("sun", "10:00"), MIB),
        ("fri-mon 08:00-18:00=1M", at("tue", "10:00"), None),
        ("sat-sun=0 500K", at("sat", "00:00"), None),
        ("SAT-SUN=0 500K", at("mon", "00:00"), 500 * 1024),
        ("09:00-10:00=1M, 08:00-18:00=2M", at("mon", "09:30"), MIB),
        ("00:00-24:00=1M", at("sun", "23:59"), MIB),
    ],
)
def test_what_holds_when(text: str, moment: int, rate: int | None) -> None:
    assert table(text).rate_at(moment) == rate


@pytest.mark.parametrize(
    ("text", "moment", "change_s"),
    [
        ("08:00-18:00=1M", at("mon", "07:00"), 3600),
        ("08:00-18:00=1M", at("mon", "08:00"), 10 * 3600),
        ("08:00-18:00=1M", at("sun", "18:00"), 14 * 3600),
        ("mon 08:00-18:00=1M", at("mon", "18:00"), WEEK_S - 10 * 3600),
        ("sun 22:00-24:00=1M", at("sun", "23:00"), 3600),
    ],
)
def test_when_it_changes(text: str, moment: int, change_s: int) -> None:
    assert table(text).changes_in_s(moment) == change_s


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("08:00-18:00=", "not a rate"),
        ("08:00-18:00=1Q", "not a rate"),
        ("08:00-18:00=" + "9" * 400, "not a rate"),
        ("08:00-25:00=1M", "'25:00' is no time of day"),
        ("08:00-18:61=1M", "'18:61' is no time of day"),
        ("08:00-24:01=1M", "'24:01' is no time of day"),
        ("08:00-08:00=1M", "no span of time"),
        ("24:00-08:00=1M", "no span of time"),
        ("8-18=1M", "'8-18' is no time of day"),
        ("08:00=1M", "no time of day"),
        ("=1M", "no time of day"),
        ("mon-fri, 08:00-18:00 = 1M = 2M", "no time of day"),
        ("feb 08:00-18:00=1M", "not a rate"),
        ("mon tue=1M", "no time of day"),
        ("mon-fri 5M 08:00-18:00=1M", "names days, but no rate"),
        ("08:00-18:00=1M mon", "names days, but no rate"),
        ("08:00-18:00=1M 2M 3M", "two rates without hours"),
        ("0٨:00-18:00=1M", "no time of day"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_limit(text)


def test_a_plain_rate_is_no_timetable() -> None:
    assert parse_limit("500K") == 500 * 1024
    assert parse_limit("0") is None
    with pytest.raises(ValueError, match=r"500K.*08:00-18:00=1M"):
        parse_limit("quick")


def test_it_is_shown_as_written() -> None:
    assert str(table(" 08:00-18:00=1M,  5M ")) == "08:00-18:00=1M, 5M"
    assert table(str(table(" 22:00-06:00=0,  5M "))) == table("22:00-06:00=0 5M")


clocks = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
hours = st.tuples(clocks, clocks).filter(lambda pair: pair[0] != pair[1]).map("-".join)
days = st.one_of(
    st.just(""), st.sampled_from(DAYS), st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join)
)
rates = st.sampled_from(["0", "1", "500K", "2.5M"])
parts = st.lists(
    st.tuples(days, hours, rates).map(lambda part: f"{part[0]} {part[1]}={part[2]}"), min_size=1, max_size=6
)
separators = st.sampled_from([", ", ";", " ", " , "])


@given(parts, rates, separators, st.floats(0, WEEK_S))
def test_between_two_changes_nothing_changes(parts: list[str], rate: str, separator: str, moment: float) -> None:
    found = table(separator.join([*parts, rate]))
    change_s = found.changes_in_s(moment)
    assert change_s is not None
    assert 0 < change_s <= WEEK_S
    for share in (0.0, 0.3, 0.99):
        assert found.rate_at(moment + share * change_s) == found.rate_at(moment)
    assert found.rate_at(moment) == found.rate_at(moment + WEEK_S)


@given(st.text(alphabet="monfri0123456789:-=,; KM", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_limit(text), int | Timetable | None)
