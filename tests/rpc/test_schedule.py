"""The page's schedule and the two settings behind it: what one says the other says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thunderdl.errors import UsageError
from thunderdl.option_texts import parse_limit
from thunderdl.rpc.api.schedule import Row, plain_limit, rows_of, settings_from
from thunderdl.timetable import parse_hours

_MINUTES = range(0, 7 * 24 * 60, 60)


def row(days: str, start: str, end: str, what: str) -> Row:
    return {"days": days, "from": start, "to": end, "what": what}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("mon-fri", "08:00", "18:00", "pause")],
        [row("", "22:00", "06:00", "pause")],
        [row("sat-sun", "", "", "pause")],
        [row("mon-fri", "08:00", "18:00", "pause"), row("", "22:00", "06:00", "500K")],
        [row("sat", "", "", "2M"), row("mon", "09:00", "10:00", "0")],
    ],
)
def test_a_table_comes_back_as_it_was(rows: list[Row]) -> None:
    hours, limit = settings_from(rows, "5M")
    settled = parse_limit(limit or "0")
    assert rows_of(parse_hours(hours) if hours else None, settled) == rows
    assert plain_limit(settled) == "5M"


def test_a_pause_at_the_end_of_the_week_goes_on_in_the_next() -> None:
    hours, _ = settings_from([row("sun", "22:00", "02:00", "pause")], None)
    assert hours is not None
    runs = parse_hours(hours).rate_at
    assert [runs(second * 3600) for second in (1, 2, 7 * 24 - 3, 7 * 24 - 2)] == [None, 1, 1, None]


_ROWS = st.lists(
    st.builds(
        row, st.sampled_from(["", "mon", "tue-thu", "sat-mon", "sun"]),
        *(st.sampled_from([f"{hour:02}:00" for hour in range(24)]) for _ in "ab"),
        st.just("pause"),
    ).filter(lambda each: each["from"] != each["to"]),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=40)
@given(_ROWS)
def test_what_is_no_pause_runs(rows: list[Row]) -> None:
    spans = [parse_hours(f"{each['days']} {each['from']}-{each['to']}") for each in rows]
    pauses = {minute for minute in _MINUTES if any(span.rate_at(minute * 60) for span in spans)}
    if len(pauses) == len(_MINUTES):
        with pytest.raises(UsageError, match="nothing would ever run"):
            settings_from(rows, None)
        return
    hours = settings_from(rows, None).hours
    assert hours is not None
    runs = parse_hours(hours)
    assert {minute for minute in _MINUTES if not runs.rate_at(minute * 60)} == pauses
    # And told again it is the same.
    assert settings_from(rows_of(runs, None), None).hours == hours


@pytest.mark.parametrize(
    "bad", [row("monday", "08:00", "09:00", "pause"), row("", "08:00", "25:00", "1M"), row("", "08:00", "", "pause")]
)
def test_a_wrong_row_is_refused(bad: Row) -> None:
    with pytest.raises(UsageError, match="schedule"):
        settings_from([bad], None)
