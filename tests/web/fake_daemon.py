"""The page's API on a loopback port, with a scripted queue behind it.

``python -m tests.web.fake_daemon --scene busy --port 8123`` serves it to look at; tests use :class:`FakeDaemon`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.web.scenes import SCENES
from tests.web.world import ENDED, LIVE, QUEUED, Json, World

WEB = Path(__file__).parents[2] / "thunderdl" / "rpc" / "web"
SECRET = "b0b5-and-al1ce"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)


class Refused(Exception):
    """Answered with ``status`` and the body that the API has for a refusal."""

    def __init__(self, status: int, message: str, kind: str = "UsageError") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class Headers:
    """What the real server sends with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = {
                    "content-security-policy": CSP,
                    "x-content-type-options": "nosniff",
                    "cache-control": "no-cache",
                }
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in more.items())]
            await send(message)

        await self.app(scope, receive, with_headers)


class FakeDaemon:
    """Serves ``world`` from a thread of its own; ``tick_s``: how often its clock is turned, and by how much."""

    def __init__(self, world: World, *, tick_s: float = 0.25, port: int = 0) -> None:
        self.world = world
        self.tick_s = tick_s
        self.secret = SECRET
        self.requests: list[str] = []
        # Parts of paths that are refused.
        self.broken: set[str] = set()
        self._listeners: dict[asyncio.Queue[str], str] = {}
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> FakeDaemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Answers from now on, at the same port as before; returns once it does."""
        if self._socket.fileno() < 0:
            self._socket = _listen(self.port)
        config = uvicorn.Config(self.app(), log_level="error", lifespan="on", timeout_graceful_shutdown=1, ws="none")
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._ready = ready
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        assert ready.wait(30), "the fake server did not start"

    def stop(self) -> None:
        """The port is closed, every connection with it; the queue is kept."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._loop.call_soon_threadsafe(self._hang_up)
        self._thread.join(10)
        self._socket.close()
        self._server = None

    def _hang_up(self) -> None:
        for queue in self._listeners:
            queue.put_nowait("")

    def app(self) -> Starlette:
        api = [
            Route(path, self._answer(handle), methods=[method])
            for method, path, handle in (
                ("POST", "/login", self.login), ("POST", "/logout", self.logout), ("GET", "/session", self.session),
                ("GET", "/tasks", self.list_tasks), ("POST", "/tasks", self.add), ("POST", "/documents", self.document),
                ("POST", "/inspect", self.inspect), ("GET", "/tasks/{gid}", self.detail),
                ("PATCH", "/tasks/{gid}", self.change), ("DELETE", "/tasks/{gid}", self.remove),
                ("POST", "/tasks/{gid}/move", self.move), ("POST", "/tasks/{gid}/{what}", self.act),
                ("POST", "/queue/{what}", self.queue), ("GET", "/history", self.history),
                ("DELETE", "/history", self.forget_all), ("GET", "/settings", self.get_settings),
                ("PATCH", "/settings", self.set_settings), ("GET", "/events", self.events),
            )
        ]  # fmt: skip
        routes = [Mount("/api/v1", routes=api), Mount("/", StaticFiles(directory=WEB, html=True))]
        return Starlette(routes=routes, lifespan=self._lifespan, middleware=[Middleware(Headers)])

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        ticker = asyncio.create_task(self._turn_the_clock())
        self._ready.set()
        yield
        ticker.cancel()

    def _answer(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            self.requests.append(f"{request.method} {request.url.path}")
            try:
                if request.url.path != "/api/v1/login":
                    self._check_cookie(request)
                if any(part in request.url.path for part in self.broken):
                    raise Refused(409, "This is broken on purpose.", "StateError")
                return await handle(request)
            except Refused as refused:
                told = {"error": {"kind": refused.kind, "message": str(refused)}}
                return JSONResponse(told, refused.status)

        return answered

    def _check_cookie(self, request: Request) -> None:
        if not hmac.compare_digest(request.cookies.get("thunderdl", ""), self.secret):
            raise Refused(401, "Log in first: this needs the daemon's secret.", "AccessError")

    def _task(self, request: Request) -> Json:
        gid = request.path_params["gid"]
        if gid not in self.world.tasks:
            raise Refused(404, f"There is no task {gid}.")
        return self.world.tasks[gid]

    # -- the routes ----------------------------------------------------------------------------------------------

    async def login(self, request: Request) -> Response:
        secret = str((await request.json()).get("secret"))
        if not hmac.compare_digest(secret.encode(), self.secret.encode()):
            raise Refused(401, "That is not the daemon's secret: it stands in its file secret.", "AccessError")
        response = Response(status_code=204)
        response.set_cookie("thunderdl", self.secret, httponly=True, samesite="strict")
        return response

    async def logout(self, _: Request) -> Response:
        response = Response(status_code=204)
        response.delete_cookie("thunderdl")
        return response

    async def session(self, _: Request) -> Response:
        return JSONResponse({"version": "0.1.0"})

    async def list_tasks(self, request: Request) -> Response:
        world, query = self.world, request.query_params
        lists = {"active": world.active, "waiting": world.queued, "ended": world.history}
        tasks = lists[query.get("state", "active")]()
        start = int(query.get("offset", 0))
        return JSONResponse({"tasks": tasks[start : start + int(query.get("limit", 100))], "total": len(tasks)})

    async def add(self, request: Request) -> Response:
        wanted = await request.json()
        wanted = wanted.get("tasks", [wanted])
        for one in wanted:
            if not all(url.partition(":")[0] in ("http", "https", "ftp", "sftp", "magnet") for url in one["urls"]):
                raise Refused(
                    400, f"{one['urls'][0]}: not a URL that can be downloaded; write it with http:// or another."
                )
        added = [self.world.add(one) for one in wanted]
        self._tell_changes()
        return JSONResponse({"tasks": added}, 201)

    async def document(self, request: Request) -> Response:
        seen = _look_into(await request.body(), request.query_params.get("name", ""))
        options = json.loads(request.query_params.get("options", "{}"))
        wanted: Json = {"urls": [seen["name"]], "name": seen["name"], "kind": "torrent", "options": options}
        wanted |= {"paused": request.query_params.get("paused") in ("1", "true")}
        added = self.world.add(wanted | {"size_bytes": seen["size_bytes"]})
        self._tell_changes()
        return JSONResponse({"tasks": [added]}, 201)

    async def inspect(self, request: Request) -> Response:
        body = await request.body()
        if "json" in request.headers.get("content-type", ""):
            body = f"d:{json.loads(body)['url']}".encode()
        return JSONResponse(_look_into(body, ""))

    async def detail(self, request: Request) -> Response:
        return JSONResponse(self.world.detail(self._task(request)["gid"]))

    async def change(self, request: Request) -> Response:
        task, wanted = self._task(request), await request.json()
        limit = wanted.get("options", {}).get("task_limit", task["limit"])
        task.update({key: wanted[key] for key in ("priority", "category") if key in wanted})
        script = self.world.scripts[task["gid"]]
        script.options.update(wanted.get("options", {}))
        if "files" in wanted:
            chosen = _numbers(wanted["files"])
            for entry in script.files:
                entry["selected"] = entry["index"] in chosen
        self.world.changed.add(task["gid"])
        task["limit"] = None if limit in ("0", "") else limit
        self._tell_changes()
        return JSONResponse(task)

    async def remove(self, request: Request) -> Response:
        task = self._task(request)
        if task["state"] in ENDED:
            self.world.forget(task["gid"])
        else:
            self.world.become(task["gid"], "removed")
        self._tell_changes()
        return Response(status_code=204)

    async def act(self, request: Request) -> Response:
        task, what = self._task(request), request.path_params["what"]
        allowed = {"pause": (*LIVE, "waiting"), "resume": ("paused",), "retry": ENDED, "recheck": ENDED + QUEUED}
        if what not in allowed or task["state"] not in allowed[what]:
            raise Refused(409, f"{task['name']} is {task['state']}: it cannot {what} now.", "StateError")
        state = {"pause": "paused"}.get(what, "waiting")
        self.world.become(task["gid"], state)
        self._tell_changes()
        return JSONResponse(task)

    async def move(self, request: Request) -> Response:
        task = self._task(request)
        if task["gid"] not in self.world.waiting:
            raise Refused(409, f"{task['name']} is {task['state']}: only what waits has a place.", "StateError")
        place = self.world.move(task["gid"], (await request.json())["to"])
        self._tell_changes()
        return JSONResponse({"position": place})

    async def queue(self, request: Request) -> Response:
        pause = request.path_params["what"] == "pause"
        for task in list(self.world.tasks.values()):
            if pause and task["state"] in (*LIVE, "waiting"):
                self.world.become(task["gid"], "paused")
            elif not pause and task["state"] == "paused":
                self.world.become(task["gid"], "waiting")
        self._tell_changes()
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        query = request.query_params
        text, state, before = query.get("q", "").casefold(), query.get("state"), query.get("before")
        found = [
            task
            for task in self.world.history()
            if text in task["name"].casefold() and state in (None, "", task["state"])
            and (before is None or task["ended_at"] < float(before))
        ]  # fmt: skip
        found.sort(key=lambda task: -task["ended_at"])
        limit = int(query.get("limit", 100))
        return JSONResponse({"tasks": found[:limit], "more": len(found) > limit})

    async def forget_all(self, _: Request) -> Response:
        for gid in list(self.world.ended):
            self.world.forget(gid)
        self._tell_changes()
        return Response(status_code=204)

    async def get_settings(self, _: Request) -> Response:
        return JSONResponse(self.world.settings)

    async def set_settings(self, request: Request) -> Response:
        wanted = await request.json()
        if not str(wanted.get("dir", "/srv")).startswith("/srv"):
            raise Refused(403, f"{wanted['dir']}: outside of the folders that the daemon may save into: /srv.")
        self.world.settings.update(wanted)
        self._send("settings", self.world.settings)
        self._send("stat", self.world.stat())
        return JSONResponse(self.world.settings)

    # -- events --------------------------------------------------------------------------------------------------

    async def events(self, request: Request) -> Response:
        gid = request.query_params.get("task", "")
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners[queue] = gid
        world = self.world
        tasks = world.active() + world.queued()[:200] + world.history()[:100]
        first: Json = {"tasks": tasks, "counts": world.counts(), "stat": world.stat(), "settings": world.settings}
        first["rates"] = world.rates
        queue.put_nowait(_event("snapshot", first))
        if gid in world.tasks:
            queue.put_nowait(_event("detail", world.detail(gid)))

        async def stream() -> AsyncIterator[str]:
            try:
                while event := await queue.get():
                    yield event
            finally:
                self._listeners.pop(queue, None)

        return StreamingResponse(stream(), media_type="text/event-stream")

    def _send(self, kind: str, data: Json) -> None:
        for queue in self._listeners:
            queue.put_nowait(_event(kind, data))

    def _tell_changes(self) -> None:
        world = self.world
        changed = [world.tasks[gid] for gid in world.changed if gid in world.tasks]
        if changed or world.gone:
            self._send("tasks", {"changed": changed, "gone": world.gone})
        if world.reordered:
            self._send("order", {"waiting": world.waiting[:200]})
        for queue, gid in self._listeners.items():
            if gid in world.changed:
                queue.put_nowait(_event("detail", world.detail(gid)))
        world.changed, world.gone, world.reordered = set(), [], False

    async def _turn_the_clock(self) -> None:
        while True:
            await asyncio.sleep(self.tick_s)
            self.world.tick(self.tick_s)
            self._tell_changes()
            self._send("stat", self.world.stat())


def _event(kind: str, data: Json) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    # Here, for uvicorn listens only after the lifespan has begun, and a browser may be there before.
    listening.listen()
    return listening


def _look_into(body: bytes, name: str) -> Json:
    """What /inspect tells: not of the body, only of whether it looks like a document at all."""
    if not body.startswith((b"d", b"<?xml")):
        raise Refused(400, f"{name or 'This'}: neither a torrent nor a metalink.")
    files = [("album/01 Rain.flac", 31_000_000), ("album/02 Thunder.flac", 42_000_000), ("album/cover.png", 900_000)]
    listed = [{"index": n, "path": path, "size_bytes": size} for n, (path, size) in enumerate(files, 1)]
    return {"name": unquote(name).removesuffix(".torrent") or "album", "size_bytes": 73_900_000, "files": listed}


def _numbers(text: str) -> set[int]:
    """``1,3-5`` → {1, 3, 4, 5}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scene", choices=SCENES, default="busy")
    parser.add_argument("--port", type=int, default=8123)
    given = parser.parse_args()
    with FakeDaemon(SCENES[given.scene](), port=given.port) as daemon:
        print(f"{daemon.url}#{daemon.secret}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
