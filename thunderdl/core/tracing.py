"""The lines of a trace: all that a scheduler was made of, heard and said, as JSON. Pure: values to text and back.

    {"thunderdl trace": 1}                                                  the first line of a file
    {"d": 1, "begun": {"name": …, "seed": …, "settings": {…}, "sources": …}}  a download begins
    {"d": 1, "lane": 3}                                                     the engine asked for the id of a lane
    {"d": 1, "at": 12.5, "heard": {"Moved": {…}}, "said": [{"Fetch": {…}}]}   an event, and the commands it led to

Events, commands and the scheduler's settings are written by the names of their fields, and read by their types:
what is added to protocol.py or to the scheduler's parameters needs no word here. Times are the floats that the
scheduler was told, to the last bit, so that it decides the same once more.

A trace may come from a stranger: whatever :func:`read` returns has the types it claims, numbers that are finite and
below :data:`MOST`, and text without control characters; everything else is a ValueError with a clause.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn, TypeAlias

from thunderdl.core import protocol
from thunderdl.core.protocol import Command, Event
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.errors import printable

FORMAT = 1
FIRST_LINE = '{"thunderdl trace": %d}'
MAGIC = b'{"thunderdl trace": '
# No file, count or time is larger; twice as much still fits into a float's exponent and an int's 64 bits.
MOST = 2**62
LONGEST_TEXT = 2000
MOST_SOURCES = 1000
# A scheduler looks at all its lanes at each event: with more of them no replay would end.
MOST_LANES = 1024

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """``settings``: keyword arguments of :class:`Scheduler` but for the jitter, which ``seed`` makes;
    ``sources``: what each is called, by its id."""

    name: str
    seed: int
    settings: Mapping[str, object]
    sources: Mapping[int, str]

    @property
    def size(self) -> int:
        size = self.settings.get("size")
        return size if isinstance(size, int) else 0


@dataclass(frozen=True, slots=True)
class LaneGiven:
    """The engine was given this id for a connection of its own."""

    lane: int


@dataclass(frozen=True, slots=True)
class Step:
    """``said``: the answer to ``heard``; ``raised``: the exception that came instead, by its name."""

    at: float
    heard: Event
    said: tuple[Command, ...] = field(default=())
    raised: str = ""


Entry = Begun | LaneGiven | Step


def line_of(download: int, entry: Entry) -> str:
    """The line, without its end."""
    line: dict[str, Json] = {"d": download}
    if isinstance(entry, Begun):
        settings = {name: _plain(value) for name, value in entry.settings.items()}
        names: Json = {str(source): name for source, name in entry.sources.items()}
        line["begun"] = {"name": entry.name, "seed": entry.seed, "settings": settings, "sources": names}
    elif isinstance(entry, LaneGiven):
        line["lane"] = entry.lane
    else:
        line |= {"at": entry.at, "heard": _named(entry.heard)}
        if entry.raised:
            line["raised"] = entry.raised
        elif entry.said:
            line["said"] = [_named(command) for command in entry.said]
    return json.dumps(line, allow_nan=False, separators=(",", ":"))


def is_first_line(line: str) -> bool:
    """Whether a file that begins so is a trace of this format. ValueError where it is of another one, or none."""
    if not line.startswith(MAGIC.decode()):
        raise ValueError("not a trace of thunderdl")
    if _parsed(line) != {"thunderdl trace": FORMAT}:
        raise ValueError(f"a trace of another format than {FORMAT}; use the version of thunderdl that wrote it")
    return True


def read(line: str) -> tuple[int, Entry]:
    """The number of the download, and what the line says of it. Raises ValueError."""
    parsed = _mapping(_parsed(line))
    download = _whole(parsed.get("d"), "d")
    if "begun" in parsed:
        return download, _begun(_mapping(parsed["begun"]))
    if "lane" in parsed:
        return download, LaneGiven(_whole(parsed["lane"], "lane"))
    at = _typed(float, parsed.get("at"), "at")
    assert isinstance(at, float)
    said = parsed.get("said", [])
    if not isinstance(said, list):
        _refuse("said", "a list")
    commands = tuple(_of_kinds(_commands(), each) for each in said)
    raised = parsed.get("raised", "")
    event = _of_kinds(_events(), parsed.get("heard"))
    # The two unions are all that these tables hold.
    return download, Step(at, typing.cast(Event, event), typing.cast("tuple[Command, ...]", commands), _text(raised))


# -- writing


def _named(value: Event | Command) -> Json:
    kind: type = type(value)
    return {kind.__name__: {each: _plain(getattr(value, each)) for each in _fields_of(kind)}}


@cache
def _fields_of(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(kind))


def _plain(value: object) -> Json:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, frozenset | set):
        return sorted((_plain(each) for each in value), key=str)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, RangeSet):
        return [[start, end] for start, end in value]
    raise TypeError(f"a trace cannot hold a {type(value).__name__}")


# -- reading


def _parsed(line: str) -> Json:
    try:
        found: Json = json.loads(line, parse_constant=_not_a_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg})") from None
    return found


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _begun(found: Mapping[str, Json]) -> Begun:
    settings: dict[str, object] = {}
    for name, hint in _parameters().items():
        if name in (given := _mapping(found.get("settings"))):
            settings[name] = _typed(hint, given[name], name)
    names = _mapping(found.get("sources"))
    if len(names) > MOST_SOURCES:
        raise ValueError(f"more than {MOST_SOURCES} sources")
    sources = {_number(key): _text(name) for key, name in names.items()}
    begun = Begun(
        name=_text(found.get("name")), seed=_whole(found.get("seed"), "seed"), settings=settings, sources=sources
    )
    _check_settings(settings)
    return begun


def _check_settings(settings: Mapping[str, object]) -> None:
    """Refuse what would make a scheduler that runs for ever, or none."""
    for name in ("size", "align", "host_lanes", "all_lanes"):
        value = settings.get(name)
        most = MOST_LANES if name.endswith("lanes") else MOST
        if not isinstance(value, int) or not 0 < value <= most:
            raise ValueError(f"{name} must be from 1 to {most}")
    filled, size = settings.get("filled"), settings["size"]
    if isinstance(filled, RangeSet) and isinstance(size, int) and any(end > size for _, end in filled):
        raise ValueError("bytes behind the end of the file are said to be there")


def _of_kinds(kinds: Mapping[str, type], found: Json) -> object:
    (name, values), *more = [*_mapping(found).items(), ("", None)][:2]
    if name not in kinds or more[0:1] not in ([], [("", None)]):
        raise ValueError(f"{_text(name)!r} is nothing that a scheduler hears or says")
    kind, given = kinds[name], _mapping(values)
    hints = _hints_of(kind)
    arguments = {each: _typed(hints[each], given[each], each) for each in _fields_of(kind) if each in given}
    try:
        return kind(**arguments)
    except TypeError:
        missing = [each for each in _fields_of(kind) if each not in given]
        raise ValueError(f"{name} lacks {', '.join(missing)}") from None


def _typed(hint: object, raw: Json, name: str) -> object:
    """``raw`` as a value of the type ``hint``."""
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        if raw is None and type(None) in arguments:
            return None
        return _typed(next(each for each in arguments if each is not type(None)), raw, name)
    if typing.get_origin(hint) in (frozenset, tuple) and isinstance(raw, list):
        made = [_typed(arguments[0], each, name) for each in raw]
        return frozenset(made) if typing.get_origin(hint) is frozenset else tuple(made)
    if hint is RangeSet:
        return _ranges(raw, name)
    if isinstance(hint, enum.EnumMeta):
        members: list[enum.Enum] = list(hint)
        found = next((member for member in members if member.value == raw), None)
        return found or _refuse(name, "one of the values it may have")
    return _simple(hint, raw, name)


def _simple(hint: object, raw: Json, name: str) -> object:
    if hint is str:
        return _text(raw)
    if hint is bool:
        return raw if isinstance(raw, bool) else _refuse(name, "true or false")
    if hint is int:
        return _whole(raw, name)
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        # An int may be too large for a float; NaN is at most nothing.
        return float(raw) if abs(raw) <= MOST else _refuse(name, "a number within reason")
    return _refuse(name, "a value of its type")


def _ranges(raw: Json, name: str) -> RangeSet:
    if not isinstance(raw, list):
        _refuse(name, "a list of ranges")
    pairs: list[tuple[int, int]] = []
    for each in raw:
        if not isinstance(each, list) or len(each) != 2:
            _refuse(name, "a list of ranges")
        start, end = (_whole(bound, name) for bound in each)
        if start > end:
            _refuse(name, "a list of ranges")
        pairs.append((start, end))
    return RangeSet(pairs)


def _mapping(raw: Json) -> dict[str, Json]:
    if not isinstance(raw, dict):
        raise ValueError("not a line of a trace")
    return raw


def _whole(raw: Json, name: str) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw <= MOST:
        _refuse(name, "a whole number within reason")
    return raw


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        _refuse("sources", "named by number")
    return int(text)


def _text(raw: Json) -> str:
    if not isinstance(raw, str):
        raise ValueError("a text is missing")
    return printable(raw[:LONGEST_TEXT])


def _refuse(name: str, expected: str) -> NoReturn:
    raise ValueError(f"{name} is not {expected}")


# -- tables, made when first needed


@cache
def _events() -> dict[str, type]:
    return {kind.__name__: kind for kind in typing.get_args(protocol.Event)}


@cache
def _commands() -> dict[str, type]:
    return {kind.__name__: kind for kind in typing.get_args(protocol.Command)}


@cache
def _hints_of(kind: type) -> dict[str, object]:
    return typing.get_type_hints(kind)


@cache
def _parameters() -> dict[str, object]:
    hints: dict[str, object] = typing.get_type_hints(Scheduler.__init__)
    return {name: hint for name, hint in hints.items() if name not in ("return", "jitter")}
