"""The table of the API: each route once, with what it takes; dispatch, checks and OpenAPI are made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from thunderdl.rpc.api.fields import Field
from thunderdl.rpc.exchange import Scope

if TYPE_CHECKING:
    from thunderdl.rpc.api.application import Api

BASE = "/api/v1"


class Call(NamedTuple):
    """A request that was read: ``gid`` of its path, ``query`` and ``body`` by their fields, ``raw`` where the route
    takes bytes."""

    gid: str
    query: dict[str, Any]
    body: dict[str, Any]
    raw: bytes
    scope: Scope


# What is answered: a value for JSON, JSON itself as bytes, None for 204, or a whole answer.
Handler = Callable[["Api", Call], Awaitable[object]]


class Route(NamedTuple):
    """``body``: fields of the JSON object, None where there is none; ``as_given``: those not given are left out;
    ``takes_bytes``: any body at all; ``answers``: the schema of its answer, by name; ``type``: its media type."""

    method: str
    path: str
    handle: Handler
    help: str
    query: Sequence[Field] = ()
    body: Sequence[Field] | None = None
    takes_bytes: bool = False
    status: int = 200
    as_given: bool = False
    answers: str = ""
    type: str = "application/json"
