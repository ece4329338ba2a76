"""The same methods by XML-RPC: the calls read by expat, and no document type with them (it is where
entities are declared, those that multiply and those that are files)."""

from __future__ import annotations

import re
from typing import cast
from xml.parsers import expat
from xmlrpc.client import Fault as XmlFault
from xmlrpc.client import ResponseError, Unmarshaller, dumps

from thunderdl.rpc.aria2.calling import Caller
from thunderdl.rpc.aria2.jsonrpc import MOST_DEEP, Call

_MULTICALL = "system.multicall"
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Wrong(Exception):
    """It is no call."""


async def answer(caller: Caller, body: bytes) -> bytes:
    """The answer to a call; what is none, and what goes wrong, as an XML-RPC fault."""
    try:
        method, params = read(body)
    except _Wrong as wrong:
        return _fault(1, str(wrong))
    told = cast("dict[str, object]", await caller.answer(Call(0, method, params)))
    error = told.get("error")
    if isinstance(error, dict):
        return _fault(error["code"], error["message"])
    result = cast(
        "int", _clean(_with_faults(told["result"]) if method == _MULTICALL else told["result"])
    )  # whatever it is: typeshed knows fewer kinds
    return dumps((result,), methodresponse=True).encode()


def read(body: bytes) -> tuple[str, list[object]]:
    """Method and parameters of a call. Raises _Wrong."""
    target = Unmarshaller(use_builtin_types=True)
    # Nothing is to be decoded: expat does.
    target.xml("", None)
    parser = expat.ParserCreate(None, None)
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        # Each level of a value is four of XML.
        if depth > 4 * MOST_DEEP:
            raise _Wrong("The call is nested too deeply.")
        target.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        target.end(tag)

    def declared(*_: object) -> None:
        raise _Wrong("A document type is not taken here.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(body, True)
        params = target.close()
    except _Wrong:
        raise
    except (expat.ExpatError, ResponseError, XmlFault, ValueError, LookupError, TypeError, AttributeError):
        raise _Wrong("It is no XML-RPC call.") from None
    method = target.getmethodname()
    if not isinstance(method, str):
        raise _Wrong("It is no XML-RPC call.")
    return method, list(params)


def _fault(code: object, message: object) -> bytes:
    return dumps(XmlFault(int(str(code)), _text(str(message)))).encode()


def _with_faults(results: object) -> object:
    """Of a multicall each result is in a list of its own, and a fault is named as XML-RPC names it."""
    assert isinstance(results, list)
    return [
        {"faultCode": each["code"], "faultString": each["message"]} if isinstance(each, dict) else each
        for each in results
    ]


def _clean(value: object) -> object:
    """Without what XML has no way to write."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items()}
    return value


def _text(text: str) -> str:
    return _NO_CHARACTER.sub("\ufffd", text)
