"""Clients that people have, as they are: aria2p and aioaria2 themselves; what AriaNg, motrix-next and Aria2-Explorer
send, as they send it."""

from __future__ import annotations

import asyncio
import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.runs import hold, until
from tests.rpc.aria2.service import SECRET, Service
from tests.rpc.aria2.test_adding import METALINK, TORRENT, b64
from tests.rpc.aria2.test_calling import URI, ran
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after

TOKEN = f"token:{SECRET}"


@pytest.fixture
def files(server: LoopbackServer) -> LoopbackServer:
    server.resources["/f"] = Resource(body=b"x" * 1000)
    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))
    return server


def test_aria2p(tmp_path: Path, files: LoopbackServer) -> None:
    aria2p = pytest.importorskip("aria2p")
    told: list[tuple[str, str]] = []

    def hear(client: Any, name: str, gid: str) -> None:
        told.append((name, gid))
        # The slow one is the last that begins: with its end it is over.
        if name == "stop" and ("pause", gid) in told:
            client.stop_listening()

    def drive(service: Service) -> None:
        client = aria2p.Client(host="http://127.0.0.1", port=service.port, secret=SECRET)
        api = aria2p.API(client)
        names = ("start", "pause", "stop", "complete", "error")
        hearing = {f"on_download_{name}": partial(hear, client, name) for name in names}
        listening = threading.Thread(
            target=client.listen_to_notifications, kwargs={**hearing, "timeout": 1, "handle_signals": False}
        )
        listening.start()
        _aria2p_queue(api)
        _aria2p_torrents(api, tmp_path)
        slow = api.add_uris([files.url("/s")], options={"dir": str(tmp_path / "out" / "sub")})
        while not slow.live.completed_length:
            slow.update()
        assert slow.is_active
        assert (slow.name, slow.total_length_string()) == ("s", "2.86 MiB")
        assert slow.files[0].path == tmp_path / "out" / "sub" / "s"
        assert (slow.connections > 0, slow.num_pieces > 0, slow.progress > 0) == (True, True, True)
        done = api.add(files.url("/f"))[0]
        while not done.live.is_complete:
            pass
        assert (done.error_code, done.progress_string()) == ("0", "100.00%")
        failed = api.add(files.url("/gone"))[0]
        while not failed.live.has_failed:
            pass
        assert failed.error_code == "3"
        assert api.pause([slow], force=True) == [True]
        while not slow.live.is_paused:
            pass
        assert api.remove([slow, failed], force=True, files=False) == [True, True]
        assert api.get_stats().num_stopped > 0
        assert api.purge()
        assert [each.gid for each in api.get_downloads() if each.status in ("complete", "error", "removed")] == []
        listening.join()
        told.append(("end", slow.gid))

    async def what(service: Service) -> None:
        await asyncio.to_thread(drive, service)
        *heard, (_, slow) = told
        assert [name for name, gid in heard if gid == slow] == ["start", "pause", "stop"]
        assert {name for name, _ in heard} >= {"start", "pause", "stop", "complete", "error"}

    ran(tmp_path, what)


def test_what_aria2p_removes_is_in_no_list_any_more(tmp_path: Path, files: LoopbackServer) -> None:
    """It removes, then removes the result, in a row; of aria2 it has stopped by then."""
    aria2p = pytest.importorskip("aria2p")

    def drive(service: Service) -> None:
        api = aria2p.API(aria2p.Client(host="http://127.0.0.1", port=service.port, secret=SECRET))
        slow = api.add_uris([files.url("/s")])
        while not slow.live.completed_length:
            pass
        assert api.remove([slow], force=True) == [True]
        assert api.get_downloads() == []

    async def what(service: Service) -> None:
        await asyncio.to_thread(drive, service)

    ran(tmp_path, what)


def _aria2p_queue(api: Any) -> None:
    options = {"pause": "true", "max-download-limit": "1M"}
    added = [api.add_uris([f"{URI}{number}"], options=options) for number in range(4)]
    assert all(each.is_paused for each in added)
    first, second, *_, last = added
    assert (api.move_to_top(last), api.move_down(first), api.move_to_bottom(second)) == (0, 2, 3)
    assert [each.gid for each in api.get_downloads()] == [added[at].gid for at in (3, 0, 2, 1)]
    assert first.options.max_download_limit == 1048576
    assert api.set_options({"split": "7", "max-download-limit": "2M"}, [first]) == [True]
    (changed,) = api.get_options([first])
    assert (changed.split, changed.max_download_limit) == (7, 2097152)
    assert api.set_global_options({"max-concurrent-downloads": "4"})
    assert api.get_global_options().max_concurrent_downloads == 4
    assert api.remove(added) == [True] * 4


