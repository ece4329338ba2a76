"""``thunderdl add`` and ``thunderdl get --daemon``: what was typed becomes tasks of the daemon."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thunderdl.cli.grammar import Typed
from thunderdl.cli.inputs import entries, open_list
from thunderdl.cli.remote import Daemon, added, daemon_of
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.formats.input_lists import Shape
from thunderdl.formats.links import is_magnet, names_metalink, names_torrent
from thunderdl.formats.targets import checked, checked_target
from thunderdl.options import Exists, Options, table

MOST_BYTES = 16 * 1024 * 1024
Task = dict[str, Any]


def add(typed: Typed) -> int:
    """Queue each URL, document and line of a list; a gid a line on stdout."""
    urls, list_path = typed.texts("urls"), typed.text("input")
    if not urls and list_path is None:
        raise UsageError("no URL was given; write thunderdl add URL, or -i FILE for a list of them.")
    mirrors = tuple(map(checked, typed.texts("mirror")))
    if mirrors and (len(urls) != 1 or list_path is not None):
        raise UsageError("--mirror belongs to one file, but there are several; give one URL.")
    like = _like(typed)
    targets = [checked_target(url) for url in urls]
    # Read before anything is queued: what it refuses refuses all.
    listed = list(_listed(list_path, like)) if list_path is not None else []
    with daemon_of(typed) as daemon:
        told = _documents(daemon, [each for each in targets if _is_local(each)], mirrors, like)
        told += added(daemon, [{"urls": [each, *mirrors], **like} for each in targets if not _is_local(each)])
        if listed:
            told += added(daemon, listed)
    _tell(typed, told)
    return 0


def get(typed: Typed) -> int:
    """The same of what was typed for ``get``: saved where that would have saved it."""
    folder = typed.text("dir") or os.getcwd()
    return add(Typed({**typed.values, "dir": folder}))


def _like(typed: Typed) -> Task:
    """What all of them have: options as texts, and where they stand in line."""
    task: Task = {"options": options_of(typed), "paused": typed.is_on("paused")}
    if (category := typed.text("category")) is not None:
        task["category"] = category
    if "priority" in task["options"]:
        task["priority"] = task["options"].pop("priority")
    if typed.is_on("top"):
        task["position"] = 0
    if (when := typed.text("at")) is not None:
        task["not_before"] = _moment(when, time.localtime())
    return task


def options_of(typed: Typed) -> dict[str, str | list[str]]:
    """The options that were typed, as texts; folders are absolute. Raises UsageError for what is the daemon's own."""
    rows = {row.name: row for row in table()}
    texts: dict[str, str | list[str]] = {}
    for name, value in typed.settings().items():
        if rows[name].scope == "session":
            raise UsageError(f"{rows[name].flags[-1]} is the daemon's to know; give it to thunderdl daemon.")
        if isinstance(value, bool):
            texts[name] = "yes" if value else "no"
        else:
            texts[name] = (
                value.value if isinstance(value, Exists) else list(value) if isinstance(value, tuple) else str(value)
            )
    if "dir" in texts:
        texts["dir"] = os.path.abspath(os.path.expanduser(str(texts["dir"])))
    return texts


def _moment(text: str, now: time.struct_time) -> float:
    """Unix time of ``22:30``, today or tomorrow, or of ``2026-12-24 22:30``. Raises UsageError."""
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"):
        try:
            return time.mktime(time.strptime(text, form))
        except ValueError:
            continue
    try:
        clock = time.strptime(text, "%H:%M")
    except ValueError:
        raise UsageError(f"--at {printable(text)[:40]!r}: write 22:30, or 2026-12-24 22:30.") from None
    today = time.mktime((*now[:3], clock.tm_hour, clock.tm_min, 0, 0, 0, -1))
    tomorrow = time.mktime((now[0], now[1], now[2] + 1, clock.tm_hour, clock.tm_min, 0, 0, 0, -1))
    return today if today > time.mktime(now) else tomorrow


def _is_local(target: str) -> bool:
    return "://" not in target and not is_magnet(target) and (names_torrent(target) or names_metalink(target))


def _documents(daemon: Daemon, paths: Sequence[str], mirrors: Sequence[str], like: Mapping[str, Any]) -> list[Task]:
    """Torrents and metalinks of this machine go there as they are."""
    import json

    told: list[Task] = []
    for path in paths:
        if mirrors:
            raise UsageError("--mirror beside a torrent's or metalink's file: give its link in place of the file.")
        query = {name: value for name, value in like.items() if name not in ("options", "paused")}
        told += daemon.ask(
            "POST", "documents", _read(path), name=os.path.basename(path), options=json.dumps(like["options"]),
            paused=int(like["paused"]), **query,
        )["tasks"]  # fmt: skip
    return told


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror or error}.") from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{printable(path)} is larger than 16 MiB; no torrent or metalink is.")
    return data


def _listed(list_path: str, like: Task) -> Iterator[Task]:
    """The lines of a list. One that is wrong refuses all of it: what is queued is there for good."""

    def refuse(error: UsageError) -> None:
        raise error

    name, opened = open_list(list_path)
    said, is_empty = _Said(list_path, like), True
    with opened as lines:
        for entry in entries(lines, name, refuse, said):
            is_empty = False
            yield {"urls": [entry.url, *entry.mirrors], **said.task}
    if is_empty:
        write_line(sys.stderr, f"{name} names nothing to download.")


class _Said:
    """What a list says of one file beside its URLs. ``task``: of the one that was judged last, with what holds for all;
    a list says more of its file than the command line."""

    def __init__(self, list_path: str, like: Task) -> None:
        from thunderdl.cli.list_settings import ListSettings

        self.task = self._like = like
        folder = str(like["options"].get("dir", ""))
        self._settings = ListSettings(Options(dir=folder), _note, inside=list_path == "-")

    def check(self, shapes: Sequence[tuple[str, Shape]]) -> None:
        """Raise UsageError for values of JSON that their options cannot have."""
        self._settings.check(shapes)

    def options(self, settings: list[tuple[str, str]], where: str) -> None:
        """Judge them. Raises UsageError."""
        own = self._settings.texts(settings, where)
        if "headers" in own:
            own["headers"] = [*self._like["options"].get("headers", ()), *own["headers"]]
        priority = {"priority": own.pop("priority")} if "priority" in own else {}
        self.task = {**self._like, "options": {**self._like["options"], **own}, **priority}


def _note(told: str) -> None:
    write_line(sys.stderr, told)


def _tell(typed: Typed, told: Sequence[Task]) -> None:
    if typed.is_on("json"):
        import json

        for task in told:
            write_line(sys.stdout, json.dumps(task))
    elif not typed.is_on("quiet"):
        for task in told:
            write_line(sys.stdout, f"{task['gid']}  {printable(task['name'])}")
