"""Routes of the whole: the queue's switch, its history and settings, the options there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.daemon.jobs import State
from thunderdl.options import Kind, table
from thunderdl.rpc.api.fields import NUMBER, TEXT, Field, text, whole
from thunderdl.rpc.api.routes import BASE, Call, Route
from thunderdl.rpc.api.settings import FIELDS, changes_of, settings_of
from thunderdl.rpc.api.shapes import list_of

if TYPE_CHECKING:
    from thunderdl.rpc.api.application import Api

_ENDS = (State.COMPLETE, State.FAILED, State.REMOVED)
_HISTORY = (
    Field("q", TEXT, "What name or link must hold.", ""),
    Field("state", text(*(state.value for state in _ENDS)), "How they ended."),
    Field("limit", whole(1, 1000), "So many at most.", 100),
    Field("before", NUMBER, "Only those that ended before that time, seconds since 1970.", float("inf")),
)


async def pause_all(api: Api, _: Call) -> object:
    # One that is being removed cannot be paused, and would keep all others from it.
    running = (job for job in api.queue.open() if job.state is not State.PAUSED and job.leaving is not State.REMOVED)
    await api.queue.pause(running)
    return None


async def resume_all(api: Api, _: Call) -> object:
    # Those that still stop for it, too.
    await api.queue.resume(job for job in api.queue.open() if State.PAUSED in (job.state, job.leaving))
    return None


async def history(api: Api, call: Call) -> object:
    most, state = call.query["limit"], call.query["state"]
    jobs = await api.queue.history(
        call.query["q"], before=call.query["before"], most=most + 1, state=State(state) if state else None
    )
    return await list_of(api.queue, jobs[:most], more=len(jobs) > most)


async def forget_history(api: Api, _: Call) -> object:
    await api.queue.forget_ended()
    return None


async def settings(api: Api, _: Call) -> object:
    return settings_of(api.queue.rules)


async def change_settings(api: Api, call: Call) -> object:
    await api.queue.change_rules(changes_of(api.queue.rules, call.body))
    return settings_of(api.queue.rules)


async def options(api: Api, _: Call) -> object:
    rows = [row for row in table() if row.kind is not Kind.SECRET]
    return {
        "options": [
            {
                "name": row.name,
                "kind": row.kind.value.strip(),
                "help": row.help,
                "default": _told(row.default),
                "scope": row.scope,
                "flag": row.flags[-1],
            }
            for row in rows
        ]
    }


def _told(default: object) -> object:
    if default is None or isinstance(default, str | int | float | bool):
        return default
    return list(default) if isinstance(default, tuple) else str(getattr(default, "value", default))


ROUTES = (
    Route("POST", f"{BASE}/queue/pause", pause_all, "Stop all for now.", status=204),
    Route("POST", f"{BASE}/queue/resume", resume_all, "Let all that are paused wait for their turn.", status=204),
    Route("GET", f"{BASE}/history", history, "What ended, the newest first.", _HISTORY, answers="History"),
    Route("DELETE", f"{BASE}/history", forget_history, "Forget all that ended; files stay.", status=204),
    Route("GET", f"{BASE}/settings", settings, "What holds for the whole queue.", answers="Settings"),
    Route(
        "PATCH", f"{BASE}/settings", change_settings, "Change it, from now on.", body=FIELDS, as_given=True,
        answers="Settings",
    ),
    Route("GET", f"{BASE}/options", options, "Each option that a task may have.", answers="Options"),
)  # fmt: skip
