"""What a request may say, field by field: read, judged, and described (JSON Schema) by the same table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from thunderdl.errors import printable
from thunderdl.rpc.exchange import Refused

LONGEST = 65536
_MOST_NAMES = 1000


class Shape(NamedTuple):
    """``schema``: as OpenAPI has it; ``take``: the value from JSON, ValueError with what was expected; ``text``: the
    same from a query's text."""

    schema: Mapping[str, Any]
    take: Callable[[object], Any]
    text: Callable[[str], Any] = str


class Field(NamedTuple):
    """``default``: what it is where it is absent; ``needed``: it may not be."""

    name: str
    shape: Shape
    help: str
    default: Any = None
    needed: bool = False


def read(fields: Sequence[Field], given: object, where: str = "") -> dict[str, Any]:
    """The value of each field, from a JSON object. Raises Refused: 400 for a wrong type, an unknown or absent field."""
    if not isinstance(given, dict):
        raise _bad(where, "a JSON object is expected")
    known = {field.name for field in fields}
    for name in given:
        if name not in known:
            raise _bad(where, f"{printable(name)[:60]!r} is no field of it; there are {', '.join(sorted(known))}")
    return {field.name: _one(field, given, where, field.shape.take) for field in fields}


def read_given(fields: Sequence[Field], given: object) -> dict[str, Any]:
    """The same without those that were not given."""
    told = read(fields, given)
    return {name: value for name, value in told.items() if isinstance(given, dict) and name in given}


def read_query(fields: Sequence[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """The same from the query of a URL."""
    known = {field.name for field in fields}
    for name in given:
        if name not in known:
            raise _bad("", f"{printable(name)[:60]!r} is no parameter here")
    return {field.name: _one(field, given, "", field.shape.text) for field in fields}


def _one(field: Field, given: Mapping[str, Any], where: str, take: Callable[[Any], Any]) -> Any:
    if field.name not in given:
        if field.needed:
            raise _bad(where, f"{field.name} is missing")
        return field.default
    try:
        return take(given[field.name])
    except ValueError as error:
        raise _bad(where, f"{field.name}: {error} is expected") from None


def _bad(where: str, what: str) -> Refused:
    return Refused(400, "UsageError", f"{where}: {what}." if where else f"{what}.")


# -- shapes


def text(*choices: str) -> Shape:
    """Text that can be written to a disk, or one of ``choices``."""
    if choices:
        expected = "one of " + ", ".join(choices)

        def choose(value: object) -> str:
            if not isinstance(value, str) or value not in choices:
                raise ValueError(expected)
            return value

        return Shape({"type": "string", "enum": list(choices)}, choose, choose)
    return Shape({"type": "string"}, _text, _text)


def whole(least: int, most: int) -> Shape:
    """A whole number, both ends included."""
    expected = f"a whole number from {least} to {most}"

    def take(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(expected)
        return value

    def from_text(given: str) -> int:
        if not (given.isascii() and given.removeprefix("-").isdecimal() and len(given) < 20):
            raise ValueError(expected)
        return take(int(given))

    return Shape({"type": "integer", "minimum": least, "maximum": most}, take, from_text)


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e15:
        raise ValueError("a number")
    return float(value)


def _number_of_text(given: str) -> float:
    try:
        return _number(float(given))
    except ValueError:
        raise ValueError("a number") from None


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _switch_of_text(given: str) -> bool:
    if given not in ("0", "1", "true", "false"):
        raise ValueError("0 or 1")
    return given in ("1", "true")


def _text(value: object) -> str:
    # Lone surrogates are in no file's name and in no database.
    if not isinstance(value, str) or len(value) > LONGEST or not _is_utf8(value):
        raise ValueError(f"text of up to {LONGEST} characters")
    return value


def _is_utf8(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_NAMES:
        raise ValueError(f"a list of up to {_MOST_NAMES} texts")
    return tuple(map(_text, value))


def _options(value: object) -> dict[str, str | tuple[str, ...]]:
    if not isinstance(value, dict) or len(value) > _MOST_NAMES:
        raise ValueError("a table of options, each a text or a list of texts,")
    return {_text(name): _texts(each) if isinstance(each, list) else _text(each) for name, each in value.items()}


def or_none(shape: Shape) -> Shape:
    """The same, or null."""

    def take(value: object) -> Any:
        return None if value is None else shape.take(value)

    return Shape({"anyOf": [shape.schema, {"type": "null"}]}, take, shape.text)


def either(*shapes: Shape) -> Shape:
    """What fits the first of them."""

    def take(value: object) -> Any:
        told = []
        for shape in shapes:
            try:
                return shape.take(value)
            except ValueError as error:
                told.append(str(error))
        raise ValueError(", or ".join(told))

    return Shape({"anyOf": [shape.schema for shape in shapes]}, take)


def table_rows(keys: Sequence[str], most: int) -> Shape:
    """A list of rows, each with a text for each key; absent ones are empty."""
    expected = f"a list of up to {most} rows of texts, {', '.join(keys)},"

    def take(value: object) -> list[dict[str, str]]:
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(expected)
        return [_row(each) for each in value]

    def _row(value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not set(value) <= set(keys):
            raise ValueError(expected)
        return {key: _text(value.get(key, "")) for key in keys}

    row = {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "additionalProperties": False}
    return Shape({"type": "array", "items": row}, take)


def _text_table(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_NAMES:
        raise ValueError("a table of texts")
    return {_text(name): _text(each) for name, each in value.items()}


def _anything(value: object) -> object:
    return value


_TEXT_OR_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
TEXT = text()
TEXTS = Shape({"type": "array", "items": {"type": "string"}}, _texts)
SWITCH = Shape({"type": "boolean"}, _switch, _switch_of_text)
NUMBER = Shape({"type": "number"}, _number, _number_of_text)
OPTIONS = Shape({"type": "object", "additionalProperties": _TEXT_OR_TEXTS}, _options)
TEXT_TABLE = Shape({"type": "object", "additionalProperties": {"type": "string"}}, _text_table)
ANYTHING = Shape({}, _anything)
