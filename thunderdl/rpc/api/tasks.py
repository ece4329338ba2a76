"""Routes of tasks: added, told, changed, moved, ended. Each hands on to the queue, and translates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thunderdl.daemon.clearing import remove_with_files
from thunderdl.daemon.jobs import Job, Wish
from thunderdl.daemon.line import Whence
from thunderdl.daemon.queue import MOST_IN_A_ROW
from thunderdl.daemon.rechecking import recheck
from thunderdl.errors import UsageError, shown_url
from thunderdl.options import Priority
from thunderdl.rpc.api.fields import (
    ANYTHING,
    NUMBER,
    OPTIONS,
    SWITCH,
    TEXT,
    TEXTS,
    Field,
    either,
    or_none,
    read,
    text,
    whole,
)
from thunderdl.rpc.api.routes import BASE, Call, Route
from thunderdl.rpc.api.shapes import detail_of, list_of, task_of

if TYPE_CHECKING:
    from thunderdl.rpc.api.application import Api

MOST_TOGETHER = 10_000
MOST_LISTED = 1000
PRIORITY = text(*(level.value for level in Priority))
_POSITION = whole(0, 1_000_000_000)
TASK_FIELDS = (
    Field("urls", TEXTS, "The link and its mirrors.", needed=True),
    Field("options", OPTIONS, "Options of this task, by name, as texts.", {}),
    Field("category", TEXT, "Whose folder it is saved in.", ""),
    Field("priority", PRIORITY, "low, normal or high.", "normal"),
    Field("position", or_none(_POSITION), "Its index in line, from 0; at the end without."),
    Field("paused", SWITCH, "Whether it stays out until it is resumed.", False),
    Field("not_before", NUMBER, "Time before which it is not begun, seconds since 1970.", 0.0),
)
_ADD_FIELDS = (
    *(field._replace(needed=False) for field in TASK_FIELDS),
    Field("tasks", ANYTHING, f"Up to {MOST_TOGETHER} of these in place of one."),
)
_CHANGE_FIELDS = (
    Field("options", OPTIONS, "Options that differ from now on; an empty text for the default again.", {}),
    Field("category", TEXT, "Another category."),
    Field("priority", PRIORITY, "Another priority."),
    Field("files", TEXT, "Files of a torrent to fetch, as 1,3-5."),
    Field("urls_add", TEXTS, "More sources of the file.", ()),
    Field("urls_remove", TEXTS, "Sources that are not to be used any more.", ()),
)
_LIST_FIELDS = (
    Field("state", text("active", "waiting", "ended", "all"), "Which of them.", "all"),
    Field("offset", whole(0, 1_000_000_000), "So many are left out.", 0),
    Field("limit", whole(0, MOST_LISTED), "So many at most.", 100),
)
_FILES = (Field("files", SWITCH, "Whether what is there of the file goes, too.", False),)
_TO = (Field("to", either(text("top", "up", "down", "bottom"), _POSITION), "Where to.", needed=True),)
_MOVES = {
    "top": (0, Whence.START), "up": (-1, Whence.HERE), "down": (1, Whence.HERE), "bottom": (0, Whence.END),
}  # fmt: skip


async def list_tasks(api: Api, call: Call) -> object:
    queue, state = api.queue, call.query["state"]
    part = slice(call.query["offset"], call.query["offset"] + call.query["limit"])
    if state == "waiting":
        return await list_of(queue, queue.waiting(part), total=queue.counts()[1])
    listed: list[Job] = []
    if state in ("active", "all"):
        listed += queue.active()
    if state == "all":
        listed += queue.waiting(slice(part.stop))
    total = len(listed) if state == "active" else sum(queue.counts()) if state == "all" else queue.counts()[2]
    if state in ("ended", "all"):
        listed += reversed(queue.ended())
    return await list_of(queue, listed[part], total=total)


async def add(api: Api, call: Call) -> object:
    several = call.body.pop("tasks")
    if several is None:
        if call.body["urls"] is None:
            raise UsageError("urls is missing.")
        jobs = await _add(api, [call.body])
    else:
        if not isinstance(several, list) or not 0 < len(several) <= MOST_TOGETHER:
            raise UsageError(f"tasks: a list of 1 to {MOST_TOGETHER} is expected.")
        jobs = await _add(api, await _read(several))
    return await list_of(api.queue, jobs)


async def _read(several: list[object]) -> list[dict[str, Any]]:
    told = []
    for index, each in enumerate(several):
        told.append(read(TASK_FIELDS, each, f"tasks[{index}]"))
        if index % MOST_IN_A_ROW == MOST_IN_A_ROW - 1:
            await asyncio.sleep(0)
    return told


async def _add(api: Api, given: list[dict[str, Any]]) -> list[Job]:
    """Those of one place and state are added together, on the disk all at once."""
    jobs: list[Job] = []
    for position, paused in dict.fromkeys((each["position"], each["paused"]) for each in given):
        wishes = [wish_of(each) for each in given if (each["position"], each["paused"]) == (position, paused)]
        jobs += await api.queue.add(wishes, at=position, paused=paused)
    return jobs


def wish_of(given: dict[str, Any]) -> Wish:
    """Raises UsageError where there is no link."""
    if not given["urls"]:
        raise UsageError("urls: at least one link is expected.")
    return Wish(
        urls=given["urls"], options=given["options"], category=given["category"],
        priority=Priority(given["priority"]), not_before=given["not_before"],
    )  # fmt: skip


async def detail(api: Api, call: Call) -> object:
    return detail_of(api.queue, await api.job(call.gid))


async def change(api: Api, call: Call) -> object:
    job, given = await api.job(call.gid), call.body
    wish, options = job.wish, {**job.wish.options, **given["options"]}
    if given["files"] is not None:
        options["files"] = given["files"]
    if given["urls_add"] or given["urls_remove"]:
        # As it was given, or as it is shown: without its login.
        kept = [url for url in wish.urls if not {url, shown_url(url)} & set(given["urls_remove"])]
        urls = tuple(dict.fromkeys((*kept, *given["urls_add"])))
        if not urls:
            raise UsageError("urls_remove: no link would be left; add another one with it.")
        wish = replace(wish, urls=urls)
    if given["category"] is not None:
        wish = replace(wish, category=given["category"])
    if given["priority"] is not None:
        wish = replace(wish, priority=Priority(given["priority"]))
    await api.queue.change(job, replace(wish, options={name: text for name, text in options.items() if text}))
    return task_of(api.queue, job)


async def remove(api: Api, call: Call) -> object:
    job = await api.job(call.gid)
    if call.query["files"]:
        await remove_with_files(api.queue, job)
    elif job.state.has_ended:
        await api.queue.forget([job])
    else:
        await api.queue.remove(job)
    return None


async def pause(api: Api, call: Call) -> object:
    job = await api.job(call.gid)
    await api.queue.pause([job])
    return task_of(api.queue, job)


async def resume(api: Api, call: Call) -> object:
    job = await api.job(call.gid)
    await api.queue.resume([job])
    return task_of(api.queue, job)


async def retry(api: Api, call: Call) -> object:
    job = await api.job(call.gid)
    await api.queue.retry(job)
    return task_of(api.queue, job)


async def check_again(api: Api, call: Call) -> object:
    job = await api.job(call.gid)
    await recheck(api.queue, job)
    return task_of(api.queue, job)


async def move(api: Api, call: Call) -> object:
    to = call.body["to"]
    position, whence = _MOVES[to] if isinstance(to, str) else (to, Whence.START)
    return {"position": await api.queue.move(await api.job(call.gid), position, whence)}


_ONE = f"{BASE}/tasks/{{gid}}"
ROUTES = (
    Route("GET", f"{BASE}/tasks", list_tasks, "Tasks by state, in their order.", _LIST_FIELDS, answers="Tasks"),
    Route(
        "POST", f"{BASE}/tasks", add, "Queue a download, or many; answered once they are on the disk.",
        body=_ADD_FIELDS, status=201, answers="Tasks",
    ),
    Route("GET", _ONE, detail, "All that is known of a task.", answers="Detail"),
    Route("PATCH", _ONE, change, "Change what is wished of a task.", body=_CHANGE_FIELDS, answers="Task"),
    Route("DELETE", _ONE, remove, "Stop a task for good; one that has ended is forgotten.", _FILES, status=204),
    Route("POST", f"{_ONE}/pause", pause, "Stop it for now.", answers="Task"),
    Route("POST", f"{_ONE}/resume", resume, "Let it wait for its turn again.", answers="Task"),
    Route("POST", f"{_ONE}/retry", retry, "Let one that failed or was removed wait again.", answers="Task"),
    Route("POST", f"{_ONE}/recheck", check_again, "Read what is there back, and check it.", answers="Task"),
    Route("POST", f"{_ONE}/move", move, "Change its place in line.", body=_TO, answers="Position"),
)  # fmt: skip
