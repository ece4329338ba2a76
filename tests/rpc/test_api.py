"""The routes of the table: what each does with the queue, what it answers, what it refuses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon.runs import ended, hold, until
from tests.engine.swarm import CONTENT, NAME, made_torrent
from tests.rpc.serving import Served, listening, next_of, serving
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.daemon.database import Database
from thunderdl.daemon.jobs import Job, Outcome, State, Wish
from thunderdl.daemon.queue import NotNow
from thunderdl.engine.ledger import Ledger
from thunderdl.errors import StorageError
from thunderdl.model import Progress, Status
from thunderdl.rpc.api.application import ROUTES
from thunderdl.rpc.api.fields import Field
from thunderdl.rpc.api.routes import Route
from thunderdl.rpc.api.shapes import name_of
from thunderdl.rpc.api.tasks import TASK_FIELDS
from thunderdl.timetable import DAYS

GID = "0123456789abcdef"


def over(folder: Path, use: Callable[[Served], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        async with serving(folder, **more) as served:
            await use(served)

    asyncio.run(run())


async def names(served: Served, state: str = "waiting", **query: Any) -> list[str]:
    answer = await served.client.get("/api/v1/tasks", params={"state": state, **query})
    return [task["name"] for task in answer.json()["tasks"]]


async def lined_up(served: Served, count: int = 4) -> list[str]:
    tasks = [{"urls": [f"http://127.0.0.1:1/{number}"], "paused": True} for number in range(count)]
    answer = await served.client.post("/api/v1/tasks", json={"tasks": tasks})
    assert answer.status_code == 201
    return [task["gid"] for task in answer.json()["tasks"]]


def test_many_are_added_at_once_and_listed_by_parts(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        await lined_up(served)
        assert await names(served) == ["0", "1", "2", "3"]
        assert await names(served, offset=1, limit=2) == ["1", "2"]
        assert await names(served, state="all", offset=3) == ["3"]
        answer = (await served.client.get("/api/v1/tasks", params={"state": "waiting", "limit": 0})).json()
        assert answer == {"tasks": [], "total": 4}

    over(tmp_path, use)


def test_one_bad_of_many_adds_none(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        tasks = [{"urls": ["http://127.0.0.1:1/a"]}, {"urls": ["http://"]}]
        answer = await served.client.post("/api/v1/tasks", json={"tasks": tasks})
        assert answer.status_code == 400
        assert served.queue.counts() == (0, 0, 0)

    over(tmp_path, use)


def test_a_place_in_line_is_taken_and_changed(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        gids = await lined_up(served)
        task = await served.add("http://127.0.0.1:1/first", paused=True, position=0)
        assert task["position"] == 0
        for to, place in (("bottom", 4), ("up", 3), ("top", 0), ("down", 1), (2, 2)):
            answer = await served.client.post(f"/api/v1/tasks/{task['gid']}/move", json={"to": to})
            assert answer.json() == {"position": place}
        assert await names(served) == ["0", "1", "first", "2", "3"]
        high = await served.client.patch(f"/api/v1/tasks/{gids[3]}", json={"priority": "high"})
        assert (high.json()["priority"], high.json()["position"]) == ("high", 0)

    over(tmp_path, use)


def test_a_task_is_paused_resumed_removed_retried_and_forgotten(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/file")))["gid"]
        place = f"/api/v1/tasks/{gid}"
        job = served.queue.find(gid)
        await until(lambda: (seen := served.queue.progress(job)) and seen.done_bytes)
        assert (await served.client.get(place)).json()["state"] == "active"
        await served.client.post(f"{place}/pause")
        await until(lambda: job.state.value == "paused")
        assert (await served.client.post(f"{place}/pause")).status_code == 409
        assert (await served.client.post(f"{place}/retry")).status_code == 409
        assert (await served.client.post("/api/v1/queue/resume")).status_code == 204
        assert (await served.client.post("/api/v1/queue/pause")).status_code == 204
        await until(lambda: job.state.value == "paused")
        assert (await served.client.delete(place)).status_code == 204
        assert (await served.client.get(place)).json()["state"] == "removed"
        assert (await served.client.post(f"{place}/retry")).json()["state"] in ("waiting", "active")
        assert (await served.client.delete(place)).status_code == 204
        await ended(job)
        assert (await served.client.delete(place)).status_code == 204
        assert (await served.client.get(place)).status_code == 404

    over(tmp_path, use)


def test_a_failure_is_told_with_its_sentence_and_found_again(tmp_path: Path, server: LoopbackServer) -> None:
    async def use(served: Served) -> None:
        task = await served.add(server.url("/gone"))
        await ended(served.queue.find(task["gid"]))
        found = (await served.client.get("/api/v1/history", params={"q": "gone", "state": "failed"})).json()
        assert found["more"] is False
        (told,) = found["tasks"]
        assert told["error"]["kind"] == "NotFound"
        assert told["error"]["code"] == 3
        assert told["error"]["message"].endswith(".")
        for query in ({"q": "other"}, {"state": "complete"}, {"before": 1}):
            assert (await served.client.get("/api/v1/history", params=query)).json()["tasks"] == []
        assert (await served.client.delete("/api/v1/history")).status_code == 204
        assert (await served.client.get("/api/v1/history")).json()["tasks"] == []
        assert await names(served, "ended") == []

    over(tmp_path, use)


def test_one_of_long_ago_is_tried_again_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.daemon.queue.MOST_ENDED", 0)

    async def use(served: Served) -> None:
        hold(served.queue)
        (gid,) = await lined_up(served, 1)
        await served.client.delete(f"/api/v1/tasks/{gid}")
        read, together = served.queue.store.job, asyncio.Barrier(5)

        async def read_together(gid: str) -> Job | None:
            found = await read(gid)
            await together.wait()
            return found

        monkeypatch.setattr(served.queue.store, "job", read_together)
        asked = [served.client.post(f"/api/v1/tasks/{gid}/retry") for _ in range(5)]
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        assert served.queue.counts() == (0, 1, 0)

    over(tmp_path, use)


def test_no_credentials_are_told(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        secrets = {"headers": ["Authorization: Basic hunter2"], "password": "hunter2", "token": "hunter2",
                   "proxy": "http://me:hunter2@127.0.0.1:1/"}  # fmt: skip
        urls = ("http://me:hunter2@127.0.0.1:1/a", "http://me:hunter2@127.0.0.1:1/b")
        task = await served.add(*urls, options=secrets, paused=True)
        for path in (f"tasks/{task['gid']}", "tasks?state=all", "settings"):
            assert "hunter2" not in (await served.client.get(f"/api/v1/{path}")).text
        async with listening(served, task["gid"]) as events:
            assert "hunter2" not in str(await next_of(events, "snapshot"))
            assert "hunter2" not in str(await next_of(events, "detail"))

    over(tmp_path, use)


def test_what_runs_takes_other_options_and_links(tmp_path: Path, server: LoopbackServer) -> None:
    body = bytes(1 << 20)
    server.resources["/a"] = Resource(body=body, behaviour=stall_after(1 << 18))
    server.resources["/b"] = Resource(body=body)

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/a")))["gid"]
        job, place = served.queue.find(gid), f"/api/v1/tasks/{gid}"
        await until(lambda: (seen := served.queue.progress(job)) and seen.done_bytes)
        refused = await served.client.patch(place, json={"options": {"out": "other"}})
        assert refused.status_code == 400
        assert "out" not in job.wish.options
        answer = await served.client.patch(place, json={"options": {"task_limit": "100M"}})
        assert answer.json()["limit"] == "100M"
        answer = await served.client.patch(place, json={"urls_add": [server.url("/b")]})
        assert answer.status_code == 200
        await ended(job)
        assert job.state.value == "complete"

    over(tmp_path, use)


def test_a_link_with_a_login_is_removed_as_it_is_shown(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        task = await served.add("http://h/a", "http://user:hunter2@m/a", paused=True)
        place = f"/api/v1/tasks/{task['gid']}"
        (shown,) = (await served.client.get(place)).json()["mirrors"]
        assert shown == "http://m/a"
        assert (await served.client.patch(place, json={"urls_remove": [shown]})).status_code == 200
        assert (await served.client.get(place)).json()["mirrors"] == []
        assert served.queue.find(task["gid"]).wish.urls == ("http://h/a",)

    over(tmp_path, use)


def test_a_detail_tells_of_files_pieces_and_sources(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/file")))["gid"]
        job = served.queue.find(gid)
        await until(lambda: (seen := served.queue.progress(job)) and seen.done_bytes)
        told = (await served.client.get(f"/api/v1/tasks/{gid}")).json()
        assert (told["size_bytes"], told["path"]) == (1 << 20, str(tmp_path / "out" / "file"))
        assert told["piece_count"] == -(-told["size_bytes"] // told["piece_length"])
        (file,) = told["files"]
        assert (file["index"], file["size_bytes"], file["selected"]) == (1, 1 << 20, True)
        (source,) = told["sources"]
        assert (source["url"], source["kind"]) == (server.url("/file"), "http")
        cells, owners = (base64.b64decode(told[name]) for name in ("piece_map", "piece_sources"))
        assert (len(cells), len(owners), owners[0], owners[-1]) == (256, 256, 1, 0)

    over(tmp_path, use)


def test_documents_are_looked_into_and_queued(tmp_path: Path, server: LoopbackServer) -> None:
    document = made_torrent(tmp_path / "seeds")
    metalink = (
        '<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">'
        + "".join(f'<file name="{n}"><size>{n}</size><url>{server.url(f"/{n}")}</url></file>' for n in (1, 2))
        + "</metalink>"
    ).encode()

    async def use(served: Served) -> None:
        seen = (await served.client.post("/api/v1/inspect", content=document)).json()
        assert seen == {"name": NAME, "size_bytes": len(CONTENT), "files": [
            {"index": 1, "path": NAME, "size_bytes": len(CONTENT)}]}  # fmt: skip
        seen = (await served.client.post("/api/v1/inspect", content=metalink)).json()
        assert [file["path"] for file in seen["files"]] == ["1", "2"]
        query = {"name": "data.torrent", "options": '{"task_limit": "1M"}', "paused": "1", "priority": "high"}
        (task,) = (await served.client.post("/api/v1/documents", content=document, params=query)).json()["tasks"]
        assert (task["kind"], task["limit"], task["state"], task["priority"]) == ("torrent", "1M", "paused", "high")
        assert (task["name"], task["url"]) == (NAME, "")
        added = await served.client.post("/api/v1/documents", content=metalink, params={"paused": "1"})
        assert len(added.json()["tasks"]) == 2
        for rubbish in (b"", b"d", b"<x/>", b"rubbish", b"<!DOCTYPE x [<!ENTITY a 'b'>]><metalink>&a;</metalink>"):
            answer = await served.client.post("/api/v1/documents", content=rubbish)
            assert answer.status_code == 400, rubbish

    over(tmp_path, use)


def test_a_link_is_looked_behind(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file.iso"] = Resource(body=b"x" * 12345)

    async def use(served: Served) -> None:
        seen = (await served.client.post("/api/v1/inspect", json={"url": server.url("/file.iso")})).json()
        assert seen["files"] == [{"index": 1, "path": "file.iso", "size_bytes": 12345}]
        answer = await served.client.post("/api/v1/inspect", json={"url": server.url("/gone")})
        assert (answer.status_code, answer.json()["error"]["kind"]) == (502, "NotFound")

    over(tmp_path, use)


def test_settings_are_told_and_taken(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        before = (await served.client.get("/api/v1/settings")).json()
        assert (before["active"], before["limit"], before["schedule"]) == (16, None, [])
        rows = [{"days": "mon-fri", "from": "08:00", "to": "18:00", "what": "500K"},
                {"days": "", "from": "23:00", "to": "23:30", "what": "pause"}]  # fmt: skip
        given = {"active": 3, "limit": "2M", "ratio": None, "categories": {"iso": "images"}, "schedule": rows}
        after = (await served.client.patch("/api/v1/settings", json=given)).json()
        assert (after["active"], after["limit"], after["categories"]) == (3, "2M", {"iso": "images"})
        assert sorted(map(str, after["schedule"])) == sorted(map(str, rows))
        # The limit alone leaves the schedule as it is.
        after = (await served.client.patch("/api/v1/settings", json={"limit": None})).json()
        assert after["limit"] is None
        assert len(after["schedule"]) == 2
        after = (await served.client.patch("/api/v1/settings", json={"schedule": []})).json()
        assert (after["schedule"], after["hours"]) == ([], None)
        task = await served.add("http://127.0.0.1:1/x", category="iso", paused=True)
        assert task["dir"] == str(tmp_path / "out" / "images")

    over(tmp_path, use)


def test_files_go_with_their_task_where_that_is_wanted(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/kept"] = server.resources["/file"] = Resource(body=b"x" * 1000)
    stalled = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    server.resources["/half"] = server.resources["/more"] = stalled
    out = tmp_path / "out"

    async def use(served: Served) -> None:
        gids = [(await served.add(server.url(path)))["gid"] for path in ("/kept", "/file", "/half", "/more")]
        jobs = [served.queue.find(gid) for gid in gids]
        await ended(*jobs[:2])
        await until(lambda: all((seen := served.queue.progress(job)) and seen.done_bytes for job in jobs[2:]))
        (out / "other").write_text("not of a task")
        assert (await served.client.delete(f"/api/v1/tasks/{gids[0]}")).status_code == 204
        assert (await served.client.delete(f"/api/v1/tasks/{gids[1]}?files=1")).status_code == 204
        # Of one that runs, and of one that is paused.
        assert (await served.client.delete(f"/api/v1/tasks/{gids[2]}?files=1")).status_code == 204
        await served.client.post(f"/api/v1/tasks/{gids[3]}/pause")
        await until(lambda: jobs[3].state.value == "paused")
        assert (await served.client.delete(f"/api/v1/tasks/{gids[3]}?files=1")).status_code == 204
        assert sorted(os.listdir(out)) == ["kept", "other"]

    over(tmp_path, use)


def test_a_file_that_another_task_saved_under_that_name_stays(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/a/x.bin"] = server.resources["/b/x.bin"] = Resource(body=b"x" * 1000)
    out = tmp_path / "out"

    async def use(served: Served) -> None:
        gids = []
        for path in ("/a/x.bin", "/b/x.bin"):
            gids.append((await served.add(server.url(path)))["gid"])
            await ended(served.queue.find(gids[-1]))
            if path == "/a/x.bin":
                (out / "x.bin").rename(out / "moved.bin")
        assert (await served.client.delete(f"/api/v1/tasks/{gids[0]}?files=1")).status_code == 204
        assert sorted(os.listdir(out)) == ["moved.bin", "x.bin"]
        assert (await served.client.delete(f"/api/v1/tasks/{gids[1]}?files=1")).status_code == 204
        assert sorted(os.listdir(out)) == ["moved.bin"]

    over(tmp_path, use)


def test_files_go_with_a_task_that_just_gets_them(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part is begun, or becomes the whole file, while it is being stopped."""
    server.resources["/file"] = Resource(body=b"x" * 1000)
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    out = tmp_path / "out"

    async def use(served: Served) -> None:
        queue, stop = served.queue, served.queue.remove
        for url, name in (("/half", "half.part.journal"), ("/file", "file")):
            (job,) = await queue.add([Wish(urls=(server.url(url),))])

            async def late(job: Job, name: str = name) -> None:
                await until((out / name).exists)
                with contextlib.suppress(NotNow):
                    await stop(job)

            with monkeypatch.context() as patched:
                patched.setattr(queue, "remove", late)
                assert (await served.client.delete(f"/api/v1/tasks/{job.gid}?files=1")).status_code == 204
            assert os.listdir(out) == []

    over(tmp_path, use)


