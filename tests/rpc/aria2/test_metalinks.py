"""What clients are told of the tasks of a metalink before they run, and when they have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.runs import hold, until
from tests.rpc.aria2.service import Service
from tests.rpc.aria2.test_adding import b64
from tests.rpc.aria2.test_calling import ran
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.client import Client
from thunderdl.formats.metalink_model import Metalink
from thunderdl.rpc.aria2 import contents

METALINK = b"""<metalink xmlns="urn:ietf:params:xml:ns:metalink">
<file name="sub/a"><size>1000</size>
<url>http://127.0.0.1:1/last</url><url priority="2">http://127.0.0.1:1/second</url>
<url priority="1">http://u:pw@127.0.0.1:1/first</url><url priority="1">sftp://127.0.0.1/nobodys</url></file>
<file name="b"><size>20000</size><url>http://127.0.0.1:1/b</url></file>
</metalink>"""
MIRRORS = ["http://127.0.0.1:1/first", "http://127.0.0.1:1/second", "http://127.0.0.1:1/last"]


def uris(use: str, of: list[str]) -> list[dict[str, str]]:
    return [{"uri": uri, "status": use} for uri in of]


def file_of(status: dict[str, Any]) -> tuple[object, ...]:
    (file,) = status["files"]
    return status["totalLength"], file["length"], file["path"], file["uris"]


def test_its_mirrors_its_size_and_its_name_are_told_before_it_runs_and_after_a_restart(tmp_path: Path) -> None:
    out, gids = tmp_path / "out", list[str]()

    async def first(service: Service) -> None:
        gids[:] = await service.call("aria2.addMetalink", b64(METALINK), {"pause": "true"})
        await told(service)

    async def told(service: Service) -> None:
        one, two = [await service.call("aria2.tellStatus", gid) for gid in gids]
        assert file_of(one) == ("1000", "1000", str(out / "sub" / "a"), uris("waiting", MIRRORS))
        assert file_of(two) == ("20000", "20000", str(out / "b"), uris("waiting", ["http://127.0.0.1:1/b"]))
        assert [one["numPieces"], one["pieceLength"]] == ["1", "1048576"]
        assert not {"infoHash", "bittorrent", "seeder", "errorCode"} & set(one)
        assert await service.call("aria2.getFiles", gids[0]) == one["files"]
        waiting = await service.call("aria2.tellWaiting", 0, 9)
        assert [file_of(each) for each in waiting] == [file_of(one), file_of(two)]

    async def again(service: Service) -> None:
        assert await service.call("aria2.getUris", gids[0]) == uris("waiting", MIRRORS)
        await told(service)

    ran(tmp_path, first)
    ran(tmp_path, again)


def test_its_mirrors_and_its_size_are_told_once_it_has_ended(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/good"] = Resource(body=b"x" * 1000)
    good, gone = server.url("/good"), server.url("/gone")
    document = METALINK.replace(MIRRORS[2].encode(), good.encode()).replace(b"http://127.0.0.1:1/b", gone.encode())

    async def what(service: Service) -> None:
        gids = await service.call("aria2.addMetalink", b64(document))
        jobs = [service.queue.find(gid) for gid in gids]
        await until(lambda: all(job.state.has_ended for job in jobs))
        one, two = [await service.call("aria2.tellStatus", gid) for gid in gids]
        assert (one["status"], two["status"]) == ("complete", "error")
        path = str(tmp_path / "out" / "sub" / "a")
        assert file_of(one) == ("1000", "1000", path, uris("used", [*MIRRORS[:2], good]))
        assert file_of(two) == ("20000", "20000", str(tmp_path / "out" / "b"), uris("used", [gone]))
        assert {each["gid"]: file_of(each) for each in await service.call("aria2.tellStopped", 0, 9)} == {
            gids[0]: file_of(one), gids[1]: file_of(two)
        }  # fmt: skip

    ran(tmp_path, what)


def test_a_document_is_read_once_for_all_its_tasks_and_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    metalink = Client.metalink

    async def counted(self: Client, reference: str) -> Metalink:
        read.append(reference)
        return await metalink(self, reference)

    monkeypatch.setattr(Client, "metalink", counted)

    async def what(service: Service) -> None:
        hold(service.queue)
        gids = await service.call("aria2.addMetalink", b64(METALINK))
        for gid in gids * 3:
            for name in ("tellStatus", "getUris", "getFiles"):
                assert await service.call(f"aria2.{name}", gid)
            await service.call("aria2.tellWaiting", 0, 9)
        assert len(read) == 1

    ran(tmp_path, what)


def test_what_is_kept_of_documents_is_bounded_and_one_beyond_all_bounds_is_kept_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the first two documents there are 6 names and URIs each, of the third 2 more.
    monkeypatch.setattr(contents, "MOST_TEXTS", 7)

    async def what(service: Service) -> None:
        more = METALINK.replace(b"</metalink>", b'<file name="c"><url>http://127.0.0.1:1/c</url></file></metalink>')
        seen: list[list[int]] = []
        for document in (METALINK, METALINK.replace(b"20000", b"30000"), more):
            gids = await service.call("aria2.addMetalink", b64(document), {"pause": "true"})
            assert len(await service.call("aria2.getUris", gids[0])) == 3
            kept = service.app._session.contents._known
            seen.append([each.texts for each in kept.values()])
        assert seen == [[6], [6], [8]]

    ran(tmp_path, what)


def test_one_that_has_a_name_of_its_own_has_it(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        options = {"pause": "true", "out": "mine"}
        gids = await service.call("aria2.addMetalink", b64(METALINK), options)
        status = await service.call("aria2.tellStatus", gids[0])
        assert file_of(status)[2] == str(tmp_path / "out" / "mine")

    ran(tmp_path, what)