def _aria2p_torrents(api: Any, folder: Path) -> None:
    (folder / "x.torrent").write_bytes(TORRENT)
    (folder / "x.metalink").write_bytes(METALINK)
    torrent = api.add_torrent(str(folder / "x.torrent"), options={"pause": "true"})
    assert (torrent.name, torrent.is_torrent, len(torrent.files)) == ("abc", True, 2)
    assert torrent.bittorrent.announce_list == [["http://t.test/ann"]]
    assert len(api.add_metalink(str(folder / "x.metalink"), options={"pause": "true"})) == 2
    magnet = api.add_magnet("magnet:?xt=urn:btih:" + "01" * 20 + "&dn=abc", options={"pause": "true"})
    assert magnet.info_hash == "01" * 20
    assert magnet.is_metadata


def test_aioaria2_over_a_websocket(tmp_path: Path, files: LoopbackServer) -> None:
    aioaria2 = pytest.importorskip("aioaria2")

    async def what(service: Service) -> None:
        heard: list[tuple[str, str]] = []

        async def hear(_: object, data: dict[str, Any]) -> None:
            heard.append((data["method"].removeprefix("aria2."), data["params"][0]["gid"]))

        url = service.url.replace("http", "ws")
        client = await aioaria2.Aria2WebsocketClient.new(url, token=SECRET)
        for name in ("onDownloadStart", "onDownloadPause", "onDownloadComplete", "onDownloadStop", "onDownloadError"):
            getattr(client, name)(hear)
        gid = await client.addUri([files.url("/s")], {"out": "x"})
        await until(lambda: ("onDownloadStart", gid) in heard)
        assert (await client.tellStatus(gid, ["status"])) == {"status": "active"}
        assert await client.pause(gid) == gid
        await until(lambda: ("onDownloadPause", gid) in heard)
        assert await client.changeOption(gid, {"max-download-limit": "1K"}) == "OK"
        assert (await client.getOption(gid))["max-download-limit"] == "1024"
        assert await client.changePosition(gid, 0, "POS_SET") == 0
        assert (await client.tellWaiting(0, 10))[0]["gid"] == gid
        assert await client.remove(gid) == gid
        await until(lambda: ("onDownloadStop", gid) in heard)
        assert await client.purgeDownloadResult() == "OK"
        assert await client.tellStopped(0, 10) == []
        with pytest.raises(aioaria2.Aria2rpcException):
            await client.tellStatus("zz")
        assert len(await client.listMethods()) == 36
        await client.close()

    ran(tmp_path, what)


def test_aioaria2_over_http(tmp_path: Path) -> None:
    aioaria2 = pytest.importorskip("aioaria2")

    async def what(service: Service) -> None:
        async with aioaria2.Aria2HttpClient(service.url, token=SECRET) as client:
            gid = await client.addUri([URI], {"pause": "true"})
            assert (await client.getFiles(gid))[0]["uris"] == [{"uri": URI, "status": "waiting"}]
            assert await client.changeUri(gid, 1, [URI], [f"{URI}2"]) == [1, 1]
            assert len(await client.getUris(gid)) == 1
            assert await client.saveSession() == await client.pauseAll() == "OK"
            assert (await client.getVersion())["version"] == "1.37.0"
            assert len((await client.getSessionInfo())["sessionId"]) == 40

    ran(tmp_path, what)


# -- as they send it


async def sent(service: Service, body: object) -> Any:
    reply = await service.post(json.dumps(body))
    assert 200 <= reply.status < 300, reply
    return reply.body["result"]


def call(id: object, method: str, *params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "id": id, "params": [TOKEN, *params]}


