"""What the methods of aria2's RPC take, and aria2's words for what they do not. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple, cast


class Refused(Exception):
    """What a method does not do, in one sentence: code 1 of the RPC."""


class Unauthorized(Refused):
    """The token is missing, or another one. Clients key on this very word."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Kind(enum.Enum):
    """What stands at a place, as the documentation names it."""

    TEXT = "string"
    WHOLE = "integer"
    LIST = "array"
    STRUCT = "struct"
    BASE64 = "base64"


class Param(NamedTuple):
    """``least``: of an integer; below it aria2 says what must hold."""

    name: str
    kind: Kind
    optional: bool = False
    least: int | None = None


def checked(params: Sequence[Param], given: Sequence[object]) -> list[object]:
    """The values for the parameters, None where one is left out; what is beyond is passed over, as aria2 does. Of a
    list of texts only the texts. Raises Refused."""
    return [_value(param, at, given) for at, param in enumerate(params)]


def _value(param: Param, at: int, given: Sequence[object]) -> object:
    if at >= len(given):
        if param.optional:
            return None
        raise Refused(f"The parameter at {at} is required but missing.")
    value = given[at]
    if param.kind is Kind.WHOLE and isinstance(value, float):
        # aria2 knows no fractions, and cuts them off.
        value = int(value)
    if not isinstance(value, _TYPES[param.kind]) or isinstance(value, bool):
        raise Refused(f"The parameter at {at} has wrong type.")
    if param.least is not None and isinstance(value, int) and value < param.least:
        raise Refused(
            f"The integer parameter at {at} has invalid value: the value must be greater than or equal to "
            f"{param.least}."
        )
    return value


_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.TEXT: str, Kind.WHOLE: int, Kind.LIST: list, Kind.STRUCT: dict, Kind.BASE64: (str, bytes),
}  # fmt: skip


def check_place(at: int | None) -> None:
    """Of a place among others. Raises Refused for a negative one."""
    if at is not None and at < 0:
        raise Refused("Position must be greater than or equal to 0.")


def texts(values: object) -> list[str]:
    """The texts among the values; none of None."""
    return [each for each in cast("list[object]", values or []) if isinstance(each, str)]
