from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core import protocol, tracing
from thunderdl.core.protocol import Failed, FaultKind, Fetch, Moved, PieceBad, Shrink
from thunderdl.core.ranges import RangeSet
from thunderdl.core.tracing import Begun, LaneGiven, Step, is_first_line, line_of, read

SETTINGS: dict[str, object] = {
    "size": 1000, "filled": RangeSet([(0, 10), (20, 30)]), "align": 10, "host_lanes": 4, "all_lanes": 8, "retries": 2,
    "stall_s": 30.0,
}  # fmt: skip
BEGUN = Begun(name="http://one/f", seed=7, settings=SETTINGS, sources={1: "http://one/f", 2: "http://two/f"})


def some(hint: object) -> st.SearchStrategy[object]:
    """Any value of the type of a field."""
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return st.one_of([some(each) for each in arguments])
    if typing.get_origin(hint) is frozenset:
        return st.frozensets(some(arguments[0]), max_size=3)
    if typing.get_origin(hint) is tuple:
        return st.lists(some(arguments[0]), max_size=3).map(tuple)
    if isinstance(hint, enum.EnumMeta):
        return st.sampled_from(list(hint))
    known: dict[object, st.SearchStrategy[object]] = {
        int: st.integers(0, tracing.MOST),
        float: st.floats(-1e15, 1e15, allow_nan=False),
        str: st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return known[hint]


def values(kind: type) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{each.name: some(hints[each.name]) for each in dataclasses.fields(kind)})


EVENTS = st.one_of([values(kind) for kind in typing.get_args(protocol.Event)])
COMMANDS = st.one_of([values(kind) for kind in typing.get_args(protocol.Command)])


@given(st.builds(Step, st.floats(0, 1e9), EVENTS, st.lists(COMMANDS, max_size=3).map(tuple)))
def test_every_event_and_command_comes_back(step: Step) -> None:
    assert read(line_of(3, step)) == (3, step)


def test_a_beginning_and_a_lane_come_back() -> None:
    assert read(line_of(1, BEGUN)) == (1, BEGUN)
    assert read(line_of(2, LaneGiven(5))) == (2, LaneGiven(5))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e18))
def test_times_are_exact_to_the_last_bit(at: float) -> None:
    entry = read(line_of(1, Step(at, Moved(1, 2))))[1]
    assert isinstance(entry, Step)
    assert entry.at.hex() == at.hex()


def test_a_line_in_full() -> None:
    step = Step(12.5, Failed(3, 40, FaultKind.BUSY, 2.0), (Fetch(4, 1, 2, 40, 50), Shrink(1, 9)))
    assert json.loads(line_of(1, step)) == {
        "d": 1, "at": 12.5, "heard": {"Failed": {"lease": 3, "position": 40, "kind": "busy", "retry_after_s": 2.0}},
        "said": [
            {"Fetch": {"lease": 4, "source": 1, "lane": 2, "start": 40, "end": 50}}, {"Shrink": {"lease": 1, "end": 9}},
        ],
    }  # fmt: skip


def test_what_an_exception_was_is_kept() -> None:
    step = Step(1.0, PieceBad(0, 10, frozenset({2, 1}), frozenset()), raised="KeyError")
    assert read(line_of(1, step)) == (1, step)


def test_a_field_that_was_added_later_may_be_missing() -> None:
    line = '{"d":1,"at":1.0,"heard":{"Failed":{"lease":1,"position":0,"kind":"passing"}}}'
    assert read(line) == (1, Step(1.0, Failed(1, 0, FaultKind.PASSING)))


def test_a_setting_or_field_that_is_not_known_is_left_out() -> None:
    line = json.loads(line_of(1, BEGUN))
    line["begun"]["settings"]["of_tomorrow"] = [1]
    assert read(json.dumps(line)) == (1, BEGUN)
    assert read('{"d":1,"at":1,"heard":{"Moved":{"lease":1,"position":2,"new":{}}}}') == (1, Step(1.0, Moved(1, 2)))


def test_names_are_made_printable() -> None:
    line = json.loads(line_of(1, BEGUN))
    line["begun"]["name"] = "a\x1b[31m\u202egpj" + "x" * 5000
    _, entry = read(json.dumps(line))
    assert isinstance(entry, Begun)
    assert entry.name.startswith("a\ufffd[31m\ufffdgpj")
    assert len(entry.name) == tracing.LONGEST_TEXT


