"""Calls carried out: the token, the method, the calls of a multicall.

Invariants: of one request at most one wrong token is looked at, and its answer takes a second; what is
asked for in a row with ``addUri`` is written to the disk together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile

from thunderdl.errors import ThunderdlError, foreseen
from thunderdl.rpc.aria2 import adding
from thunderdl.rpc.aria2.jsonrpc import BUSINESS, Call, Fault, answered, refused
from thunderdl.rpc.aria2.methods import METHODS, Method
from thunderdl.rpc.aria2.params import Kind, Param, Refused, Unauthorized, checked
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.secret import TooManyGuesses

#: Whether that is the secret; False only after a second. May raise TooManyGuesses.
Proof = Callable[[str], Awaitable[bool]]
_TOKEN = "token:"
_MULTICALL, _ADD = "system.multicall", "aria2.addUri"
_CALLS = (Param("methods", Kind.LIST),)
# So many are added in one go, and so many are looked at before others have their turn.
_TOGETHER, _A_TURN = 1000, 20


class Caller:
    """Carries out what one client asks for."""

    def __init__(self, session: Session, proof: Proof) -> None:
        self._session, self._proof = session, proof

    async def answer(self, asked: Call | Sequence[Call | Fault]) -> dict[str, object] | list[object]:
        """The answer to a call, or those to a batch."""
        request = _Request(self._session, self._proof)
        if isinstance(asked, Call):
            return await request.answer(asked)
        return [await request.answer(each) for each in asked]


class _Request:
    """The calls of one request."""

    def __init__(self, session: Session, proof: Proof) -> None:
        self._session, self._proof = session, proof
        # A wrong token was tried; one was missing, and that took its second.
        self._is_lost = self._has_waited = False

    async def answer(self, call: Call | Fault) -> dict[str, object]:
        if isinstance(call, Fault):
            return refused(call)
        try:
            return answered(call.id, await self._result(call.method, call.params))
        except Refused as error:
            return refused(Fault(BUSINESS, str(error), call.id))

    async def _result(self, name: str, params: Sequence[object]) -> object:
        if name == _MULTICALL:
            (calls,) = checked(_CALLS, params)
            assert isinstance(calls, list)
            return await self._each(calls)
        return await self._run(*await self._admitted(name, params))

    async def _admitted(self, name: str, params: Sequence[object]) -> tuple[Method, Sequence[object]]:
        """The method, and what is left of the parameters without the token. Raises Refused."""
        method = METHODS.get(name)
        token: str | None = None
        if params and isinstance(params[0], str) and params[0].startswith(_TOKEN):
            token, params = params[0][len(_TOKEN) :], params[1:]
        if method is None or method.needs_token:
            await self._prove(token)
        if method is None:
            raise Refused(f"No such method: {name[:80]}")
        return method, params

    async def _prove(self, token: str | None) -> None:
        if self._is_lost or (token is None and self._has_waited):
            raise Unauthorized
        try:
            is_it = await self._proof(token or "")
        except TooManyGuesses:
            is_it = False
        if not is_it:
            self._is_lost, self._has_waited = token is not None, True
            raise Unauthorized

    async def _run(self, method: Method, params: Sequence[object]) -> object:
        values = checked(method.params, params)
        try:
            return await method.run(self._session, *values)
        except ThunderdlError as error:
            raise Refused(str(foreseen(error))) from None

    # -- multicall

    async def _each(self, calls: Sequence[object]) -> list[object]:
        """Each with its own token; a fault takes the place of a result. No multicall within."""
        results: list[object] = []
        while len(results) < len(calls):
            rest = calls[len(results) : len(results) + _TOGETHER]
            added = await self._added(list(takewhile(_is_addition, rest)))
            results += added or [await self._one(rest[0])]
            await asyncio.sleep(0)
        return results

    async def _one(self, call: object) -> object:
        try:
            name, params = _parts(call)
            if name == _MULTICALL:
                raise Refused("Recursive system.multicall forbidden.")
            return [await self._result(name, params)]
        except Refused as error:
            return {"code": BUSINESS, "message": str(error)}

    async def _added(self, calls: Sequence[object]) -> list[object]:
        """The answers of the first of them, as far as they can be added together; none where that does not pay."""
        new: list[adding.New] = []
        try:
            for number, call in enumerate(calls):
                if number % _A_TURN == 0:
                    await asyncio.sleep(0)
                method, params = await self._admitted(*_parts(call))
                uris, options, at = checked(method.params, params)
                one = adding.new_of(uris, options, at)  # type: ignore[arg-type]  # checked against the table
                if at is not None or (new and one.paused != new[0].paused):
                    break
                new.append(one)
        except Refused:
            # Whose fault it is is told when it is carried out alone.
            pass
        if len(new) < 2 or len({each.gid for each in new}) < len(new):
            return []
        try:
            await adding.add(self._session, new)
        except Refused:
            return []
        return [[each.gid] for each in new]


def _is_addition(call: object) -> bool:
    return isinstance(call, dict) and call.get("methodName") == _ADD


def _parts(call: object) -> tuple[str, Sequence[object]]:
    if not isinstance(call, dict):
        raise Refused("system.multicall expected struct.")
    name, params = call.get("methodName"), call.get("params")
    if not isinstance(name, str):
        raise Refused("Missing methodName.")
    return name, params if isinstance(params, list) else ()
