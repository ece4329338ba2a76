"""Attacks on the port (bad-inputs R1 to R7, R10): each is refused before it reaches the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.rpc.serving import SECRET, Served, listening, next_of, serving
from thunderdl.rpc.access import Access, made
from thunderdl.rpc.exchange import Receive, Refused, Scope, Send, parsed
from thunderdl.rpc.guard import MOST_BYTES, MOST_DOCUMENT_BYTES
from thunderdl.rpc.secret import Secret

TASK = {"urls": ["http://127.0.0.1:1/x"], "paused": True}
_JSON = {"content-type": "application/json"}
_ALL = [
    ("GET", "/api/v1/tasks"), ("POST", "/api/v1/tasks"), ("POST", "/api/v1/documents"), ("POST", "/api/v1/inspect"),
    ("GET", "/api/v1/events"), ("GET", "/api/v1/session"), ("GET", "/api/v1/settings"), ("PATCH", "/api/v1/settings"),
    ("GET", "/api/v1/history"), ("DELETE", "/api/v1/history"), ("POST", "/api/v1/queue/pause"),
    ("GET", "/api/v1/options"), ("GET", "/api/v1/openapi.json"), ("GET", "/metrics"), ("GET", "/api/v1/nothing"),
    ("GET", "/api/v1/tasks/0123456789abcdef"), ("DELETE", "/api/v1/tasks/0123456789abcdef"),
    ("POST", "/api/v1/tasks/0123456789abcdef/pause"), ("POST", "/api/v1/logout"),
]  # fmt: skip


def against(folder: Path, attack: Callable[[Served], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        async with serving(folder, **more) as served:
            await attack(served)
            assert served.queue.counts() == (0, 0, 0)

    asyncio.run(run())


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["kind"]


def test_nothing_is_told_or_done_without_the_secret(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for method, path in _ALL:
            answer = await served.stranger.request(method, path, json=TASK if method != "GET" else None)
            assert kind_of(answer) == (401, "AccessError"), path
            assert answer.headers["www-authenticate"] == "Bearer"

    against(tmp_path, attack)


def test_health_is_told_to_everybody_and_nothing_else_with_it(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        answer = await served.stranger.get("/healthz")
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert (await served.stranger.post("/healthz")).status_code == 405

    against(tmp_path, attack)


def test_a_wrong_secret_is_refused(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for wrong in ["Bearer wrong", f"Basic {SECRET}", "Bearer", f"Bearer {SECRET}x", "Bearer \xff"]:
            headers = httpx.Headers({"authorization": wrong}, encoding="latin-1")
            answer = await served.stranger.post("/api/v1/tasks", json=TASK, headers=headers)
            assert kind_of(answer) == (401, "AccessError")

    against(tmp_path, attack)


def test_a_wrong_secret_costs_its_delay_and_many_are_not_looked_at(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        guesses = [
            asyncio.create_task(served.stranger.get("/api/v1/tasks", headers={"authorization": f"Bearer {number}"}))
            for number in range(2)
        ]
        # Two wait for the delay, which is longer than this test may take.
        while len(guesses) == 2 and secret._delayed < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        answer = await served.stranger.get("/api/v1/tasks", headers={"authorization": "Bearer 3"})
        assert kind_of(answer) == (429, "AccessError")
        # Not even the right one: whether a guess was right would be told at full speed.
        assert kind_of(await served.client.get("/api/v1/tasks")) == (429, "AccessError")
        assert not any(guess.done() for guess in guesses)
        # Who is logged in is not locked out.
        cookie = {"cookie": f"thunderdl={secret.cookie()}"}
        assert (await served.stranger.get("/api/v1/tasks", headers=cookie)).status_code == 200
        for guess in guesses:
            guess.cancel()
        await asyncio.wait(guesses)

    secret = Secret(SECRET, delay_s=600, most_delayed=2)
    against(tmp_path, attack, secret=secret)


def test_rebinding_a_name_to_this_machine_gives_nothing(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for path in ("/api/v1/tasks", "/healthz", "/", "/api/v1/events", "/api/v1/login"):
            answer = await served.client.get(path, headers={"host": "evil.example"})
            assert kind_of(answer) == (421, "AccessError"), path
        # Not even with a name that was allowed beside it: the first counts, and a client sends one.
        answer = await served.client.post("/api/v1/tasks", json=TASK, headers={"host": f"evil.example:{served.port}"})
        assert kind_of(answer) == (421, "AccessError")

    against(tmp_path, attack)


def test_a_page_elsewhere_gets_nothing(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for origin in ["http://evil.example", "null", "http://localhost:3000"]:
            for method, path in (("POST", "/api/v1/tasks"), ("GET", "/api/v1/events"), ("GET", "/api/v1/tasks")):
                answer = await served.client.request(method, path, json=TASK, headers={"origin": origin})
                assert kind_of(answer) == (403, "AccessError"), path
                assert "access-control-allow-origin" not in answer.headers

    against(tmp_path, attack)


def test_a_page_elsewhere_embeds_nothing(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        embedded = {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}
        assert (await served.client.get("/api/v1/tasks", headers=embedded)).status_code == 403
        followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        assert (await served.client.get("/api/v1/tasks", headers=followed)).status_code == 200

    against(tmp_path, attack)


def test_an_allowed_page_may_ask_and_its_browser_is_told_so(tmp_path: Path) -> None:
    async def ask(served: Served) -> None:
        origin = {"origin": "https://ui.example"}
        before = await served.stranger.options("/api/v1/tasks", headers=origin)
        assert before.status_code == 204
        assert "authorization" in before.headers["access-control-allow-headers"]
        answer = await served.client.get("/api/v1/tasks", headers=origin)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://ui.example"
        assert "access-control-allow-credentials" not in answer.headers
        assert (await served.client.get("/api/v1/tasks", headers={"origin": "https://b.example"})).status_code == 403

    against(tmp_path, ask, access=made([], ["https://ui.example"], any_address=False))


def test_a_form_of_a_page_elsewhere_is_no_json(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            answer = await served.client.post(
                "/api/v1/tasks", content=b'{"urls":["http://a/"]}', headers={"content-type": kind}
            )
            assert kind_of(answer) == (415, "UsageError")

    against(tmp_path, attack)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for path in ("login", "documents", "queue/pause", "tasks/0123456789abcdef/move"):
            for method in ("GET", "HEAD"):
                assert (await served.client.request(method, f"/api/v1/{path}")).status_code == 405

    against(tmp_path, attack)


def test_too_long_a_body_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        async def endless() -> Any:
            while True:
                yield b"[" * 65536

        told = {**_JSON, "content-length": str(MOST_BYTES + 1)}
        with pytest.raises(httpx.HTTPError):
            # Whoever says so beforehand is answered at once; what follows is not waited for.
            await served.client.post("/api/v1/tasks", content=endless(), headers=_JSON)
        assert await _status(served, "/api/v1/tasks", told) == 413
        told["content-length"] = str(MOST_DOCUMENT_BYTES + 1)
        assert await _status(served, "/api/v1/documents", told) == 413
        assert await _status(served, "/api/v1/documents", {"content-length": "9" * 30}) in (400, 413)

    against(tmp_path, attack)


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
def test_json_has_no_numbers_that_are_none(text: bytes) -> None:
    with pytest.raises(Refused):
        parsed(text)


async def _status(served: Served, path: str, headers: dict[str, str]) -> int:
    """Of a POST whose body never comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    lines = {"host": "localhost", "authorization": f"Bearer {SECRET}", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    return int(status)


def test_hostile_json_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for body in [
            b"[" * 100_000,
            b'{"urls":' * 100_000,
            b"\xff\xfe{}",
            b'{"urls": NaN}',
            b"1" * 100_000,
            b"",
            b"{",
            b'"\\ud800"',
            b'{"urls": ["http://a/"], "urls_": Infinity}',
            b"\x00",
            b'{"position": 1e999}',
        ]:
            answer = await served.client.post("/api/v1/tasks", content=body, headers=_JSON)
            assert kind_of(answer) == (400, "UsageError")
            assert answer.json()["error"]["message"].endswith(".")

    against(tmp_path, attack)


def test_no_file_but_the_pages_can_be_asked_for(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        for path in [
            "/../../../../etc/passwd",
            "/static/../../server.py",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/js/..%2f..%2fserver.py",
            "//etc/passwd",
            "/js/",
            "/css",
            "/.",
            "/index.html/",
            "/static/x/js/main.js",
            "/server.py",
            "/%00",
            "/js\\main.js",
            "/web/index.html",
            "/index.html%00.js",
        ]:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            assert answer.split()[1] in (b"404", b"400")
            assert b"root:" not in answer

    against(tmp_path, attack)


def test_a_login_gives_a_cookie_and_logging_out_takes_it_back(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        assert kind_of(await served.stranger.post("/api/v1/login", json={"secret": "wrong"})) == (401, "AccessError")
        answer = await served.stranger.post("/api/v1/login", json={"secret": SECRET})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
        assert SECRET not in cookie
        value = {"cookie": cookie.partition(";")[0]}
        served.stranger.cookies.clear()
        assert (await served.stranger.get("/api/v1/session", headers=value)).status_code == 200
        assert (await served.stranger.post("/api/v1/logout", headers=value)).status_code == 204
        served.stranger.cookies.clear()
        assert (await served.stranger.get("/api/v1/session", headers=value)).status_code == 401

    against(tmp_path, use)


def test_every_answer_says_that_it_is_not_to_be_framed_sniffed_or_embedded(tmp_path: Path) -> None:
    async def look(served: Served) -> None:
        for answer in [await served.client.get(path) for path in ("/healthz", "/api/v1/tasks", "/nothing", "/metrics")]:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in answer.headers

    against(tmp_path, look)


def test_a_websocket_of_a_page_elsewhere_is_not_opened(tmp_path: Path) -> None:
    reached = []

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    async def status(served: Served, path: str, *headers: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
        lines = (f"GET {path} HTTP/1.1", *headers, *upgrade, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "", "")
        writer.write("\r\n".join(lines).encode())
        first = await reader.readline()
        writer.close()
        return int(first.split()[1])

    async def attack(served: Served) -> None:
        evil = "origin: http://evil.example"
        assert await status(served, "/jsonrpc", "host: evil.example") == 403
        assert await status(served, "/jsonrpc", "host: localhost", evil) == 403
        assert await status(served, "/api/v1/events", "host: localhost") == 403
        assert reached == []
        assert await status(served, "/jsonrpc", "host: localhost") == 101
        assert await status(served, "/jsonrpc", "host: localhost:1", "origin: http://localhost:1") == 101
        assert reached == ["/jsonrpc"] * 2

    against(tmp_path, attack, services={"/jsonrpc": service})


def test_a_head_has_an_end(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 20_000)
        assert (await reader.readline()).split()[1] == b"431"
        writer.close()

    against(tmp_path, attack)


def test_only_folders_below_the_roots(tmp_path: Path) -> None:
    async def attack(served: Served) -> None:
        (tmp_path / "out" / "link").symlink_to("/etc")
        for options in ({"dir": "/etc/cron.d"}, {"dir": "../.."}, {"dir": "~/.ssh"}, {"dir": "link"}):
            answer = await served.client.post("/api/v1/tasks", json={**TASK, "options": options})
            assert kind_of(answer) == (403, "OutsideRoots"), options
        for options in ({"out": "../x"}, {"out": "/etc/ld.so.preload"}, {"refresh_cmd": "id"}, {"trace": "/tmp/x"},
                        {"cookies": "/etc/passwd"}, {"torrent": "/etc/passwd"}, {"proxy": "x\ny"}):  # fmt: skip
            answer = await served.client.post("/api/v1/tasks", json={**TASK, "options": options})
            assert kind_of(answer) == (400, "UsageError"), options
        for settings in ({"dir": "/etc"}, {"categories": {"x": "/etc"}}, {"dir": "~"}):
            answer = await served.client.patch("/api/v1/settings", json=settings)
            assert kind_of(answer) == (403, "OutsideRoots"), settings
        for name in ("refresh_cmd", "trace", "roots", "state", "hooks"):
            answer = await served.client.patch("/api/v1/settings", json={name: "x"})
            assert kind_of(answer) == (400, "UsageError"), name
        for url in ("file:///etc/passwd", "data:,x", "/etc/passwd", "/etc/x.torrent", "http://a/\nhttp://b/"):
            answer = await served.client.post("/api/v1/tasks", json={"urls": [url], "paused": True})
            assert answer.status_code == 400, url
            assert (await served.client.post("/api/v1/inspect", json={"url": url})).status_code == 400, url

    against(tmp_path, attack)


def test_a_page_of_this_server_may_listen(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, access=Access()) as served:
            served.client.headers["origin"] = f"http://127.0.0.1:{served.port}"
            async with listening(served) as events:
                assert (await next_of(events, "snapshot"))["tasks"] == []

    asyncio.run(run())
