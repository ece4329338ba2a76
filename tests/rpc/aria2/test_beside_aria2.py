"""The same calls to ours and to the real aria2c: the same words where something is refused, answers of one shape.

The expected words stand here, so that they are asked of ours where aria2c is not installed, too.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.daemon.runs import LIMIT_S
from tests.rpc.aria2.service import SECRET, Service, serving
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.rpc.aria2.methods import METHODS

# Paused; removed; two that begin alike; a magnet link; a metalink's; one that runs; one that is done; one that failed.
PAUSED, REMOVED, TWIN, MAGNET = "00000000000000aa", "00000000000000ee", "ab00000000000001", "00000000000000c1"
LISTED = "00000000000000c2"
RUNS, DONE, FAILED = "00000000000000f1", "00000000000000d1", "00000000000000b1"
NOBODY = "1234567890123456"
LINK = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=abc&tr=http://127.0.0.1:1/announce"
URI = "http://127.0.0.1:1/f"
# aria2 shuffles mirrors of one priority.
METALINK = b"""<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="sub/f"><size>9</size>
<url priority="2">http://127.0.0.1:1/2</url><url priority="1">http://127.0.0.1:1/1</url></file></metalink>"""
LEAST = "The integer parameter at 1 has invalid value: the value must be greater than or equal to {}."
MISSING, WRONG = "The parameter at {} is required but missing.", "The parameter at {} has wrong type."
OF_ONE = tuple(name for name, method in METHODS.items() if method.params and method.params[0].name == "gid")


class Row(NamedTuple):
    method: str
    params: tuple[object, ...]
    told: str


def rows() -> Iterator[Row]:
    yield from _types()
    for name in OF_ONE:
        rest = REST.get(name, ())
        for gid in ("", "zz", "12345678901234567"):
            yield Row(name, (gid, *rest), f"Invalid GID {gid}")
        for gid in (NOBODY, "abc"):
            yield Row(name, (gid, *rest), f"GID {gid} is not found")
        yield Row(name, ("AB", *rest), "GID AB is not unique")
    yield from (Row(f"aria2.{name}", params, told) for name, params, told in BUSINESS)


def _types() -> Iterator[Row]:
    """Each method without a parameter that it needs, and with one of each wrong type."""
    for name, method in METHODS.items():
        if name == "system.multicall":
            continue
        given: list[object] = []
        for at, param in enumerate(method.params):
            if not param.optional:
                yield Row(name, tuple(given), MISSING.format(at))
            right = {"string": "x", "integer": 1, "array": [], "struct": {}, "base64": "x"}[param.kind.value]
            wrong = [each for each in VALUES if not isinstance(each, type(right))]
            if isinstance(right, int):
                wrong.append(True)
            for value in wrong:
                yield Row(name, (*given, value), WRONG.format(at))
            given.append(right)


VALUES: tuple[object, ...] = ("x", 1, True, None, [], {})
_OPTION = "We encountered a problem while processing the option '--{}'."
REST: dict[str, tuple[object, ...]] = {
    "aria2.changePosition": (0, "POS_SET"), "aria2.changeUri": (1, [], []), "aria2.changeOption": ({},),
}  # fmt: skip
BUSINESS: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("nope", (), "No such method: aria2.nope"),
    ("addUri", ([],), "URI is not provided."),
    ("addUri", ([1],), "URI is not provided."),
    ("addUri", (["x"],), "No URI to download."),
    ("addUri", (["magnet:?x"],), "No URI to download."),
    ("addUri", (["file:///etc/passwd"],), "No URI to download."),
    ("addUri", (["http://127.0.0.1:99999/f"],), "No URI to download."),
    ("addUri", (["http://127.0.0.1:x/f"],), "No URI to download."),
    ("addUri", ([URI], {}, -1), "Position must be greater than or equal to 0."),
    ("addUri", ([URI], {"split": "x"}), _OPTION.format("split")),
    ("addUri", ([URI], {"checksum": "x"}), _OPTION.format("checksum")),
    ("addUri", ([URI], {"all-proxy": "::"}), _OPTION.format("all-proxy")),
    ("addUri", ([URI], {"pause": "maybe"}), _OPTION.format("pause")),
    ("addTorrent", ("x",), "Bencode decoding failed"),
    ("addTorrent", ("!!!!",), "Bencode decoding failed"),
    ("addTorrent", ("eA==",), "Bencode decoding failed"),
    ("addMetalink", ("x",), "Could not parse Metalink XML document."),
    ("tellWaiting", (0, -1), LEAST.format(0)),
    ("changeUri", (PAUSED, 0, [], []), LEAST.format(1)),
    ("changeUri", (PAUSED, 2, [], []), "fileIndex is out of range"),
    ("changeUri", (PAUSED, 1, [], [URI], -1), "Position must be greater than or equal to 0."),
    ("changeUri", (REMOVED, 1, [], []), f"Cannot remove URIs from GID#{REMOVED}"),
    ("changePosition", (PAUSED, 1, "x"), "Illegal argument."),
    ("changePosition", (REMOVED, 1, "POS_SET"), f"GID#{REMOVED} not found in the waiting queue."),
    ("changeOption", (REMOVED, {"dir": "x"}), f"Cannot change option for GID#{REMOVED}"),
    ("changeOption", (PAUSED, {"max-download-limit": "x"}), _OPTION.format("max-download-limit")),
    ("changeGlobalOption", ({"max-concurrent-downloads": "x"},), _OPTION.format("max-concurrent-downloads")),
    ("pause", (PAUSED,), f"GID#{PAUSED} cannot be paused now"),
    ("forcePause", (PAUSED,), f"GID#{PAUSED} cannot be paused now"),
    ("pause", (REMOVED,), f"GID#{REMOVED} cannot be paused now"),
    ("unpause", (REMOVED,), f"GID#{REMOVED} cannot be unpaused now"),
    ("remove", (REMOVED,), f"Active Download not found for GID#{REMOVED}"),
    ("forceRemove", (REMOVED,), f"Active Download not found for GID#{REMOVED}"),
    ("removeDownloadResult", (PAUSED,), f"Could not remove download result of GID#{PAUSED}"),
    ("getUris", (REMOVED,), f"No URI data is available for GID#{REMOVED}"),
    ("getPeers", (REMOVED,), f"No peer data is available for GID#{REMOVED}"),
    ("getServers", (PAUSED,), f"No active download for GID#{PAUSED}"),
    ("getServers", (REMOVED,), f"No active download for GID#{REMOVED}"),
)  # fmt: skip


