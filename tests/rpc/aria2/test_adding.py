from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from tests.daemon.runs import until
from tests.rpc.aria2.service import Service
from tests.rpc.aria2.test_calling import URI, ran
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.jobs import Outcome, State
from thunderdl.daemon.rules import NEVER_FROM_OUTSIDE
from thunderdl.rpc.aria2.settings import taken_here

TORRENT = (
    b"d8:announce17:http://t.test/ann7:comment5:hello13:creation datei1700000000e4:infod5:filesl"
    b"d6:lengthi20000e4:pathl1:a5:1.txteed6:lengthi10e4:pathl5:2.txteee4:name3:abc12:piece lengthi16384e"
    b"6:pieces40:" + b"a" * 40 + b"ee"
)
METALINK = (
    b'<metalink xmlns="urn:ietf:params:xml:ns:metalink">'
    b'<file name="a"><url>http://127.0.0.1:1/a</url></file><file name="b"><url>http://127.0.0.1:1/b</url></file>'
    b"</metalink>"
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_task_has_what_was_asked_for(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        gid = await service.call(
            "aria2.addUri", [URI, "http://127.0.0.1:1/g h", "rubbish", 7, URI],
            {"gid": "AB0000000000000F", "pause": "true", "dir": "sub", "out": "a/b", "header": ["A: b", 1],
             "max-download-limit": "1M", "checksum": "md5=" + "0" * 32, "rpc-secret": "x", "nosuch": "y", "split": 5,
             "seed-time": "0"},
        )  # fmt: skip
        assert gid == "ab0000000000000f"
        job = service.queue.find(gid)
        assert job.state is State.PAUSED
        assert job.wish.urls == (URI, "http://127.0.0.1:1/g%20h")
        assert job.wish.options == {
            "dir": "sub", "out": "a/b", "headers": ("A: b",), "task_limit": "1048576", "ratio": "0",
            "checksum": "md5=" + "0" * 32,
        }  # fmt: skip
        status = await service.call("aria2.tellStatus", gid)
        assert (status["dir"], status["files"][0]["path"]) == (f"{tmp_path}/out/sub", f"{tmp_path}/out/sub/a/b")

    ran(tmp_path, what)


@pytest.mark.parametrize("of_all", [False, True], ids=["of one", "of all"])
def test_a_file_that_is_there_is_not_done_because_it_may_be_gone_on_with(of_all: bool, tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "f").write_bytes(b"begun by another program")
        given = {"continue": "true"}
        if of_all:
            await service.call("aria2.changeGlobalOption", given)
        gid = await service.call("aria2.addUri", [URI], {"max-tries": "1", **({} if of_all else given)})
        while not (job := service.queue.find(gid)).state.has_ended:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        assert job.state is State.FAILED
        assert (await service.call("aria2.getOption", gid))["continue"] == "true"

    ran(tmp_path, what)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dir": "/etc"}, "is outside of the folders"),
        ({"dir": "../.."}, "is outside of the folders"),
        ({"out": "../x"}, "must stay inside"),
        ({"out": "/abs"}, "must be a relative name"),
        ({"header": "A: b\r\nC: d\x00"}, "--header"),
        ({"gid": "zz"}, "gid must be 16 hexadecimal digits"),
        ({"gid": "0" * 16}, "gid must be 16 hexadecimal digits"),
    ],
)
def test_what_nobody_may_ask_for_is_refused_and_nothing_is_added(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    async def what(service: Service) -> None:
        assert told in await service.refusal("aria2.addUri", [URI], options)
        assert told in await service.refusal("aria2.addTorrent", b64(TORRENT), [], options)
        assert service.queue.counts() == (0, 0, 0)

    ran(tmp_path, what)


def test_a_name_leads_through_no_link_out_of_the_roots(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        (tmp_path / "out" / "ln").symlink_to("/etc")
        assert "is outside of the folders" in await service.refusal("aria2.addUri", [URI], {"out": "ln/x"})
        assert service.queue.counts() == (0, 0, 0)

    ran(tmp_path, what)


def test_no_hook_and_no_file_of_the_machine_is_set_from_outside(tmp_path: Path) -> None:
    """vulhub aria2/rce, and what else names a program or a file."""
    evil = {
        "on-download-complete": "/bin/sh", "on-bt-download-complete": "/bin/sh", "on-download-start": "/bin/sh",
        "on-download-error": "/bin/sh", "on-download-stop": "/bin/sh", "on-download-pause": "/bin/sh",
        "log": "/tmp/x", "conf-path": "/tmp/x", "save-session": "/tmp/x", "input-file": "/etc/passwd",
        "load-cookies": "/etc/passwd", "save-cookies": "/tmp/x", "server-stat-of": "/tmp/x", "rpc-secret": "x",
        "netrc-path": "/etc/passwd", "certificate": "/etc/passwd", "private-key": "/etc/passwd",
        "ca-certificate": "/etc/passwd", "torrent-file": "/etc/passwd", "metalink-file": "/etc/passwd",
        "dht-file-path": "/tmp/x", "rpc-certificate": "/tmp/x", "check-certificate": "false", "no-netrc": "false",
        "enable-rpc": "false", "refresh_cmd": "touch /tmp/x", "cookies": "/etc/passwd",
    }  # fmt: skip

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [URI], {**evil, "pause": "true"})
        assert await service.call("aria2.changeOption", gid, evil) == "OK"
        before = service.queue.rules.options
        assert await service.call("aria2.changeGlobalOption", evil) == "OK"
        assert service.queue.find(gid).wish.options == {}
        assert service.queue.rules.options == before
        for told in (await service.call("aria2.getOption", gid), await service.call("aria2.getGlobalOption")):
            assert not {"/bin/sh", "/etc/passwd", "/tmp/x"} & set(told.values())
            assert "rpc-secret" not in told

    ran(tmp_path, what)


def test_no_password_is_told(tmp_path: Path) -> None:
    secrets = {"http-user": "u", "http-passwd": "hidden1", "ftp-passwd": "hidden2", "all-proxy-passwd": "hidden3",
               "all-proxy": "http://u:hidden4@127.0.0.1:9/"}  # fmt: skip

    async def what(service: Service) -> None:
        uri = "http://u:hidden5@127.0.0.1:1/f"
        gid = await service.call("aria2.addUri", [uri], {**secrets, "pause": "true"})
        await service.call("aria2.changeGlobalOption", secrets)
        told = [await service.call(f"aria2.{name}", gid) for name in ("getOption", "tellStatus", "getUris", "getFiles")]
        told += [await service.call("aria2.getGlobalOption"), await service.call("aria2.tellWaiting", 0, 9)]
        assert "hidden" not in json.dumps(told)
        assert told[0]["http-user"] == "u"
        assert "greater than or equal to 0" in await service.refusal("aria2.changeUri", gid, 1, [], [f"{URI}2"], -1)
        assert await service.call("aria2.changeUri", gid, 1, [URI], [f"{URI}2"]) == [1, 1]

    ran(tmp_path, what)


def test_nothing_that_others_must_not_set_can_be_set_for_a_task() -> None:
    assert not taken_here() & NEVER_FROM_OUTSIDE
    assert {"dir", "out", "headers", "task_limit"} <= taken_here()


def test_a_torrent_is_told_before_it_begins_and_its_files_are_chosen(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        gid = await service.call(
            "aria2.addTorrent", b64(TORRENT), ["http://127.0.0.1:1/seed/"], {"pause": "true", "select-file": "2"}
        )
        status = await service.call("aria2.tellStatus", gid)
        assert status["bittorrent"] == {
            "announceList": [["http://t.test/ann"]], "comment": "hello", "creationDate": 1700000000,
            "info": {"name": "abc"}, "mode": "multi",
        }  # fmt: skip
        assert len(status["infoHash"]) == 40
        assert (status["totalLength"], status["numPieces"], status["pieceLength"]) == ("20010", "2", "16384")
        assert [(each["path"].partition("/out/")[2], each["length"], each["selected"]) for each in status["files"]] == [
            ("abc/a/1.txt", "20000", "false"), ("abc/2.txt", "10", "true"),
        ]  # fmt: skip
        assert (status["seeder"], status["numSeeders"]) == ("false", "0")
        assert await service.call("aria2.changeOption", gid, {"select-file": "1"}) == "OK"
        files = await service.call("aria2.getFiles", gid)
        assert [each["selected"] for each in files] == ["true", "false"]
        assert (await service.call("aria2.getOption", gid))["select-file"] == "1"
        assert await service.call("aria2.changeUri", gid, 2, [], ["http://127.0.0.1:1/other/"], 0) == [0, 1]
        assert service.queue.store.is_document(service.queue.find(gid).wish.url)
        uris = await service.call("aria2.getUris", gid)
        assert [each["uri"] for each in uris] == ["http://127.0.0.1:1/other/", "http://127.0.0.1:1/seed/"]

    ran(tmp_path, what)


def test_of_a_torrent_in_a_list_what_is_known_by_then_is_told(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        await service.call("aria2.addTorrent", b64(TORRENT), [], {"pause": "true"})
        listed = await service.call("aria2.tellWaiting", 0, 9, ["files", "bittorrent"])
        while "bittorrent" not in listed[0]:
            listed = await service.call("aria2.tellWaiting", 0, 9, ["files", "bittorrent"])
        assert len(listed[0]["files"]) == 2

    ran(tmp_path, what)


def test_each_file_of_a_metalink_is_a_task(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        gids = await service.call("aria2.addMetalink", b64(METALINK), {"pause": "true"}, 0)
        assert [job.gid for job in service.queue.waiting()] == gids
        assert len(gids) == 2

    ran(tmp_path, what)


@pytest.mark.parametrize(
    ("method", "document"),
    [
        ("aria2.addTorrent", b"d4:infod6:lengthi-1eee"), ("aria2.addTorrent", b"d" * 100_000),
        ("aria2.addTorrent", METALINK), ("aria2.addMetalink", TORRENT), ("aria2.addMetalink", b""),
        ("aria2.addMetalink", b"<x/>"), ("aria2.addMetalink", b"<metalink>" * 10_000),
        ("aria2.addMetalink", b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><metalink>&b;</metalink>'),
        ("aria2.addMetalink", b'<!DOCTYPE m SYSTEM "file:///etc/passwd"><metalink/>'),
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_one_sentence(method: str, document: bytes, tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        told = await service.refusal(method, b64(document))
        assert "Traceback" not in told
        assert str(tmp_path) not in told
        assert service.queue.counts() == (0, 0, 0)

    ran(tmp_path, what)


def test_patterns_are_mirrors_only_where_that_is_asked_for(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        plain = await service.call("aria2.addUri", ["http://h/[1-2]"], {"pause": "true"})
        wide = await service.call("aria2.addUri", ["http://{a,b}/f"], {"pause": "true", "parameterized-uri": "true"})
        assert service.queue.find(plain).wish.urls == ("http://h/[1-2]",)
        assert service.queue.find(wide).wish.urls == ("http://a/f", "http://b/f")
        options = {"pause": "true", "parameterized-uri": "true"}
        assert "are the most" in await service.refusal("aria2.addUri", ["http://h/[1-9999]"], options)

    ran(tmp_path, what)


def test_what_was_added_is_there_after_a_restart_with_all_options(tmp_path: Path) -> None:
    options = {"pause": "true", "user-agent": "x", "split": "3", "header": ["A: b", "C: d"], "index-out": ["1=a"]}
    told: list[object] = []

    async def before(service: Service) -> None:
        gid = await service.call("aria2.addUri", [URI], {**options, "gid": "00000000000000aa"})
        await service.call("aria2.changeGlobalOption", {"max-tries": "9", "max-overall-download-limit": "2M"})
        told.append(await service.call("aria2.getOption", gid))

    async def after(service: Service) -> None:
        assert await service.call("aria2.getOption", "00000000000000aa") == told[0]
        everywhere = await service.call("aria2.getGlobalOption")
        assert (everywhere["max-tries"], everywhere["max-overall-download-limit"]) == ("9", "2097152")
        assert service.queue.store.notes == []
        assert await service.call("aria2.changeGlobalOption", {"max-overall-download-limit": "0"}) == "OK"

    async def last(service: Service) -> None:
        assert service.queue.rules.options.limit is None

    ran(tmp_path, before)
    ran(tmp_path, after)
    ran(tmp_path, last)
    assert json.loads(json.dumps(told[0]))["header"] == "A: b\nC: d\n"


def test_of_a_torrent_that_is_whole_each_file_is_told_where_it_lies(tmp_path: Path) -> None:
    """Its folder may have got another name; what was not wanted has no bytes."""

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addTorrent", b64(TORRENT), [], {"pause": "true", "select-file": "2"})
        job = service.queue.find(gid)
        job.state, job.outcome = (
            State.COMPLETE,
            Outcome(name="abc (1)", path="/d/abc (1)", size_bytes=10, done_bytes=10),
        )
        files = await service.call("aria2.getFiles", gid)
        assert [(each["path"], each["completedLength"], each["selected"]) for each in files] == [
            ("/d/abc (1)/a/1.txt", "0", "false"), ("/d/abc (1)/2.txt", "10", "true"),
        ]  # fmt: skip

    ran(tmp_path, what)


@pytest.mark.parametrize(("chosen", "bits"), [(None, "c0"), ("1-2", "c0"), ("2", None)])
def test_of_a_torrent_in_part_no_pieces_are_told_that_may_not_be_there(
    chosen: str | None, bits: str | None, tmp_path: Path
) -> None:
    async def what(service: Service) -> None:
        options = {"pause": "true", **({"select-file": chosen} if chosen else {})}
        gid = await service.call("aria2.addTorrent", b64(TORRENT), [], options)
        await service.call("aria2.getFiles", gid)
        job = service.queue.find(gid)
        job.state, job.outcome = State.COMPLETE, Outcome(name="abc", path="/d/abc", size_bytes=10, done_bytes=10)
        assert (await service.call("aria2.tellStatus", gid)).get("bitfield") == bits

    ran(tmp_path, what)


def test_a_metalinks_file_has_its_name_from_the_start(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        for gid, name in zip(
            await service.call("aria2.addMetalink", b64(METALINK), {"pause": "true"}), "ab", strict=True
        ):
            assert (await service.call("aria2.getFiles", gid))[0]["path"] == f"{tmp_path}/out/{name}"
            job = service.queue.find(gid)
            job.state, job.outcome = State.FAILED, Outcome(error="x", kind="NotFound", exit_code=3)
            assert (await service.call("aria2.getFiles", gid))[0]["path"] == f"{tmp_path}/out/{name}"

    ran(tmp_path, what)


def test_what_is_being_removed_is_removed_once(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [server.url("/f")])
        job = service.queue.find(gid)
        await until(lambda: (progress := service.queue.progress(job)) and progress.done_bytes)
        job.leaving = State.REMOVED
        assert await service.refusal("aria2.remove", gid) == f"Active Download not found for GID#{gid}"
        job.leaving = None

    with LoopbackServer({"/f": Resource(body=bytes(1 << 20), behaviour=stall_after(70_000))}) as server:
        ran(tmp_path, what)


@pytest.mark.parametrize(
    ("asked", "ratio"), [({"seed-time": "5"}, 1.0), ({"seed-time": "5", "seed-ratio": "0"}, 999999.0),
                         ({"seed-time": "5", "seed-ratio": "2"}, 2.0), ({"seed-time": "0"}, 0.0), ({}, 0.0)],
)  # fmt: skip
def test_a_time_to_share_of_its_own_holds_where_nothing_else_is_shared(
    asked: dict[str, str], ratio: float, tmp_path: Path
) -> None:
    async def what(service: Service) -> None:
        assert await service.call("aria2.changeGlobalOption", {"seed-time": "0"}) == "OK"
        gid = await service.call("aria2.addTorrent", b64(TORRENT), [], {"pause": "true", **asked})
        options = service.queue.rules.options_of(service.queue.find(gid).wish)
        assert (options.ratio, options.seed_time) == (ratio, 300.0 if asked.get("seed-time") == "5" else None)

    ran(tmp_path, what)
