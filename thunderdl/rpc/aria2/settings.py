"""aria2's options of a task and of all tasks: taken, changed, told again.

What means something here becomes ours (:mod:`thunderdl.aria2.translating`); all of it is kept as it came, to be told
again. Invariants: no hook, and no file of this machine but a folder below the roots, is set from
here, neither passwords nor the secret are told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import NamedTuple

from thunderdl.aria2.option import Option
from thunderdl.aria2.table import OPTIONS, defaults
from thunderdl.aria2.translating import ENDLESS_RATIO, translate
from thunderdl.aria2.values import validated_all
from thunderdl.daemon.jobs import Job, Text
from thunderdl.daemon.rules import NEVER_FROM_OUTSIDE
from thunderdl.engine.keeping import netrc_path
from thunderdl.errors import UsageError
from thunderdl.formats.links import names_metalink, scheme_of
from thunderdl.options import Options, table
from thunderdl.rpc.aria2.params import Refused
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.aria2.telling import View

#: Of those that aria2 lets be changed for all: they name files of the daemon's machine. Passed over, as unknown ones.
NOT_FROM_OUTSIDE = frozenset({"log", "save-session", "save-cookies", "server-stat-of"})
#: Never told, as aria2 never tells rpc-secret.
SECRET = frozenset(
    {"rpc-secret", "rpc-user", "rpc-passwd"} | {name for name in OPTIONS if name.endswith("-passwd")}
)  # fmt: skip
_LOGIN = re.compile(r"(?<=://)[^/@]*@")
_GID = re.compile(r"[0-9a-fA-F]{16}")

Texts = Mapping[str, Text]


class Asked(NamedTuple):
    """``options``: ours; ``foreign``: aria2's, as it keeps them; ``gid``: None for one made by chance."""

    options: Texts
    foreign: Texts
    gid: str | None = None
    paused: bool = False


def asked(given: Mapping[str, object], uri: str | None) -> Asked:
    """What the options of a new task mean. Raises Refused."""
    values = taken(given, lambda option: option.reach.of_a_download)
    gid, paused = values.pop("gid", None), values.pop("pause", "") == "true"
    if gid is not None and (not _GID.fullmatch(str(gid)) or not int(str(gid), 16)):
        raise Refused("gid must be 16 hexadecimal digits, not all of them 0.")
    options = dict(_meaning(tuple(values.items()), _what_counts(values, uri)))
    return Asked(options, values, str(gid).lower() if gid is not None else None, paused)


def _what_counts(values: Texts, uri: str | None) -> str | None:
    """Of the URI what the meaning of the options hangs on: for thousands of URIs that is the same."""
    if uri is None or values.get("referer") == "*":
        return uri
    return f"{scheme_of(uri)}://h/{'f.meta4' if names_metalink(uri) else 'f'}"


@lru_cache(256)
def _meaning(values: tuple[tuple[str, Text], ...], uri: str | None) -> Texts:
    return _ours(dict(values), [name for name, _ in values], uri)


def taken(given: Mapping[str, object], may_be_set: Callable[[Option], bool]) -> dict[str, Text]:
    """The values of those options that may be set there, judged; all others are passed over, as aria2 does. Raises
    Refused."""
    values: dict[str, Text] = {}
    for name, value in given.items():
        option = OPTIONS.get(name)
        if option is None or name in NOT_FROM_OUTSIDE or not may_be_set(option):
            continue
        if isinstance(value, list) and option.repeats:
            value = [each for each in value if isinstance(each, str)]
        elif not isinstance(value, str):
            continue
        try:
            judged = validated_all(name, value)
        except UsageError as error:
            raise Refused(str(error)) from None
        values[name] = judged if isinstance(judged, str) else tuple(judged)
    return values


def _ours(foreign: Texts, touched: Iterable[str], uri: str | None) -> dict[str, Text]:
    """Our options of one task that the ``touched`` ones set, beside the others of aria2's."""
    fields = _fields(touched)
    texts = _translated(foreign, uri)
    return {field: text for field, text in texts.items() if field in fields and field in taken_here()}


def _fields(names: Iterable[str]) -> set[str]:
    """Those of ours that these set. How long is shared hangs on both of aria2's."""
    fields = {field for name in names for field in OPTIONS[name].here.ours}
    return fields | {"ratio", "seed_time"} if fields & {"ratio", "seed_time"} else fields