def test_a_file_goes_with_its_task_that_is_being_shared(tmp_path: Path, server: LoopbackServer) -> None:
    document = made_torrent(tmp_path / "seeds")
    server.resources["/f.bin"] = Resource(body=CONTENT)

    async def use(served: Served) -> None:
        mirrors = {"mirrors": json.dumps([server.url("/f.bin")])}
        added = await served.client.post("/api/v1/documents", content=document, params=mirrors)
        job = served.queue.find(added.json()["tasks"][0]["gid"])
        await until(lambda: (task := served.queue.task(job)) is not None and task.is_sharing)
        assert os.listdir(tmp_path / "out") == [NAME]
        assert (await served.client.delete(f"/api/v1/tasks/{job.gid}?files=1")).status_code == 204
        assert os.listdir(tmp_path / "out") == []
        assert served.queue.ended() == []

    over(tmp_path, use)


@pytest.mark.parametrize("rate", ["5000M", "9" * 30])
def test_a_limit_may_be_higher_than_libtorrent_can_count(tmp_path: Path, server: LoopbackServer, rate: str) -> None:
    document = made_torrent(tmp_path / "seeds")
    server.resources["/f.bin"] = Resource(body=CONTENT)

    async def use(served: Served) -> None:
        mirrors = {"mirrors": json.dumps([server.url("/f.bin")])}
        added = await served.client.post("/api/v1/documents", content=document, params=mirrors)
        job = served.queue.find(added.json()["tasks"][0]["gid"])
        await until(lambda: (task := served.queue.task(job)) is not None and task.is_sharing)
        options = {"options": {"task_upload_limit": rate}}
        assert (await served.client.patch(f"/api/v1/tasks/{job.gid}", json=options)).status_code == 200
        assert (await served.client.patch("/api/v1/settings", json={"upload_limit": rate})).status_code == 200

    over(tmp_path, use)


