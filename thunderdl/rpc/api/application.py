"""ASGI for the routes of the table: which one is meant, what it is given, how it is answered."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import thunderdl
from thunderdl.daemon.jobs import GID, Job
from thunderdl.daemon.queue import NoSuchTask, Queue
from thunderdl.errors import ThunderdlError
from thunderdl.rpc import metrics
from thunderdl.rpc.api import documents, events, logging_in, overview, tasks
from thunderdl.rpc.api.fields import TEXT, Field, read, read_given, read_query
from thunderdl.rpc.api.live import Live
from thunderdl.rpc.api.openapi import described
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

_EVENT_QUERY = (Field("task", TEXT, "Its details, too.", ""),)
_MOST_PARAMETERS = 50


async def _events(api: Api, call: Call) -> object:
    return Streamed(call.query["task"] or None)


async def _openapi(api: Api, _: Call) -> object:
    return described(ROUTES, api.version)


async def _metrics(api: Api, _: Call) -> object:
    return Answer(200, metrics.metrics(api.live.stat(), api.totals(), api.version), metrics.TYPE)


ROUTES: tuple[Route, ...] = (
    *logging_in.ROUTES, *tasks.ROUTES, *documents.ROUTES, *overview.ROUTES,
    Route("GET", f"{BASE}/events", _events, "What happens, as server-sent events.", _EVENT_QUERY, answers="Text",
          type="text/event-stream"),
    Route("GET", f"{BASE}/openapi.json", _openapi, "This document.", answers="OpenApi"),
    Route("GET", "/metrics", _metrics, "The numbers over all, for Prometheus.", answers="Text", type="text/plain"),
)  # fmt: skip


class Streamed(NamedTuple):
    """Answered with the event stream, and the details of a task."""

    gid: str | None


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

    def totals(self) -> dict[str, float]:
        """Counters since the daemon began."""
        totals = self.queue.client.totals()
        return {"files_done": totals.files_done, "files_failed": totals.files_failed, "bytes": totals.bytes_done}

    async def job(self, gid: str) -> Job:
        """The task of that name, also one that ended long ago; or the one at hand whose name begins so. Raises
        NoSuchTask, UsageError where several do, StorageError."""
        if not GID.fullmatch(gid):
            return self.queue.find(gid)
        if (job := self.queue.at_hand(gid)) is not None:
            return job
        old = await self.queue.store.job(gid)
        # Meanwhile another request may have brought it back: two tasks of one gid would run.
        if (job := self.queue.at_hand(gid) or old) is None:
            raise NoSuchTask(gid)
        return job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answered(scope, receive)
        except ThunderdlError as error:
            answer = refusal_of(error).answer()
        if isinstance(answer, Streamed):
            await events.stream(self.live, answer.gid, receive, send)
        else:
            await answer.send(send)

    async def _answered(self, scope: Scope, receive: Receive) -> Answer | Streamed:
        route, gid = _found(scope["path"], scope["method"])
        query = read_query(route.query, _query(scope))
        body, raw = {}, b""
        if route.takes_bytes:
            raw = await body_of(receive)
        elif route.body is not None:
            _check_type(scope)
            take = read_given if route.as_given else read
            body = take(route.body, parsed(await body_of(receive)))
        told = await route.handle(self, Call(gid, query, body, raw, scope))
        if isinstance(told, Answer | Streamed):
            return told
        if told is None:
            return Answer(204)
        return Answer(route.status, told if isinstance(told, bytes) else encoded(told))


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
