"""``thunderdl watch``: the daemon's queue as it goes, on a terminal redrawn, elsewhere a line for each thing that
happens, with ``--json`` every event as it came."""

from __future__ import annotations

import json
import shutil
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any
from unicodedata import combining, east_asian_width

from thunderdl.cli.grammar import Typed
from thunderdl.cli.queueing import table_of
from thunderdl.cli.remote import daemon_of
from thunderdl.cli.views import write_line
from thunderdl.errors import printable
from thunderdl.quantities import rate

_ENDED = ("complete", "failed", "removed")
_SHOWN_ENDED = 5
Task = dict[str, Any]


class Picture:
    """What is known of the queue, kept up by events."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.stat: dict[str, Any] = {}

    def take(self, name: str, data: Any) -> list[Task]:
        """Take an event in; the tasks whose state it changed."""
        before = {gid: task["state"] for gid, task in self.tasks.items()}
        if name == "snapshot":
            self.tasks = {task["gid"]: task for task in data["tasks"]}
            self.stat = data["stat"]
            return []
        if name == "stat":
            self.stat = data
        if name == "tasks":
            self.tasks.update((task["gid"], task) for task in data["changed"])
            for gid in data["gone"]:
                self.tasks.pop(gid, None)
            return [task for task in data["changed"] if before.get(task["gid"]) != task["state"]]
        return []

    def lines(self, width: int, height: int) -> list[str]:
        """As much of it as fits."""
        running = [task for task in self.tasks.values() if task["state"] not in (*_ENDED, "waiting", "paused")]
        waiting = sorted(
            (task for task in self.tasks.values() if task["position"] is not None), key=lambda task: task["position"]
        )
        ended = sorted(
            (task for task in self.tasks.values() if task["state"] in _ENDED), key=lambda task: task["ended_at"] or 0
        )
        lines = [_head(self.stat), *table_of([*ended[-_SHOWN_ENDED:], *running, *waiting])]
        return [_cut(line, width - 1) for line in lines[: height - 1]]


def _cut(line: str, cells: int) -> str:
    """The line within ``cells`` of the terminal, of which East Asian characters take two: a line that wrapped would
    push the others out of place. rich, which measures better, costs 45 ms at the start."""
    ends = list(accumulate(map(_cells, line)))
    if not ends or ends[-1] <= cells:
        return line
    return line[: bisect_right(ends, cells - 1)] + "…"


def _cells(character: str) -> int:
    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def _head(stat: dict[str, Any]) -> str:
    down, up = rate(stat.get("rate_bytes_per_s", 0)), rate(stat.get("upload_rate_bytes_per_s", 0))
    counts = ", ".join(f"{stat.get(name, 0)} {name}" for name in ("active", "waiting", "paused", "ended"))
    return f"↓ {down}  ↑ {up}  {counts}"


def watch(typed: Typed) -> int:
    """Show it until Ctrl-C, or until the daemon stops."""
    with daemon_of(typed) as daemon:
        events = daemon.events()
        if typed.is_on("json"):
            for name, data in events:
                write_line(sys.stdout, json.dumps({"event": name, **data}))
            return 0
        show = _redraw if sys.stdout.isatty() else _tell
        return _follow(events, show)


def _follow(events: Iterator[tuple[str, Any]], show: Callable[[Picture, list[Task]], None]) -> int:
    picture = Picture()
    try:
        for name, data in events:
            show(picture, picture.take(name, data))
    except KeyboardInterrupt:
        return 0
    write_line(sys.stderr, "thunderdl: the daemon has stopped.")
    return 0


def _redraw(picture: Picture, _: list[Task]) -> None:
    width, height = shutil.get_terminal_size()
    lines = picture.lines(width, height)
    # Home, each line to its end, and what is left below: nothing flickers.
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
    sys.stdout.flush()


def _tell(picture: Picture, changed: list[Task]) -> None:
    for task in changed:
        told = (task["error"] or {}).get("message", "")
        tail = f"  {printable(told)}" if told else ""
        write_line(sys.stdout, f"{task['gid']}  {task['state']:<9}  {printable(task['name'])}{tail}")