@pytest.mark.parametrize("step", ["open", "begin"])
def test_files_go_that_a_thread_is_just_making(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    is_at_it, goes_on = threading.Event(), threading.Event()
    make = getattr(Ledger, step)

    def slow(*args: object, **more: object) -> object:
        is_at_it.set()
        goes_on.wait(30)
        return make(*args, **more)

    monkeypatch.setattr(Ledger, step, slow)

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/half")))["gid"]
        await until(is_at_it.is_set)
        asyncio.get_running_loop().call_later(0.1, goes_on.set)
        assert (await served.client.delete(f"/api/v1/tasks/{gid}?files=1")).status_code == 204

    over(tmp_path, use)
    assert os.listdir(tmp_path / "out") == []


def test_a_part_goes_with_a_task_that_waits_again(tmp_path: Path, server: LoopbackServer) -> None:
    """It is tried again, or ran when the daemon was stopped: what it began has its name still."""
    stalled = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    server.resources["/half"] = server.resources["/more"] = stalled

    async def before(served: Served) -> None:
        job, other = [await begun(served, server.url(path)) for path in ("/half", "/more")]
        await served.queue.remove(job)
        await ended(job)
        hold(served.queue)
        await served.queue.retry(job)
        await remove(served, job)
        another_day = DAYS[(time.localtime().tm_wday + 3) % 7]
        await served.queue.store.save_settings({"hours": json.dumps(another_day)})
        assert served.queue.active() == [other]

    async def after(served: Served) -> None:
        await remove(served, *served.queue.waiting())
        assert os.listdir(tmp_path / "out") == []

    async def remove(served: Served, job: Job) -> None:
        task = f"/api/v1/tasks/{job.gid}"
        assert (await served.client.get(task)).json()["done_bytes"] > 0
        assert (await served.client.delete(f"{task}?files=1")).status_code == 204

    over(tmp_path, before)
    over(tmp_path, after)


async def begun(served: Served, url: str) -> Job:
    """A task that runs, of which something is there."""
    job = served.queue.find((await served.add(url))["gid"])
    await until(lambda: (seen := served.queue.progress(job)) and seen.done_bytes)
    return job


@pytest.mark.parametrize("is_known", [True, False])
def test_a_part_that_another_task_began_stays(tmp_path: Path, server: LoopbackServer, is_known: bool) -> None:
    stalled = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))
    server.resources["/a/x.bin"] = server.resources["/b/x.bin"] = stalled
    out = tmp_path / "out"

    async def use(served: Served) -> None:
        first = await begun(served, server.url("/a/x.bin"))
        await served.queue.remove(first)
        await until(lambda: served.queue.progress(first) is None)
        for left in ("x.bin.part", "x.bin.part.journal"):
            (out / left).unlink()
        other = await begun(served, server.url("/b/x.bin"))
        await served.queue.pause([other])
        await until(lambda: served.queue.progress(other) is None)
        if not is_known:
            await served.queue.remove(other)
            await served.queue.forget([other])
        assert (await served.client.delete(f"/api/v1/tasks/{first.gid}?files=1")).status_code == 204
        assert sorted(os.listdir(out)) == ["x.bin.part", "x.bin.part.journal"]

    over(tmp_path, use)


