"""A scripted queue: tasks that move by themselves when the clock is turned. No I/O, no clock of its own.

What the page's API says of a task (JSON as in ``/api/v1``) is kept as it is sent; what only the script needs stands
beside it in :class:`Script`. Numbers come from a seeded generator, so two runs look alike.
"""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

CELLS = 256
LIVE = ("active", "sharing", "verifying")
QUEUED = ("waiting", "paused")
ENDED = ("complete", "failed", "removed")


@dataclass(slots=True, kw_only=True)
class Origin:
    """One source of a task: ``bytes_per_s`` on average, 0 for one that never sends anything."""

    url: str
    bytes_per_s: float
    kind: str = "http"
    state: str = "active"
    note: str = ""
    why: str = ""
    bytes: float = 0
    at: int = 0


@dataclass(slots=True, kw_only=True)
class Script:
    """How one task moves."""

    origins: list[Origin]
    cells: list[float] = field(default_factory=lambda: [0.0] * CELLS)
    owners: list[int] = field(default_factory=lambda: [0] * CELLS)
    files: list[Json] = field(default_factory=list)
    peers: list[Json] = field(default_factory=list)
    trackers: list[Json] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    info_hash: str | None = None
    resumed_bytes: int = 0


class World:
    """All tasks; ``now`` in seconds since the epoch moves by :meth:`tick` only."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self.tasks: dict[str, Json] = {}
        self.scripts: dict[str, Script] = {}
        self.waiting: list[str] = []
        self.ended: list[str] = []
        self.changed: set[str] = set()
        self.gone: list[str] = []
        self.reordered = False
        self.random = random.Random(7)
        self.settings: Json = {
            "dir": "/srv/downloads",
            "categories": {"isos": "/srv/downloads/isos", "films": "/srv/films"},
            "active": 3,
            "limit": None,
            "upload_limit": "512K",
            "task_limit": None,
            "ratio": "1.5",
            "roots": ["/srv"],
            "schedule": [{"days": "mon-fri", "from": "08:00", "to": "18:00", "what": "pause"}],
        }
        self.held = False
        self.rates: list[tuple[int, int]] = []

    # -- what is there -------------------------------------------------------------------------------------------

    def active(self) -> list[Json]:
        return [task for task in self.tasks.values() if task["state"] in LIVE]

    def queued(self) -> list[Json]:
        return [self.tasks[gid] for gid in self.waiting]

    def history(self) -> list[Json]:
        return [self.tasks[gid] for gid in reversed(self.ended)]

    def counts(self) -> Json:
        paused = sum(task["state"] == "paused" for task in self.queued())
        waiting = len(self.waiting) - paused
        return {"active": len(self.active()), "waiting": waiting, "paused": paused, "ended": len(self.ended)}

    def stat(self) -> Json:
        live = self.active()
        down = round(sum(task["rate_bytes_per_s"] for task in live))
        up = round(sum(task["upload_rate_bytes_per_s"] for task in live))
        told: Json = {"rate_bytes_per_s": down, "upload_rate_bytes_per_s": up, **self.counts()}
        return told | {"limit": self.settings["limit"], "free_bytes": 412 << 30}

    def detail(self, gid: str) -> Json:
        task, script = self.tasks[gid], self.scripts[gid]
        length = 4 << 20
        live = task["state"] in LIVE
        return task | {
            "options": script.options,
            "mirrors": [origin.url for origin in script.origins if origin.kind != "peers"],
            "piece_map": base64.b64encode(bytes(int(cell * 255) for cell in script.cells)).decode(),
            "piece_sources": base64.b64encode(bytes(script.owners)).decode(),
            "piece_length": length,
            "piece_count": math.ceil((task["size_bytes"] or 0) / length),
            "sources": [self._source(task, origin, live) for origin in script.origins],
            "peers": script.peers if live else [],
            "files": script.files,
            "trackers": script.trackers,
            "info_hash": script.info_hash,
            "ratio": round(task["uploaded_bytes"] / max(task["done_bytes"], 1), 3),
            "resumed_bytes": script.resumed_bytes,
            "wasted_bytes": 1 << 17,
        }

    def _source(self, task: Json, origin: Origin, live: bool) -> Json:
        moving = live and origin.state == "active" and task["state"] == "active"
        return {
            "url": origin.url,
            "kind": origin.kind,
            "state": origin.state if live else "gone",
            "bytes": int(origin.bytes),
            "share": round(origin.bytes / max(task["done_bytes"], 1), 4),
            "rate_bytes_per_s": round(self._rate(task, origin)) if moving else 0,
            "lanes": 4 if moving else 0,
            "note": origin.note,
            "why": origin.why,
        }

    # -- what happens --------------------------------------------------------------------------------------------

    def add(self, wanted: Json) -> Json:
        """A task as ``POST /api/v1/tasks`` describes it, with a :class:`Script` and fields of a Task besides."""
        gid = f"{self.random.getrandbits(64):016x}"
        url = str(wanted["urls"][0])
        script = wanted.get("script") or Script(origins=[Origin(url=u, bytes_per_s=3e6) for u in wanted["urls"]])
        options = {name: str(value) for name, value in wanted.get("options", {}).items()}
        script.options = options | script.options
        task = self._blank(gid, url, wanted) | {
            key: wanted[key]
            for key in wanted
            if key not in ("urls", "options", "script", "position", "paused", "state")
        }
        self.tasks[gid], self.scripts[gid] = task, script
        self.changed.add(gid)
        at = wanted.get("position")
        if at is None:
            task["position"] = len(self.waiting)
            self.waiting.append(gid)
        else:
            self.waiting.insert(int(at), gid)
            self._number()
        return task

    def _blank(self, gid: str, url: str, wanted: Json) -> Json:
        options = wanted.get("options", {})
        name = options.get("out") or url.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1] or url
        kind = "torrent" if url.startswith("magnet:") else url.split(":", 1)[0].replace("https", "http")
        return {
            "gid": gid, "state": "paused" if wanted.get("paused") else "waiting", "name": name, "url": url,
            "kind": kind,
            "dir": options.get("dir", self.settings["dir"]), "path": None, "size_bytes": 900_000_000, "done_bytes": 0,
            "uploaded_bytes": 0, "rate_bytes_per_s": 0, "upload_rate_bytes_per_s": 0, "eta_s": None, "connections": 0,
            "priority": wanted.get("priority", "normal"), "category": wanted.get("category", ""), "position": None,
            "added_at": self.now, "began_at": None, "ended_at": None, "error": None, "notes": [], "verified": [],
            "limit": options.get("task_limit"), "why": "",
        }  # fmt: skip

    def become(self, gid: str, state: str, **fields: object) -> Json:
        task = self.tasks[gid]
        if task["state"] == state and not fields:
            return task
        queue_before = gid in self.waiting
        task.update(fields, state=state)
        if state in QUEUED and not queue_before:
            self.waiting.insert(0, gid)
        if state not in QUEUED and queue_before:
            self.waiting.remove(gid)
        if state in ENDED and gid not in self.ended:
            task["ended_at"] = task["ended_at"] or self.now
            self.ended.append(gid)
        if state not in ENDED and gid in self.ended:
            self.ended.remove(gid)
            task.update(ended_at=None, error=None)
        if state not in LIVE:
            task.update(rate_bytes_per_s=0, upload_rate_bytes_per_s=0, eta_s=None, connections=0)
        if state in LIVE:
            why = "" if queue_before and task["began_at"] is None and not task["limit"] else task["why"]
            task.update(position=None, began_at=task["began_at"] or self.now, connections=8, why=why)
        self.changed.add(gid)
        self._number()
        return task

    def forget(self, gid: str) -> None:
        for line in (self.waiting, self.ended):
            if gid in line:
                line.remove(gid)
        del self.tasks[gid], self.scripts[gid]
        self.changed.discard(gid)
        self.gone.append(gid)
        self._number()

    def move(self, gid: str, to: str | int) -> int:
        at = self.waiting.index(gid)
        self.waiting.pop(at)
        places = {"top": 0, "up": at - 1, "down": at + 1, "bottom": len(self.waiting)}
        place = max(0, min(len(self.waiting), places[to] if isinstance(to, str) else to))
        self.waiting.insert(place, gid)
        self.reordered = True
        self._number()
        return place

    def _number(self) -> None:
        for place, gid in enumerate(self.waiting):
            self.tasks[gid]["position"] = place

    def tick(self, seconds: float) -> None:
        """Everything moves on by ``seconds``."""
        self.now += seconds
        if not self.held:
            self._begin_waiting()
        for task in self.active():
            self._move_on(task, seconds)
        if int(self.now) != int(self.now - seconds):
            stat = self.stat()
            self.rates = [*self.rates, (stat["rate_bytes_per_s"], stat["upload_rate_bytes_per_s"])][-300:]

    def _begin_waiting(self) -> None:
        free = int(self.settings["active"]) - sum(task["state"] == "active" for task in self.active())
        ready = [task["gid"] for task in self.queued() if task["state"] == "waiting" and not task.get("stuck")]
        for gid in ready[: max(free, 0)]:
            self.become(gid, "active")

    def _rate(self, task: Json, origin: Origin) -> float:
        phase = (hash_of(origin.url) % 100) / 10
        wobble = 1 + 0.22 * math.sin(self.now / 4 + phase) + 0.1 * math.sin(self.now / 1.3 + phase * 3)
        return origin.bytes_per_s * wobble

    def _move_on(self, task: Json, seconds: float) -> None:
        script = self.scripts[task["gid"]]
        self.changed.add(task["gid"])
        if task["state"] != "active":
            task["uploaded_bytes"] += int(task["upload_rate_bytes_per_s"] * seconds)
            return
        total = 0.0
        for number, origin in enumerate(script.origins, 1):
            if origin.state == "active" and origin.bytes_per_s:
                rate = self._rate(task, origin)
                total += rate
                self._fill(task, script, number, rate * seconds)
        task["rate_bytes_per_s"] = round(total)
        size = task["size_bytes"]
        task["done_bytes"] = min(size, int(sum(script.cells) / CELLS * size))
        task["eta_s"] = (size - task["done_bytes"]) / total if total else None
        task["uploaded_bytes"] += int(task["upload_rate_bytes_per_s"] * seconds)
        for entry in script.files:
            entry["done_bytes"] = int(entry["size_bytes"] * task["done_bytes"] / size) if entry["selected"] else 0
        if task["done_bytes"] >= size:
            path = f"{task['dir']}/{task['name']}"
            self.become(task["gid"], "complete", path=path, verified=["sha-256"], done_bytes=size)

    def _fill(self, task: Json, script: Script, number: int, amount: float) -> None:
        """The source puts ``amount`` bytes into the cell that it has in hand, and takes the next free one."""
        origin, per_cell = script.origins[number - 1], task["size_bytes"] / CELLS
        left = amount
        while left > 0:
            at = origin.at
            if script.cells[at] >= 1 or script.owners[at] not in (0, number):
                free = self._free_cell(script, number)
                if free is None:
                    return
                origin.at = at = free
            script.owners[at] = number
            took = min(left, (1 - script.cells[at]) * per_cell)
            script.cells[at] = 1.0 if took < left else min(1.0, script.cells[at] + took / per_cell)
            origin.bytes += took
            left -= max(took, 1)

    def _free_cell(self, script: Script, number: int) -> int | None:
        begun = [at for at in range(CELLS) if script.owners[at] == number and script.cells[at] < 1]
        if begun:
            return begun[0]
        start = (number - 1) * CELLS // max(len(script.origins), 1)
        ring: Iterable[int] = (at % CELLS for at in range(start, start + CELLS))
        return next((at for at in ring if script.cells[at] < 1 and script.owners[at] == 0), None)

    def advance(self, gid: str, share: float) -> None:
        """As if ``share`` (0..1) of the task were there, from its sources by their rates."""
        task, script = self.tasks[gid], self.scripts[gid]
        whole = sum(origin.bytes_per_s for origin in script.origins if origin.state == "active") or 1
        for _ in range(40):
            for number, origin in enumerate(script.origins, 1):
                if origin.state == "active":
                    self._fill(task, script, number, task["size_bytes"] * share * origin.bytes_per_s / whole / 40)
        task["done_bytes"] = int(sum(script.cells) / CELLS * task["size_bytes"])


def hash_of(text: str) -> int:
    """The same in every run, unlike ``hash``."""
    return sum(ord(letter) * place for place, letter in enumerate(text, 1))
