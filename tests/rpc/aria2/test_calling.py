from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.daemon.runs import hold, until
from tests.rpc.aria2.service import SECRET, Service, serving
from tests.servers.loopback import LoopbackServer
from thunderdl.daemon.jobs import Job
from thunderdl.daemon.store import Store
from thunderdl.rpc.aria2.methods import METHODS

TOKEN = f"token:{SECRET}"
URI = "http://127.0.0.1:1/f"


def ran(folder: Path, what: Callable[[Service], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(folder) as service:
            await what(service)

    asyncio.run(run())


def calls(*each: tuple[str, Sequence[object]]) -> str:
    listed = [{"methodName": name, "params": params} for name, params in each]
    return json.dumps({"id": 1, "method": "system.multicall", "params": [listed]})


@pytest.mark.parametrize("params", [[], ["token:wrong"], ["wrong"], [SECRET], ["token:"], [[TOKEN]]])
def test_no_method_but_three_is_carried_out_without_the_secret(params: list[object], tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        for name in [*METHODS, "aria2.nope"]:
            reply = await service.post(json.dumps({"id": 0, "method": name, "params": params}))
            if name.startswith("system."):
                assert reply.body.get("error", {}).get("message") != "Unauthorized"
            else:
                assert (reply.status, reply.body["error"]) == (400, {"code": 1, "message": "Unauthorized"})
        assert service.stopped == []

    ran(tmp_path, what)


def test_a_multicall_is_a_list_of_results_and_faults_each_with_its_own_token(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        body = calls(
            ("aria2.getGlobalStat", [TOKEN]), ("aria2.getGlobalStat", []), ("system.multicall", [[]]),
            ("nope", [TOKEN]), ("system.listNotifications", []), ("aria2.tellStatus", [TOKEN, "zz"]),
        )  # fmt: skip
        reply = await service.post(body[:-3] + ',1,{"params":[]},{"methodName":1},{"methodName":"nope"}]]}')
        stat, *faults = reply.body["result"]
        assert stat[0]["numActive"] == "0"
        messages = [each["message"] if isinstance(each, dict) else len(each[0]) for each in faults]
        assert messages == [
            "Unauthorized", "Recursive system.multicall forbidden.", "No such method: nope", 6, "Invalid GID zz",
            "system.multicall expected struct.", "Missing methodName.", "Missing methodName.", "Unauthorized",
        ]  # fmt: skip

    ran(tmp_path, what)


def test_of_one_request_one_wrong_token_is_looked_at_and_none_after_it(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        guesses = [("aria2.getVersion", [f"token:{number}"]) for number in range(50)]
        reply = await service.post(calls(*guesses, ("aria2.getVersion", [TOKEN])))
        assert {json.dumps(each) for each in reply.body["result"]} == {'{"code": 1, "message": "Unauthorized"}'}
        assert service.guesses == ["0"]
        batch = [{"id": number, "method": "aria2.getVersion", "params": [f"token:{number}"]} for number in range(50)]
        assert len((await service.post(json.dumps(batch))).body) == 50
        assert service.guesses == ["0", "0"]

    ran(tmp_path, what)


def test_one_that_is_missing_costs_its_second_once_and_others_of_the_request_are_carried_out(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        missing: list[tuple[str, list[object]]] = [("aria2.getVersion", []) for _ in range(50)]
        reply = await service.post(calls(*missing, ("aria2.getVersion", [TOKEN])))
        assert service.guesses == ["", SECRET]
        assert reply.body["result"][-1][0]["version"]

    ran(tmp_path, what)


def test_thousands_that_are_added_in_a_row_share_their_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    writes: list[int] = []
    save = Store.save

    async def counted(self: Store, *jobs: Iterable[Job]) -> None:
        listed = [list(each) for each in jobs]
        writes.append(sum(map(len, listed)))
        await save(self, *listed)

    monkeypatch.setattr(Store, "save", counted)

    async def what(service: Service) -> None:
        added = [("aria2.addUri", [TOKEN, [f"{URI}{number}"], {"pause": "true"}]) for number in range(1000)]
        wrong = ("aria2.addUri", [TOKEN, ["x"]])
        twin = ("aria2.addUri", [TOKEN, [URI], {"pause": "true", "gid": "00000000000000aa"}])
        reply = await service.post(calls(*added[:500], wrong, twin, twin, *added[500:]))
        results = reply.body["result"]
        assert results[500] == {"code": 1, "message": "No URI to download."}
        assert [type(each) for each in results[501:503]] == [list, dict]
        good = [each[0] for each in results if isinstance(each, list)]
        assert len(good) == 1001
        assert [job.gid for job in service.queue.waiting()] == good
        assert len(writes) <= 20

    ran(tmp_path, what)


def test_a_place_and_what_is_not_paused_are_kept_in_a_multicall(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        await service.call("aria2.changeGlobalOption", {"max-concurrent-downloads": "1"})
        hold(service.queue)
        reply = await service.post(calls(
            ("aria2.addUri", [TOKEN, [f"{URI}1"], {"pause": "true"}]), ("aria2.addUri", [TOKEN, [f"{URI}2"]]),
            ("aria2.addUri", [TOKEN, [f"{URI}3"], {}, 0]), ("aria2.addUri", [TOKEN, [f"{URI}4"]]),
        ))  # fmt: skip
        gids = [each[0] for each in reply.body["result"]]
        waiting = await service.call("aria2.tellWaiting", 0, 9, ["gid", "status"])
        assert [each["gid"] for each in waiting] == [gids[2], gids[0], gids[1], gids[3]]
        assert [each["status"] for each in waiting] == ["waiting", "paused", "waiting", "waiting"]

    ran(tmp_path, what)


def test_the_daemon_answers_before_it_is_stopped(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        assert await service.call("aria2.shutdown") == await service.call("aria2.forceShutdown") == "OK"
        assert service.stopped == [False, True]

    ran(tmp_path, what)


def test_a_paused_one_goes_on_and_one_that_is_still_stopping_does_too(tmp_path: Path, server: LoopbackServer) -> None:
    from tests.servers.loopback import Resource
    from tests.servers.misbehave import stall_after

    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [server.url("/s")])
        job = service.queue.find(gid)
        await until(lambda: (seen := service.queue.progress(job)) and seen.done_bytes > 1_000_000)
        reply = await service.post(calls(
            *[(f"aria2.{name}", [TOKEN, gid]) for name in ("pause", "pause", "unpause", "unpause", "forcePause")]
        ))  # fmt: skip
        told = [each[0] if isinstance(each, list) else each["message"] for each in reply.body["result"]]
        assert told == [gid, f"GID#{gid} cannot be paused now", gid, f"GID#{gid} cannot be unpaused now", gid]
        await until(lambda: job.state.value == "paused")
        status = await service.call("aria2.tellStatus", gid)
        assert (status["status"], status["totalLength"]) == ("paused", "3000000")
        assert 1_000_000 < int(status["completedLength"]) < 3_000_000
        assert status["files"][0]["path"] == str(tmp_path / "out" / "s")

    ran(tmp_path, what)


def test_the_result_of_one_that_is_still_stopping_is_removed_once_it_has_stopped(
    tmp_path: Path, server: LoopbackServer
) -> None:
    from tests.servers.loopback import Resource
    from tests.servers.misbehave import stall_after

    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [server.url("/s")])
        job = service.queue.find(gid)
        await until(lambda: (seen := service.queue.progress(job)) and seen.done_bytes > 1_000_000)
        names = ("aria2.removeDownloadResult", "aria2.forceRemove", "aria2.removeDownloadResult", "aria2.tellStatus")
        reply = await service.post(calls(*[(name, [TOKEN, gid]) for name in names]))
        told = [each[0] if isinstance(each, list) else each["message"] for each in reply.body["result"]]
        assert told == [f"Could not remove download result of GID#{gid}", gid, "OK", f"GID {gid} is not found"]

    ran(tmp_path, what)


def test_what_is_still_stopping_has_stopped_for_whoever_moves_it_or_purges_it(
    tmp_path: Path, server: LoopbackServer
) -> None:
    from tests.servers.loopback import Resource
    from tests.servers.misbehave import stall_after

    server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [server.url("/s")])
        job = service.queue.find(gid)
        for steered, then, told in (
            (("aria2.pause", [TOKEN, gid]), ("aria2.changePosition", [TOKEN, gid, 0, "POS_SET"]), 0),
            (("aria2.remove", [TOKEN, gid]), ("aria2.purgeDownloadResult", [TOKEN]), "OK"),
        ):
            await until(lambda: (seen := service.queue.progress(job)) and seen.done_bytes > 1_000_000)
            reply = await service.post(calls(steered, then, ("aria2.unpauseAll", [TOKEN])))
            assert reply.body["result"][:2] == [[gid], [told]]
        assert await service.refusal("aria2.tellStatus", gid) == f"GID {gid} is not found"

    ran(tmp_path, what)


def test_files_are_chosen_where_there_are_some_to_choose_from(tmp_path: Path, server: LoopbackServer) -> None:
    """Scripts send select-file with all that they add; aria2 passes it over where there is one file."""
    from tests.servers.loopback import Resource

    server.resources["/f"] = Resource(body=b"x" * 1000)

    async def what(service: Service) -> None:
        gid = await service.call("aria2.addUri", [server.url("/f")], {"select-file": "2"})
        await until(lambda: service.queue.find(gid).state.has_ended)
        status = await service.call("aria2.tellStatus", gid, ["status", "errorCode"])
        assert status == {"status": "complete", "errorCode": "0"}
        asked = {"max-file-not-found": "1"}
        gone = await service.call("aria2.addUri", [server.url("/gone")], asked)
        await until(lambda: service.queue.find(gone).state.has_ended)
        assert (await service.call("aria2.tellStatus", gone, ["errorCode"])) == {"errorCode": "4"}

    ran(tmp_path, what)