async def lined_up(service: Service, server: LoopbackServer) -> None:
    server.resources["/slow"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))
    for gid in (PAUSED, TWIN, TWIN[:-1] + "2"):
        await service.call("aria2.addUri", [URI], {"gid": gid, "pause": "true", "split": "2"})
    await service.call("aria2.addUri", [LINK], {"gid": MAGNET, "pause": "true"})
    # aria2 forgets at once what is removed before it has begun.
    await service.call("aria2.addUri", [server.url("/slow")], {"gid": REMOVED, "split": "1", "out": "removed"})
    await until_told(service, REMOVED, "totalLength", "3000000")
    await service.call("aria2.remove", REMOVED)
    await until_told(service, REMOVED, "status", "removed")


async def until_told(service: Service, gid: str, key: str, *wanted: str) -> None:
    while (await service.call("aria2.tellStatus", gid)).get(key) not in wanted:  # noqa: ASYNC110 - it is another program's
        await asyncio.sleep(0.02)


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Service]:
    """The real one, asked in the same way."""
    if shutil.which("aria2c") is None:
        pytest.skip("needs aria2c")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        "aria2c", "--no-conf", "--enable-rpc", f"--rpc-listen-port={port}", f"--rpc-secret={SECRET}", f"--dir={folder}",
        "--quiet", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--auto-save-interval=0",
        "--max-tries=1", "--file-allocation=none",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: ASYNC220 - it is forked, no more
    service = Service(None, port, None)  # type: ignore[arg-type]  # nothing here asks for its queue
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    await service.call("aria2.getVersion")
                    break
                except OSError:
                    await asyncio.sleep(0.02)
            yield service
    finally:
        process.kill()
        process.wait()


async def wrong_words(service: Service, server: LoopbackServer) -> dict[str, object]:
    await lined_up(service, server)
    wrong: dict[str, object] = {}
    for row in rows():
        reply = await service.ask(row.method, *row.params)
        told = reply.body.get("error", {"code": 0, "message": reply.body.get("result")})
        if (reply.status, told["code"], told["message"]) != (400, 1, row.told):
            wrong[f"{row.method}{json.dumps(row.params)}: {row.told}"] = told["message"]
    return wrong


