"""ASGI for the routes of the table: which one is meant, what it is given, how it is answered."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl

import thunderdl
from thunderdl.daemon.jobs import GID, Job
from thunderdl.daemon.queue import NoSuchTask, Queue
from thunderdl.errors import ThunderdlError
from thunderdl.rpc.api import events, logging_in, tasks
from thunderdl.rpc.api.fields import TEXT, Field, read, read_query
from thunderdl.rpc.api.live import Live
from thunderdl.rpc.api.routes import BASE, Call, Route
from thunderdl.rpc.exchange import (
    JSON_TYPE,
    Answer,
    Receive,
    Refused,
    Scope,
    Send,
    body_of,
    encoded,
    header_of,
    parsed,
    refusal_of,
)
from thunderdl.rpc.secret import Secret

ROUTES: tuple[Route, ...] = (*logging_in.ROUTES, *tasks.ROUTES)
EVENTS = f"{BASE}/events"
_EVENT_QUERY = (Field("task", TEXT, "Its details, too.", ""),)
_MOST_PARAMETERS = 50


class Api:
    """``queue`` as REST, and as a stream of events."""

    def __init__(self, queue: Queue, secret: Secret) -> None:
        self.queue, self.secret, self.live = queue, secret, Live(queue)
        self.version = thunderdl.__version__

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.live.running():
            yield

    def close(self) -> None:
        """End what would not end by itself."""
        self.live.close()

    async def job(self, gid: str) -> Job:
        """The task of that name, also one that ended long ago. Raises NoSuchTask, StorageError."""
        job = self.queue.at_hand(gid)
        if job is None and GID.fullmatch(gid):
            job = await self.queue.store.job(gid)
        if job is None:
            raise NoSuchTask(gid)
        return job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == EVENTS and scope["method"] == "GET":
                await events.stream(self.live, self._watched(scope), receive, send)
                return
            answer = await self._answered(scope, receive)
        except ThunderdlError as error:
            answer = refusal_of(error).answer()
        await answer.send(send)

    def _watched(self, scope: Scope) -> str | None:
        gid = read_query(_EVENT_QUERY, _query(scope))["task"]
        return gid or None

    async def _answered(self, scope: Scope, receive: Receive) -> Answer:
        route, gid = _found(scope["path"], scope["method"])
        query = read_query(route.query, _query(scope))
        body, raw = {}, b""
        if route.takes_bytes:
            raw = await body_of(receive)
        elif route.body is not None:
            _check_type(scope)
            body = read(route.body, parsed(await body_of(receive)))
        told = await route.handle(self, Call(gid, query, body, raw, scope))
        if isinstance(told, Answer):
            return told
        return Answer(204) if told is None else Answer(route.status, encoded(told))


def _table() -> Mapping[str, Mapping[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    return found


_BY_PATH = _table()
_TASKS = f"{BASE}/tasks/"


def _found(path: str, method: str) -> tuple[Route, str]:
    """The route and the gid of its path. Raises Refused: 404, 405."""
    gid = ""
    if path.startswith(_TASKS):
        gid, slash, rest = path[len(_TASKS) :].partition("/")
        path = f"{_TASKS}{{gid}}{slash}{rest}"
    methods = _BY_PATH.get(path)
    if methods is None:
        raise Refused(404, "NotFound", "there is no such address in this API; see openapi.json.")
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = ", ".join(sorted(methods))
        raise Refused(405, "UsageError", f"this address takes {allowed}.", ((b"allow", allowed.encode()),))
    return route, gid


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Refused(400, "UsageError", "the query is not one of a URL in UTF-8.") from None
    return dict(pairs)


def _check_type(scope: Scope) -> None:
    """A page elsewhere can send a form or plain text without asking first, JSON it cannot."""
    found = (header_of(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if found != JSON_TYPE:
        raise Refused(415, "UsageError", "send it as JSON, with Content-Type: application/json.")
