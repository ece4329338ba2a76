"""The daemon's queue by hand: ``thunderdl list``, ``pause``, ``resume``, ``remove``, ``retry``, ``move``, ``set``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thunderdl.cli.grammar import Typed
from thunderdl.cli.remote import Daemon, daemon_of, gid_of
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.quantities import clock, percent, rate, size

_PAGE = 1000
Task = Mapping[str, Any]


def show(typed: Typed) -> int:
    """The queue as a table; with --json a task a line."""
    with daemon_of(typed) as daemon:
        tasks = list(_wanted(daemon, typed))
    if typed.is_on("json"):
        for task in tasks:
            write_line(sys.stdout, json.dumps(task))
    else:
        for line in table_of(tasks):
            write_line(sys.stdout, line)
    return 0


def pause(typed: Typed) -> int:
    """Pause tasks, or the whole queue."""
    return _each(typed, "pause")


def resume(typed: Typed) -> int:
    """Let tasks go on, or the whole queue."""
    return _each(typed, "resume")


def retry(typed: Typed) -> int:
    """Try again what failed or was removed."""
    return _each(typed, "retry")


def remove(typed: Typed) -> int:
    """Remove tasks from the queue, or ended ones from the list; files stay without --files."""
    with daemon_of(typed) as daemon:
        for gid in typed.texts("gids"):
            daemon.ask("DELETE", f"tasks/{gid_of(gid)}", files=int(typed.is_on("with_files")))
    return 0


def move(typed: Typed) -> int:
    """Change a task's place in line."""
    gid, *to = typed.texts("place")
    if len(to) != 1 or not re.fullmatch(r"top|up|down|bottom|[0-9]{1,9}", to[0]):
        raise UsageError("move takes a gid and a place: top, up, down, bottom, or a number from 0.")
    place = int(to[0]) if to[0].isdecimal() else to[0]
    with daemon_of(typed) as daemon:
        daemon.ask("POST", f"tasks/{gid_of(gid)}/move", {"to": place})
    return 0


def change(typed: Typed) -> int:
    """Change settings of the queue, or of a task; without any show those that there are."""
    pairs = [text.partition("=") for text in typed.texts("pairs")]
    if wrong := next((name for name, equals, _ in pairs if not equals), None):
        raise UsageError(f"{printable(wrong)[:60]!r}: write NAME=VALUE, as limit=2M; NAME= for the default again.")
    given = {name.replace("-", "_"): value for name, _, value in pairs}
    with daemon_of(typed) as daemon:
        if (gid := typed.text("task")) is not None:
            if given:
                daemon.ask("PATCH", f"tasks/{gid_of(gid)}", {"options": given})
                return 0
            told = daemon.ask("GET", f"tasks/{gid_of(gid)}")["options"]
        elif given:
            daemon.ask("PATCH", "settings", {name: _setting(name, value) for name, value in given.items()})
            return 0
        else:
            told = daemon.ask("GET", "settings")
    for name, value in told.items():
        write_line(sys.stdout, f"{name} = {printable(_shown(value))}")
    return 0


def _shown(value: object) -> str:
    """As it may be typed again, as far as it can be."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items()) or "–"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "–"
    return value if isinstance(value, str) else "–" if value in (None, []) else json.dumps(value)


def _setting(name: str, text: str) -> object:
    if name == "active" and text.isdecimal():
        return int(text)
    if name == "categories":
        return _categories(text)
    return text or None


def _categories(text: str) -> dict[str, str]:
    """``isos=isos, films=/srv/films``. Raises UsageError."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(name and folder for name, _, folder in pairs):
        raise UsageError("categories: write NAME=FOLDER, with commas between, as isos=isos, films=/srv/films.")
    return {name.strip(): folder.strip() for name, _, folder in pairs}


def _each(typed: Typed, what: str) -> int:
    gids = typed.texts("gids") or typed.texts("places")
    if typed.is_on("all") == bool(gids):
        raise UsageError(f"{what} takes gids, as thunderdl list shows them, or --all.")
    with daemon_of(typed) as daemon:
        if typed.is_on("all"):
            daemon.ask("POST", f"queue/{what}")
        for gid in gids:
            daemon.ask("POST", f"tasks/{gid_of(gid)}/{what}")
    return 0


def _wanted(daemon: Daemon, typed: Typed) -> Iterator[Task]:
    if (text := typed.text("search")) is not None:
        yield from daemon.ask("GET", "history", q=text, limit=_PAGE)["tasks"]
        return
    states = ["ended"] if typed.is_on("ended") else ["active", "waiting"]
    if typed.is_on("all"):
        states = ["active", "waiting", "ended"]
    for state in states:
        offset = 0
        while page := daemon.ask("GET", "tasks", state=state, offset=offset, limit=_PAGE)["tasks"]:
            yield from page
            offset += len(page)
            if len(page) < _PAGE:
                break


def table_of(tasks: Sequence[Task]) -> Iterator[str]:
    """A line a task, aligned: gid, state, share, size, rate, time left, name; what is wrong, or awaited, below it: of
    many in a row that wait for the same thing below the first."""
    awaited = ""
    for task in tasks:
        whole = task["size_bytes"]
        share = percent(task["done_bytes"], whole) if task["done_bytes"] or whole else ""
        is_moving = task["state"] == "active"
        speed = rate(task["rate_bytes_per_s"]) if is_moving else ""
        left = clock(task["eta_s"]) if is_moving else ""
        known = size(whole) if whole is not None else ""
        yield (
            f"{task['gid']}  {task['state']:<9}  {share:>5}  {known:>8}  {speed:>10}  {left:>8}  "
            f"{printable(task['name'])}"
        )
        told = (task["error"] or {}).get("message") or task["why"]
        before, awaited = awaited, told if task["state"] == "waiting" else ""
        if told and told != before:
            yield f"{'':18}{printable(told)}"