def test_what_is_refused_is_refused_in_aria2s_words(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> dict[str, object]:
        async with serving(tmp_path) as service:
            return await wrong_words(service, server)

    assert asyncio.run(run()) == {}


def test_these_are_aria2s_words(tmp_path: Path, server: LoopbackServer) -> None:
    async def run() -> dict[str, object]:
        async with real(tmp_path) as service:
            return await wrong_words(service, server)

    assert asyncio.run(run()) == {}


# -- shapes

SHAPES: tuple[tuple[str, tuple[object, ...]], ...] = (
    *(("aria2.tellStatus", (gid,)) for gid in (PAUSED, REMOVED, MAGNET, LISTED, RUNS, DONE, FAILED)),
    *(("aria2.getFiles", (gid,)) for gid in (PAUSED, REMOVED, MAGNET, LISTED, RUNS, DONE, FAILED)),
    *(("aria2.getUris", (gid,)) for gid in (PAUSED, MAGNET, LISTED, RUNS)),
    *(("aria2.getOption", (gid,)) for gid in (PAUSED, REMOVED, RUNS)),
    ("aria2.getPeers", (MAGNET,)), ("aria2.getPeers", (RUNS,)), ("aria2.getServers", (RUNS,)),
    ("aria2.tellStatus", (PAUSED, ["gid", "nosuch"])), ("aria2.tellStatus", (PAUSED, [1])),
    ("aria2.tellActive", (["gid"],)), ("aria2.tellWaiting", (0, 9, ["gid"])), ("aria2.tellWaiting", (-1, 2, ["gid"])),
    ("aria2.tellWaiting", (-9, 2, ["gid"])), ("aria2.tellWaiting", (9, 2, ["gid"])),
    ("aria2.tellWaiting", (-2, 9, ["gid"])), ("aria2.tellWaiting", (1, 0, ["gid"])),
    ("aria2.tellStopped", (-1, 9, ["gid", "status"])), ("aria2.getGlobalStat", ()), ("aria2.getSessionInfo", ()),
    ("aria2.changePosition", (PAUSED, 99, "POS_SET")), ("aria2.changePosition", (PAUSED, -1, "POS_CUR")),
    ("aria2.changePosition", (PAUSED, -99, "POS_END")), ("aria2.tellWaiting", (0, 9, ["gid", "status"])),
    ("aria2.changeUri", (PAUSED, 1, [URI], [URI + "1", "rubbish", 1])), ("aria2.changeUri", (PAUSED, 1, [], [URI], 0)),
    ("aria2.getUris", (PAUSED,)), ("aria2.changeOption", (PAUSED, {"header": ["A: b"], "gid": "1", "pause": "true"})),
    ("aria2.changeOption", (PAUSED, {"max-download-limit": "1M", "dir": "sub", "nosuch": 1})),
    ("aria2.getOption", (PAUSED,)), ("aria2.changeGlobalOption", ({"max-concurrent-downloads": "3", "nosuch": "1"},)),
    ("aria2.removeDownloadResult", (REMOVED,)), ("aria2.purgeDownloadResult", ()), ("aria2.tellStopped", (0, 9)),
    ("aria2.forceRemove", (PAUSED,)), ("aria2.unpauseAll", ()), ("aria2.pauseAll", ()),
    ("system.listMethods", ()), ("system.listNotifications", ()),
)  # fmt: skip
# Of a list of these the values themselves are compared.
EXACT = {"gid", "status", "selected", "index", "errorCode", "seeder", "split", "max-concurrent-downloads", "header",
         "max-download-limit", "uri", "infoHash", "length", "announceList"}  # fmt: skip
# Ours has one only while a task runs, or where all of it is there.
OTHER_VALUES = {"bitfield"}


def shape(value: Any, name: str = "") -> object:
    """What is the same in both where they are alike: keys, kinds of values, values of some keys."""
    if isinstance(value, dict):
        return {key: shape(each, key) for key, each in sorted(value.items()) if key not in OTHER_VALUES}
    if name == "uris":
        # aria2 names a URI as often as it connects to it.
        return list({each["uri"]: each["status"] for each in reversed(value)}.items())[::-1]
    if isinstance(value, list):
        return [shape(each, name) for each in value]
    if name in EXACT or not isinstance(value, str):
        return value
    return "number" if value.isdigit() else "flag" if value in ("true", "false") else "text"


async def shapes(service: Service, server: LoopbackServer) -> dict[str, object]:
    await lined_up(service, server)
    server.resources["/done"] = Resource(body=b"x" * 1000)
    # One after the other: which of them has ended first is told, too.
    for gid, path, key, value in (
        (RUNS, "/slow", "totalLength", "3000000"), (DONE, "/done", "status", "complete"),
        (FAILED, "/gone", "status", "error"),
    ):  # fmt: skip
        await service.call("aria2.addUri", [server.url(path)], {"gid": gid, "split": "1"})
        await until_told(service, gid, key, value)
    document = base64.b64encode(METALINK).decode()
    # aria2 passes over the gid of a metalink.
    (listed,) = await service.call("aria2.addMetalink", document, {"pause": "true"})
    found: dict[str, object] = {}
    for number, (method, params) in enumerate(SHAPES):
        result = await service.call(method, *(listed if each == LISTED else each for each in params))
        text = json.dumps(shape(result)).replace(str(server.port), "PORT").replace(listed, LISTED)
        found[f"{number} {method}{json.dumps(params)}"] = json.loads(text)
    return found


def test_answers_have_the_shape_of_aria2s(tmp_path: Path) -> None:
    async def both() -> list[dict[str, object]]:
        (tmp_path / "real").mkdir()
        found = []
        for begun in (serving(tmp_path), real(tmp_path / "real")):
            with LoopbackServer() as server:
                async with begun as service:
                    found.append(await shapes(service, server))
        return found

    ours, theirs = asyncio.run(both())
    assert {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]} == {}
