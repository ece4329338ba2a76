"""What comes in on the port, right and wrong, byte for byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.rpc.aria2.service import SECRET, serving
from tests.rpc.aria2.test_jsonrpc import suite
from thunderdl.rpc.guard import MOST_BYTES

LIST = '{"id":0,"method":"system.listNotifications"}'


def test_the_json_test_suite_on_the_port(testdata: Path, tmp_path: Path) -> None:
    async def run() -> dict[str, int]:
        async with serving(tmp_path) as service:
            codes = {}
            for name, body in suite(testdata).items():
                reply = await service.post(body)
                error = reply.body.get("error") if isinstance(reply.body, dict) else None
                codes[name] = error["code"] if error else 0
            return codes

    codes = asyncio.run(run())
    refused = {name for name, code in codes.items() if code == -32700}
    assert {name for name in refused if name.startswith("y_")} == set()
    assert {name for name in codes if name.startswith("n_")} <= refused


def test_statuses_and_types_are_aria2s(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            good = await service.post(LIST)
            assert (good.status, good.type, good.body["id"]) == (200, "application/json-rpc", 0)
            rows = [("[", 500), ("{}", 400), (LIST[:-1] + ',"params":{}}', 500), ("[]", 200), (f"[{LIST},1]", 200)]
            for body, status in rows:
                reply = await service.post(body)
                assert (reply.status, reply.type) == (status, "application/json-rpc"), body

    asyncio.run(run())


def test_what_is_longer_than_2_mib_is_not_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            just = await service.post(LIST + " " * (MOST_BYTES - len(LIST)))
            assert just.status == 200
            for path in ("/jsonrpc", "/rpc"):
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST_BYTES + 1}"
                assert (await service.raw(f"{head}\r\n\r\n".encode())).split()[1] == b"413"

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_but_post_executes_anything(method: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            query = f"method=aria2.shutdown&id=1&params={json.dumps([f'token:{SECRET}'])}&jsoncallback=x"
            reply = await service.post(b"", f"/jsonrpc?{query.replace(' ', '')}", method=method)
            assert reply.status == 405
            assert service.stopped == []
            assert service.guesses == []

    asyncio.run(run())


def test_a_foreign_page_reaches_nothing_by_post_or_websocket(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            for head in ("Host: localhost\r\nOrigin: http://evil.example", "Host: evil.example"):
                length = f"{head}\r\nConnection: close\r\nContent-Length: {len(LIST)}"
                answer = await service.raw(f"POST /jsonrpc HTTP/1.1\r\n{length}\r\n\r\n{LIST}".encode())
                assert answer.split()[1] in (b"403", b"421")
                upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
                answer = await service.raw(f"GET /jsonrpc HTTP/1.1\r\n{head}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
                assert answer.split()[1] == b"403"

    asyncio.run(run())