def test_ariang(tmp_path: Path) -> None:
    """It joins what it asks for into multicalls, ends a list of fields with its own name's, and takes each 2xx for a
    success (src/scripts/services/aria2RpcService.js, aria2TaskService.js)."""
    id = "QXJpYU5nXzE3MDAwMDAwMDBfMC4xMjM="
    basic = ["gid", "totalLength", "completedLength", "uploadSpeed", "downloadSpeed", "connections", "numSeeders",
             "seeder", "status", "errorCode", "verifiedLength", "verifyIntegrityPending", "files", "bittorrent",
             "infoHash"]  # fmt: skip

    async def what(service: Service) -> None:
        listed = [{"methodName": "aria2.addUri", "params": [TOKEN, [f"{URI}{number}"], {
            "dir": str(tmp_path / "out"), "max-download-limit": "0", "allow-overwrite": "false", "split": "5",
            "user-agent": "", "header": "A: b\nC: d", "pause": "true", "all-proxy": "", "seed-ratio": "1.0",
        }]} for number in range(3)]  # fmt: skip
        added = await sent(service, {"jsonrpc": "2.0", "method": "system.multicall", "id": id, "params": [listed]})
        gids = [each[0] for each in added]
        waiting = await sent(service, call(id, "aria2.tellWaiting", 0, 1000, basic))
        assert [each["gid"] for each in waiting] == gids
        assert set(waiting[0]) == {"gid", "totalLength", "completedLength", "uploadSpeed", "downloadSpeed",
                                   "connections", "status", "files"}  # fmt: skip
        assert await sent(service, call(id, "aria2.tellStopped", -1, 1000, basic)) == []
        torrent = await sent(service, call(id, "aria2.addTorrent", b64(TORRENT), [], {"pause": "true"}))
        status = await sent(service, call(id, "aria2.tellStatus", torrent))
        assert [each["selected"] for each in status["files"]] == ["true", "true"]
        assert await sent(service, call(id, "aria2.changeOption", torrent, {"select-file": "2"})) == "OK"
        options = await sent(service, call(id, "aria2.getOption", gids[0]))
        assert (options["split"], options["header"]) == ("5", "A: b\nC: d\n")
        assert await sent(service, call(id, "aria2.changePosition", gids[2], 0, "POS_SET")) == 0
        for method in ("aria2.unpause", "aria2.forcePause", "aria2.forceRemove"):
            hold(service.queue)
            both = [{"methodName": method, "params": [TOKEN, gid]} for gid in gids[:2]]
            done = await sent(service, {"jsonrpc": "2.0", "method": "system.multicall", "id": id, "params": [both]})
            assert done == [[gids[0]], [gids[1]]]
        stat = await sent(service, call(id, "aria2.getGlobalStat"))
        assert (stat["numWaiting"], stat["numStopped"]) == ("2", "2")
        version = await sent(service, call(id, "aria2.getVersion"))
        assert (version["version"], "GZip" in version["enabledFeatures"]) == ("1.37.0", True)
        assert await sent(service, call(id, "aria2.changeGlobalOption", {"max-overall-download-limit": "1M"})) == "OK"
        assert (await sent(service, call(id, "aria2.getGlobalOption")))["max-overall-download-limit"] == "1048576"
        wrong = await service.post(json.dumps({**call(id, "aria2.getVersion"), "params": ["token:x"]}))
        assert (wrong.status, wrong.body["error"]["message"]) == (400, "Unauthorized")
        assert wrong.body["id"] == id

    ran(tmp_path, what)


def test_motrix_next_and_aria2_explorer(tmp_path: Path) -> None:
    """Numbers from 0 for ids, an answer that is no 2xx for each error, options as its settings have them."""

    async def what(service: Service) -> None:
        first = await service.post(json.dumps(call(0, "aria2.getVersion")))
        assert (first.status, first.body["id"]) == (200, 0)
        add = call(1, "aria2.addUri", [URI], {
            "header": ["Cookie: a=b", "User-Agent: x"], "referer": "http://page/", "out": "f", "split": 64,
            "dir": str(tmp_path / "out"), "force-save": "true", "pause": "true", "bt-tracker": "http://a/,http://b/",
        })  # fmt: skip
        hold(service.queue)
        gid = await sent(service, add)
        job = service.queue.find(gid)
        assert job.wish.options["headers"] == ("Cookie: a=b", "User-Agent: x", "Referer: http://page/")
        assert job.wish.options["trackers"] == ("http://a/", "http://b/")
        everything = [("aria2.tellActive", []), ("aria2.tellWaiting", [0, 1000]), ("aria2.tellStopped", [0, 1000]),
                      ("aria2.getGlobalStat", [])]  # fmt: skip
        batch = [{"methodName": name, "params": [TOKEN, *params]} for name, params in everything]
        active, waiting, stopped, stat = await sent(
            service, {"jsonrpc": "2.0", "id": 2, "method": "system.multicall", "params": [batch]}
        )
        assert (active, stopped, stat[0]["numWaiting"]) == ([[]], [[]], "1")
        assert waiting[0][0]["files"][0]["path"] == str(tmp_path / "out" / "f")
        settings = {"max-concurrent-downloads": 5, "max-overall-upload-limit": "256K", "bt-exclude-tracker": "",
                    "keep-seeding": False, "seed-ratio": "2", "user-agent": "Transmission/3.00", "log": "/tmp/x",
                    "all-proxy": "http://u:p@127.0.0.1:9/", "no-proxy": "localhost"}  # fmt: skip
        assert await sent(service, call(3, "aria2.changeGlobalOption", settings)) == "OK"
        told = await sent(service, call(4, "aria2.getGlobalOption"))
        assert (told["max-overall-upload-limit"], told["seed-ratio"]) == ("262144", "2")
        assert told["all-proxy"] == "http://127.0.0.1:9/"
        assert "log" not in told
        for number, method in enumerate(("aria2.forcePauseAll", "aria2.unpauseAll", "aria2.saveSession"), 5):
            assert await sent(service, call(number, method)) == "OK"
        await sent(service, call(8, "aria2.forceRemove", gid))
        assert await sent(service, call(9, "aria2.removeDownloadResult", gid)) == "OK"
        assert (await service.post(json.dumps(call(10, "aria2.tellStatus", gid)))).status == 400

    ran(tmp_path, what)
