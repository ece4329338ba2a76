"""JSON-RPC 2.0 as aria2 speaks it: bytes to calls, answers to bytes and HTTP statuses. Pure.

Invariant: no input raises anything but :class:`Fault`, or makes an answer that is no JSON (JSONTestSuite).
As aria2: an error goes out under an HTTP status that is one, since AriaNg takes each 2xx for a success and never reads
``error``; a batch is 200 whatever is in it, and what in it is no object is passed over.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

#: Some way above what a call needs (multicall: 6). aria2 draws its line at about 50.
MOST_DEEP = 64
_INT64 = 1 << 63
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS, BUSINESS = -32700, -32600, -32602, 1
_STATUSES = {PARSE_ERROR: 500, INVALID_REQUEST: 400, INVALID_PARAMS: 500, BUSINESS: 400}


class Fault(Exception):
    """A call that is none. ``id``: as far as one could be read."""

    def __init__(self, code: int, message: str, id: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.id = code, message, id


class Call(NamedTuple):
    """``id``: to be given back as it is."""

    id: object
    method: str
    params: list[object]


class _Duplicate(Exception):
    """A name that stands twice in one object: whoever looked at the first would let the second through."""


def parse(body: bytes | str) -> Call | list[Call | Fault]:
    """The call, or those of a batch, in order. Raises Fault."""
    found = _decoded(body)
    if isinstance(found, list):
        return [_one(each) for each in found if isinstance(each, dict)]
    call = _one(found)
    if isinstance(call, Fault):
        raise call
    return call


def _one(found: object) -> Call | Fault:
    if not isinstance(found, dict) or "id" not in found:
        return Fault(INVALID_REQUEST, "Invalid Request.")
    method, params = found.get("method"), found.get("params", [])
    if not isinstance(method, str):
        return Fault(INVALID_REQUEST, "Invalid Request.", found["id"])
    if not isinstance(params, list):
        return Fault(INVALID_PARAMS, "Invalid params.", found["id"])
    return Call(found["id"], method, params)


def answered(id: object, result: object) -> dict[str, object]:
    """An answer."""
    return {"id": id, "jsonrpc": "2.0", "result": result}


def refused(fault: Fault) -> dict[str, object]:
    """An answer that is an error."""
    return {"id": fault.id, "jsonrpc": "2.0", "error": {"code": fault.code, "message": fault.message}}


def notified(method: str, gid: str) -> dict[str, object]:
    """What is told without being asked."""
    return {"jsonrpc": "2.0", "method": method, "params": [{"gid": gid}]}


def status_of(answer: Mapping[str, object] | Sequence[object]) -> int:
    """The HTTP status that it goes out under."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    return _STATUSES.get(error["code"], 400) if isinstance(error, Mapping) else 200


def encode(answer: object) -> str:
    """ASCII alone, so that a file name of any bytes makes text that every client reads."""
    return _encode(answer)


# -- reading


def _decoded(body: bytes | str) -> object:
    try:
        # By ourselves: json.loads would take UTF-16 and UTF-32 as well.
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        found: object = _DECODER.decode(text)
        if text.count("[") + text.count("{") > MOST_DEEP:
            _check_depth(found)
        if _SURROGATE.search(text):
            # Half a character is none, in no file name, URL or database.
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except _Duplicate:
        raise Fault(INVALID_REQUEST, "Invalid Request.") from None
    except (ValueError, RecursionError):
        raise Fault(PARSE_ERROR, "Parse error.") from None
    return found


def _check_depth(found: object) -> None:
    level = [found]
    for _ in range(MOST_DEEP):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, list | dict)]
        if not level:
            return
    raise ValueError("nested too deep")


def _inside(found: object) -> Sequence[object]:
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else ()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate
    return found


def _whole(text: str) -> int:
    if len(text) > 20 or not -_INT64 <= (number := int(text)) < _INT64:
        raise ValueError("out of range")
    return number


def _decimal(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number


def _no_number(text: str) -> object:
    raise ValueError(text)


def _decoder() -> json.JSONDecoder:
    parse_constant: Callable[[str], object] = _no_number
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_whole, parse_float=_decimal, parse_constant=parse_constant
    )


_DECODER = _decoder()
# One for all: json.dumps makes a new one wherever an argument is not its default.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