def _translated(foreign: Texts, uri: str | None) -> dict[str, Text]:
    # Nobody looks at what is there before a task begins: --continue would make any file of that name one that is done.
    meant = {name: value for name, value in foreign.items() if name != "continue"}
    try:
        texts = dict(translate(meant, uri=uri).texts)
    except UsageError as error:
        raise Refused(str(error)) from None
    minutes = str(foreign.get("seed-time") or "")
    if minutes and float(minutes) == 0:
        # To us no time and no ratio say nothing; the rules' own ratio would hold.
        texts["ratio"] = "0"
    elif minutes and "ratio" not in texts:
        # aria2's own, or none: that of the rules may be 0, and nothing would be shared for that time.
        texts["ratio"] = ENDLESS_RATIO if foreign.get("seed-ratio") else OPTIONS["seed-ratio"].default or ""
    return texts


@cache
def taken_here() -> frozenset[str]:
    """Our options that one task may be given from here."""
    return frozenset(row.name for row in table() if row.scope == "task" and row.name not in NEVER_FROM_OUTSIDE)


# -- one task


async def change_option(session: Session, gid: str, given: dict[str, object]) -> str:
    """``aria2.changeOption``."""
    job = session.job(gid)
    if job.state.has_ended:
        raise Refused(f"Cannot change option for GID#{job.gid}")
    new = taken(given, lambda option: option.reach.changes_a_download)
    if new:
        await changed(session, job, new)
    return "OK"


async def changed(session: Session, job: Job, new: Texts) -> None:
    """Change aria2's options of a task. Raises Refused."""
    wish = job.wish
    foreign = {**wish.foreign, **new}
    fields = _fields(new)
    options = {name: text for name, text in wish.options.items() if name not in fields}
    options |= _ours(foreign, new, wish.url)
    try:
        await session.queue.change(job, replace(wish, options=options, foreign=foreign))
    except UsageError as error:
        raise Refused(str(error)) from None


async def get_option(session: Session, gid: str) -> dict[str, object]:
    """``aria2.getOption``."""
    view = View(session, session.job(gid))
    wish = view.job.wish
    told = {**_of_all(session), **wish.foreign, "dir": view.folder}
    told = {name: text for name, text in told.items() if OPTIONS[name].reach.of_a_download}
    # These may have been set by other doors, too.
    told |= {theirs: str(wish.options[ours]) for theirs, ours in _SAME.items() if wish.options.get(ours)}
    return _told(told)


# -- all of them


async def change_global_option(session: Session, given: dict[str, object]) -> str:
    """``aria2.changeGlobalOption``."""
    new = taken(given, lambda option: option.reach.changes_all)
    if not new:
        return "OK"
    rules = session.queue.rules
    foreign = {**rules.foreign, **new}
    fields = _fields(new) - NEVER_FROM_OUTSIDE
    # How many connections a server gets hangs on how many files there are at once.
    texts = _translated({"max-concurrent-downloads": str(rules.options.jobs), **foreign}, None)
    try:
        await session.queue.change_rules({**{field: texts.get(field) for field in fields}, "foreign": foreign})
    except UsageError as error:
        raise Refused(str(error)) from None
    return "OK"


async def get_global_option(session: Session) -> dict[str, object]:
    """``aria2.getGlobalOption``."""
    return _told({**_of_machine(session), **_of_all(session), "enable-rpc": "true", **_place(session)})


def _of_machine(session: Session) -> dict[str, Text]:
    """Files that are used unless others were given. aria2's of the DHT are none of ours: its table is not kept."""
    options = session.queue.rules.options
    told: dict[str, Text] = {"ca-certificate": str(options.ca)} if options.ca else {}
    return {**told, "netrc-path": netrc_path()} if options.netrc else told


def _place(session: Session) -> dict[str, Text]:
    return {"rpc-listen-port": str(session.port)} if session.port is not None else {}


def _of_all(session: Session) -> dict[str, Text]:
    rules = session.queue.rules
    options = rules.options
    return {**_defaults(), **rules.foreign, "dir": os.path.abspath(options.dir), **_limits(options)}


def _limits(options: Options) -> dict[str, Text]:
    """Limits by the clock change by themselves: aria2 has no word for them."""
    limits = {
        "max-overall-download-limit": options.limit, "max-overall-upload-limit": options.upload_limit,
        "max-download-limit": options.task_limit, "max-upload-limit": options.task_upload_limit,
    }  # fmt: skip
    told: dict[str, Text] = {name: str(limit) for name, limit in limits.items() if isinstance(limit, int)}
    return {**told, "max-concurrent-downloads": str(options.jobs)}


@cache
def _defaults() -> Mapping[str, Text]:
    return defaults()


_SAME = {"out": "out", "select-file": "files"}


def _told(texts: Texts) -> dict[str, object]:
    """As aria2 tells them: lines of what repeats, each with its end."""
    return {
        name: _LOGIN.sub("", text) if isinstance(text, str) else "".join(f"{line}\n" for line in text)
        for name, text in texts.items()
        if name not in SECRET
    }
