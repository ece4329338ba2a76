"""WebSocket: calls and notifications on one connection, and what a client that does not read can do: nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.daemon.runs import ended, until
from tests.rpc.aria2.service import SECRET, Service
from tests.rpc.aria2.test_calling import URI, ran
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.events import What
from thunderdl.daemon.jobs import Job, Wish
from thunderdl.rpc.aria2 import notices, routes
from thunderdl.rpc.guard import MOST_BYTES

TOKEN = f"token:{SECRET}"


def socket(service: Service) -> connect:
    return connect(f"ws://127.0.0.1:{service.port}/jsonrpc", proxy=None, max_size=None)


async def told(client: ClientConnection, count: int) -> list[tuple[str, str]]:
    """The next notifications."""
    found = [json.loads(await client.recv()) for _ in range(count)]
    assert all(set(each) == {"jsonrpc", "method", "params"} for each in found)
    return [(each["method"].removeprefix("aria2.on"), each["params"][0]["gid"]) for each in found]


def test_each_client_is_told_each_event_in_order(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x" * 10)
    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))

    async def what(service: Service) -> None:
        async with socket(service) as one, socket(service) as other:
            done = await service.call("aria2.addUri", [server.url("/f")])
            await ended(service.queue.find(done))
            failed = await service.call("aria2.addUri", [server.url("/gone")])
            await ended(service.queue.find(failed))
            slow = await service.call("aria2.addUri", [server.url("/s")])
            job = service.queue.find(slow)
            await until(lambda: (seen := service.queue.progress(job)) and seen.done_bytes)
            await service.call("aria2.pause", slow)
            await until(lambda: job.state.value == "paused")
            await service.call("aria2.remove", slow)
            expected = [
                ("DownloadStart", done), ("DownloadComplete", done), ("DownloadStart", failed),
                ("DownloadError", failed), ("DownloadStart", slow), ("DownloadPause", slow), ("DownloadStop", slow),
            ]  # fmt: skip
            assert await told(one, 7) == await told(other, 7) == expected
            assert (await service.call("aria2.getGlobalStat"))["numStoppedTotal"] == "3"

    ran(tmp_path, what)


def test_of_a_torrent_both_of_aria2s_are_told_once_each(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        shared, whole = (Job(gid * 16, Wish(urls=("magnet:?xt=urn:btih:" + "0" * 40,))) for gid in "ab")
        async with socket(service) as client:
            publish = service.queue.events.publish
            publish(What.SHARED, shared)
            publish(What.COMPLETED, shared)
            publish(What.COMPLETED, whole)
            publish(What.CHANGED, whole)
            publish(What.SETTINGS)
            publish(What.STARTED, shared)
            assert [(name, gid[0]) for name, gid in await told(client, 5)] == [
                ("BtDownloadComplete", "a"), ("DownloadComplete", "a"), ("BtDownloadComplete", "b"),
                ("DownloadComplete", "b"), ("DownloadStart", "a"),
            ]  # fmt: skip

    ran(tmp_path, what)


def test_calls_are_answered_in_order_right_and_wrong(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        async with socket(service) as client:
            sent: list[str | bytes] = [
                '{"id":1,"method":"system.listNotifications"}', "[", '{"id":2,"method":"aria2.getVersion"}',
                b'{"id":3,"method":"system.listNotifications"}', "[]", '{"id":4}',
                json.dumps([{"id": 5, "method": "aria2.addUri", "params": [TOKEN, [URI], {"pause": "true"}]}]),
            ]  # fmt: skip
            for each in sent:
                await client.send(each)
            found = [json.loads(await client.recv()) for _ in sent]
            assert [each["id"] if isinstance(each, dict) else len(each) for each in found] == [1, None, 2, 3, 0, 4, 1]
            assert found[1]["error"]["code"] == -32700
            assert found[2]["error"]["message"] == "Unauthorized"
            assert len(found[6][0]["result"]) == 16

    ran(tmp_path, what)


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_told_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(notices, "MOST_BEHIND", 50)
    monkeypatch.setattr(routes, "_FAREWELL_S", 0.01)
    job = Job("a" * 16, Wish(urls=(URI,)))
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        if not sent:
            return {"type": "websocket.connect"}
        return await asyncio.Future()

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message.get("code", message["type"]))
        if message["type"] != "websocket.accept":
            # As a server whose buffers are full, since nobody reads.
            await asyncio.Future()

    async def what(service: Service) -> None:
        scope = {"type": "websocket", "path": "/jsonrpc"}
        sleeper = asyncio.create_task(service.app(scope, receive, send))
        async with socket(service) as reader:
            while not sent:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0)
            for _ in range(60):
                service.queue.events.publish(What.STARTED, job)
                assert len(await told(reader, 1)) == 1
            await sleeper
        assert sent == ["websocket.accept", "websocket.send", 1013]

    ran(tmp_path, what)


def test_no_call_is_read_from_a_client_that_does_not_read_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(notices, "MOST_BEHIND", 2)

    async def run() -> None:
        outbox = notices.Outbox()
        await outbox.answer("1")
        await outbox.answer("2")
        third = asyncio.create_task(outbox.answer("3"))
        await asyncio.sleep(0)
        assert not third.done()
        assert not outbox.overfull.is_set()
        assert await outbox.next() == "1"
        await third
        outbox.tell("4")
        assert outbox.overfull.is_set()

    asyncio.run(run())


def test_what_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        async with socket(service) as client:
            await client.send(" " * (MOST_BYTES + 1))
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

    ran(tmp_path, what)


def test_there_is_one_place_for_websockets(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        with pytest.raises(InvalidStatus):
            async with connect(f"ws://127.0.0.1:{service.port}/rpc", proxy=None):
                pass

    ran(tmp_path, what)