def test_a_part_goes_with_who_began_it_whoever_would_have_that_name(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/a/x.bin"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        job = await begun(served, server.url("/a/x.bin"))
        other = await served.add(server.url("/b/x.bin"), paused=True)
        served.queue.find(other["gid"]).outcome = Outcome(name="x.bin")
        assert (await served.client.delete(f"/api/v1/tasks/{job.gid}?files=1")).status_code == 204
        assert os.listdir(tmp_path / "out") == []

    over(tmp_path, use)


def test_on_a_full_disk_files_go_and_the_task_stays_until_that_is_written(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.resources["/half"] = server.resources["/more"] = Resource(
        body=b"x" * (1 << 20), behaviour=stall_after(1 << 18)
    )

    async def use(served: Served) -> None:
        job, running = [await begun(served, server.url(path)) for path in ("/half", "/more")]
        full: Future[None] = Future()
        full.set_exception(StorageError("queue.sqlite", "the disk is full"))
        monkeypatch.setattr(Database, "write", lambda *_: full)
        with contextlib.suppress(StorageError):
            await served.queue.remove(job)
        await ended(job)
        for each in (job, job, running, running):
            answer = await served.client.delete(f"/api/v1/tasks/{each.gid}?files=1")
            assert (answer.status_code, answer.json()["error"]["kind"]) == (500, "StorageError")
        assert os.listdir(tmp_path / "out") == []
        assert {each.gid for each in served.queue.ended()} == {job.gid, running.gid}
        # What it ran as is on the disk still.
        assert await served.queue.store.job(job.gid) is None
        monkeypatch.undo()
        for each in (job, running):
            assert (await served.client.delete(f"/api/v1/tasks/{each.gid}?files=1")).status_code == 204
        served.queue.store.save_soon()
        assert await served.queue.store.open_jobs() == await served.queue.history() == []

    over(tmp_path, use)


def test_no_file_outside_of_the_roots_goes(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/file"] = Resource(body=b"x" * 1000)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("not of a task")

    async def use(served: Served) -> None:
        gid = (await served.add(server.url("/file"), options={"dir": "sub"}))["gid"]
        await ended(served.queue.find(gid))
        (tmp_path / "out" / "sub" / "file").unlink()
        (tmp_path / "out" / "sub").rmdir()
        (tmp_path / "out" / "sub").symlink_to(elsewhere)
        answer = await served.client.delete(f"/api/v1/tasks/{gid}?files=1")
        assert (answer.status_code, answer.json()["error"]["kind"]) == (403, "OutsideRoots")
        assert (elsewhere / "file").exists()

    over(tmp_path, use)


def test_what_is_there_is_checked_again(tmp_path: Path, server: LoopbackServer) -> None:
    body = b"x" * 1000
    checksum = f"sha-256={hashlib.sha256(body).hexdigest()}"
    server.resources["/file"] = server.resources["/bare"] = Resource(body=body)
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        gids = [
            (await served.add(server.url(path), options=options))["gid"]
            for path, options in (("/file", {"checksum": checksum}), ("/bare", {}), ("/half", {}))
        ]
        jobs = [served.queue.find(gid) for gid in gids]
        await ended(*jobs[:2])
        again = [f"/api/v1/tasks/{gid}/recheck" for gid in gids]
        answer = await served.client.post(again[0])
        assert answer.json()["notes"] == ["checked again: it is as it was"]
        (tmp_path / "out" / "file").write_bytes(b"y" * 1000)
        answer = await served.client.post(again[0])
        assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "BadContent")
        assert (await served.client.post(again[1])).status_code == 409
        await until(lambda: (seen := served.queue.progress(jobs[2])) and seen.done_bytes)
        assert (await served.client.post(again[2])).status_code == 200
        await served.client.post(f"/api/v1/tasks/{gids[2]}/pause")
        await until(lambda: jobs[2].state.value == "paused")
        assert (await served.client.post(again[2])).json()["state"] == "paused"
        assert jobs[2].wish.options["verify_resumed"] == "yes"

    over(tmp_path, use)


def test_answers_are_those_that_are_described(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/half"] = Resource(body=b"x" * (1 << 20), behaviour=stall_after(1 << 18))

    async def use(served: Served) -> None:
        described = (await served.client.get("/api/v1/openapi.json")).json()
        assert described["openapi"] == "3.1.0"
        assert set(described["paths"]) == {route.path for route in ROUTES}
        gid = (await served.add(server.url("/half")))["gid"]
        await until(lambda: (seen := served.queue.progress(served.queue.find(gid))) and seen.done_bytes)
        await ended(served.queue.find((await served.add(server.url("/gone")))["gid"]))
        for route in ROUTES:
            if route.method != "GET" or route.type != "application/json":
                continue
            answer = await served.client.get(route.path.replace("{gid}", gid))
            jsonschema_check(answer.json(), {"$ref": f"#/components/schemas/{route.answers}"}, described)
        refused = (await served.client.get("/api/v1/nothing")).json()
        jsonschema_check(refused, {"$ref": "#/components/schemas/Refusal"}, described)

    over(tmp_path, use)


_TYPES: Mapping[str, Any] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    "null": type(None),
}  # fmt: skip


def jsonschema_check(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "") -> None:
    """As much of JSON Schema as is used here."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        kinds = [part for part in schema["anyOf"] if isinstance(value, _TYPES[part["type"]])]
        assert kinds, (at, value)
        schema = kinds[0]
    if "enum" in schema:
        assert value in schema["enum"], at
    if (kind := schema.get("type")) is not None:
        assert isinstance(value, _TYPES[kind]), (at, kind, value)
        assert kind == "boolean" or not isinstance(value, bool), at
    if isinstance(value, list) and "items" in schema:
        for each in value:
            jsonschema_check(each, schema["items"], document, f"{at}[]")
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"]), (at, set(value) - set(schema["properties"]))
        assert set(schema.get("required", ())) <= set(value), (at, set(schema["required"]) - set(value))
        for name, each in value.items():
            jsonschema_check(each, schema["properties"][name], document, f"{at}.{name}")


def test_metrics_are_lines_that_prometheus_reads(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        await lined_up(served, 3)
        answer = await served.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.text.splitlines()
        assert 'thunderdl_tasks{state="paused"} 3' in lines
        assert all(re.fullmatch(r"# (HELP|TYPE) thunderdl_\w+ .+|thunderdl_\w+(\{\w+=\"[^\"]*\"\})? [0-9.]+", line)
                   for line in lines)  # fmt: skip
        typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        assert len(typed) == len(set(typed))

    over(tmp_path, use)


# -- wrong types, everywhere

_WRONG: Mapping[str, tuple[object, ...]] = {
    "string": (1, None, True, [], {}, "\ud800", "x" * 70_000), "integer": ("1", None, True, [], {}, 1.5, -1, 10**30),
    "number": ("1", None, True, [], {}), "boolean": ("true", None, 1, [], {}),
    "array": ("x", None, 1, True, {}, [1], [None]), "object": ("x", None, 1, True, [], {"a": 1}, {"a": None}),
}  # fmt: skip


_NO_OBJECTS: tuple[object, ...] = ([], None, 1, "x", {"no such field": 1})
_NO_LISTS: tuple[object, ...] = ({}, "x", [1], [None], [], [[]])


def wrong_values(field: Field) -> Iterator[object]:
    """Values of every other type. Where null or one of several types is right, only what is none of them."""
    schema: Mapping[str, Any] = field.shape.schema
    kinds = [part.get("type") for part in schema.get("anyOf", [schema])]
    for value in itertools.chain.from_iterable(_WRONG[kind] for kind in kinds if kind and kind != "null"):
        of_other = [_TYPES[kind] for kind in kinds if kind and kind != "null"][1:]
        if (value is None and "null" in kinds) or (of_other and isinstance(value, of_other[0])):
            continue
        yield value
    if "enum" in schema:
        yield "nothing of it"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.help)
def test_every_field_of_every_body_is_checked(tmp_path: Path, route: Route) -> None:
    async def use(served: Served) -> None:
        (gid,) = await lined_up(served, 1)
        path = route.path.replace("{gid}", gid)
        before = str(served.queue.rules)
        for field in route.body or ():
            for value in wrong_values(field):
                answer = await sent(served, route.method, path, {field.name: value})
                assert answer.status_code == 400, (field.name, value)
                assert field.name in answer.json()["error"]["message"]
        for body in _NO_OBJECTS:
            assert (await sent(served, route.method, path, body)).status_code == 400
        assert served.queue.counts() == (0, 1, 0)
        assert str(served.queue.rules) == before

    over(tmp_path, use)


def test_every_field_of_each_of_many_is_checked(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        good = {"urls": ["http://127.0.0.1:1/x"]}
        for field in TASK_FIELDS:
            for value in wrong_values(field):
                answer = await sent(served, "POST", "/api/v1/tasks", {"tasks": [good, {**good, field.name: value}]})
                assert answer.status_code == 400, (field.name, value)
                assert f"tasks[1]: {field.name}" in answer.json()["error"]["message"]
        for several in _NO_LISTS:
            assert (await sent(served, "POST", "/api/v1/tasks", {"tasks": several})).status_code == 400
        assert served.queue.counts() == (0, 0, 0)

    over(tmp_path, use)


async def sent(served: Served, method: str, path: str, body: object) -> httpx.Response:
    """As pure ASCII: lone surrogates, too, are sent."""
    return await served.client.request(
        method, path, content=json.dumps(body), headers={"content-type": "application/json"}
    )


def test_every_parameter_of_every_query_is_checked(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        (gid,) = await lined_up(served, 1)
        for route in ROUTES:
            path = route.path.replace("{gid}", gid)
            for field in route.query:
                kind = field.shape.schema.get("type")
                wrong = ["", "x", "-1", "1.5", "9" * 40, "\u0661"] if kind in ("integer", "boolean") else []
                wrong += ["x", "nan", "1e400"] if kind == "number" else []
                wrong += ["nothing of it", "active,ended"] if "enum" in field.shape.schema else []
                wrong += ["{", "[" * 5000, "1", '{"a": 1}', "NaN"] if "contentMediaType" in field.shape.schema else []
                for value in wrong:
                    answer = await served.client.request(route.method, path, params={field.name: value})
                    assert answer.status_code == 400, (route.path, field.name, value)
            for query in ("nothing=1", "%ff=1", "a" * 100 + "=1", "&".join("x=1" for _ in range(100))):
                assert (await served.client.request(route.method, f"{path}?{query}")).status_code == 400, route.path

    over(tmp_path, use)


def test_unknown_tasks_and_addresses(tmp_path: Path) -> None:
    async def use(served: Served) -> None:
        for route in ROUTES:
            if "{gid}" not in route.path:
                continue
            for gid in (GID, "x", "0" * 15, "0" * 17, "..", "%2e%2e", "0123456789ABCDEF", "a" * 5000):
                body = {"to": "top"} if route.path.endswith("/move") else {} if route.body else None
                answer = await served.client.request(route.method, route.path.replace("{gid}", gid), json=body)
                assert answer.status_code == 404, (route.path, gid)
        for path in ("/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/tasks", "/api/v1/tasks/", "/api/v1/tasks/a/b/c"):
            assert (await served.client.get(path)).status_code == 404, path

    over(tmp_path, use)


def test_before_its_place_is_known_a_document_is_called_by_its_own_name() -> None:
    """Not by where the daemon keeps it."""
    kept = "/state/documents/0123456789abcdef0123456789abcdef.torrent"
    job = Job("0" * 16, Wish(urls=(kept,), name="big.iso"), State.ACTIVE)
    begun = Progress(name=kept, status=Status.ACTIVE, size_bytes=None)
    assert name_of(job, begun) == "big.iso"
    assert name_of(job, replace(begun, name="saved.iso", path="/out/saved.iso")) == "saved.iso"