def moved(**more: object) -> str:
    return json.dumps({"d": 1, "at": 1.0, "heard": {"Moved": {"lease": 1, "position": 2}}} | more)


def begun(name: str, value: object) -> str:
    line = json.loads(line_of(1, BEGUN))
    line["begun"]["settings"][name] = value
    return json.dumps(line)


@pytest.mark.parametrize(
    "line",
    [
        "", "nonsense", "[]", "3", "null", '"text"', "{}", '{"d":1}', "[" * 200_000, '{"d":' * 100_000,
        moved(d="1"), moved(d=-1), moved(d=True), moved(at="soon"), moved(at=None), moved(at=10**400), moved(heard=[]),
        moved(heard={}), moved(heard={"Moved": []}), moved(heard={"Moved": {"lease": 1}}), moved(heard={"System": {}}),
        moved(heard={"Moved": {"lease": 1.5, "position": 0}}), moved(heard={"Moved": {"lease": -1, "position": 0}}),
        moved(heard={"Moved": {"lease": 1, "position": 2**70}}), moved(heard={"Moved": {"lease": True, "position": 0}}),
        moved(heard={"Fetch": {"lease": 1, "source": 1, "lane": 1, "start": 0, "end": 1}}),
        moved(heard={"Moved": {"lease": 1, "position": 2}, "Tick": {}}),
        moved(heard={"Failed": {"lease": 1, "position": 0, "kind": "never heard of"}}),
        moved(heard={"Failed": {"lease": 1, "position": 0, "kind": ["busy"]}}),
        moved(heard={"PieceBad": {"start": 0, "end": 1, "suspects": 5, "culprits": []}}),
        moved(said={}), moved(said=[1]), moved(said=[{"Moved": {"lease": 1, "position": 2}}]), moved(raised=5),
        '{"d":1,"at":NaN,"heard":{"Tick":{}}}', '{"d":1,"at":Infinity,"heard":{"Tick":{}}}',
        '{"d":1,"at":1e400,"heard":{"Tick":{}}}', '{"d":1,"at":' + "9" * 5000 + ',"heard":{"Tick":{}}}',
        '{"d":1,"lane":"x"}', '{"d":1,"begun":3}', '{"d":1,"begun":{}}',
        begun("size", 0), begun("size", -1), begun("size", 2**63), begun("size", "1"), begun("align", 0),
        begun("host_lanes", 10**9), begun("all_lanes", 0), begun("all_lanes", 10**6), begun("stall_s", "x"),
        begun("filled", 3), begun("filled", [[0]]), begun("filled", [[5, 2]]), begun("filled", [[0, 10**6]]),
    ],
    ids=lambda line: str(line)[:60],
)  # fmt: skip
def test_what_is_no_line_is_refused_with_a_clause(line: str) -> None:
    with pytest.raises(ValueError, match=r"^[\x20-\x7e…]{5,400}$"):
        read(line)


def test_too_many_sources_are_refused() -> None:
    line = json.loads(line_of(1, BEGUN))
    line["begun"]["sources"] = {str(n): "x" for n in range(tracing.MOST_SOURCES + 1)}
    with pytest.raises(ValueError, match="sources"):
        read(json.dumps(line))


KEYS = st.sampled_from(["d", "at", "heard", "said", "begun", "Moved", "lease", "settings"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner))


@given(JSON)
def test_whatever_comes_is_read_or_refused(found: object) -> None:
    try:
        number, _ = read(json.dumps(found))
    except ValueError:
        return
    assert number >= 0


def test_the_first_line() -> None:
    assert is_first_line(tracing.FIRST_LINE % tracing.FORMAT)
    assert (tracing.FIRST_LINE % tracing.FORMAT).encode().startswith(tracing.MAGIC)
    for line in ("", "{}", '{"thunderdl trace": 999}', '{"thunderdl trace": [', "\x7fELF"):
        with pytest.raises(ValueError, match=r"trace|JSON"):
            is_first_line(line)


def test_settings_are_those_of_the_scheduler() -> None:
    # Whatever is added to the scheduler's parameters is in the trace; here only the settings above would be short.
    assert set(SETTINGS) <= set(tracing._parameters())
