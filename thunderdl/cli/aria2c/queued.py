"""Downloads of the command line and of ``--input-file`` into the queue, and the queue into ``--save-session``.

Invariant: what the session file says brings back what it was made of, once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.aria2.exit_codes import code_of
from thunderdl.aria2.files import session_entry
from thunderdl.aria2.table import OPTIONS
from thunderdl.cli.aria2c.jobs import Job as Named
from thunderdl.errors import ThunderdlError, printable, shown_url
from thunderdl.formats.links import names_metalink, names_torrent
from thunderdl.options import Exists
from thunderdl.storage.files import ensure_folder, write_small

if TYPE_CHECKING:
    from thunderdl.daemon.jobs import Job, Wish
    from thunderdl.daemon.queue import Queue
    from thunderdl.rpc.aria2.adding import New

_NOT_FOUND = 3
# So many are written to the disk together.
_TOGETHER = 1000


async def queue_all(queue: Queue, named: Sequence[Named]) -> list[str]:
    """Queue each; a sentence for each that cannot be."""
    notes: list[str] = []
    new: list[New] = []
    for job in named:
        notes += (f"GID#{job.gid} - {warning}" for warning in job.warnings)
        try:
            new += await _new(queue, job)
        except (ThunderdlError, OSError) as error:
            notes.append(f"GID#{job.gid} - {shown_url(job.request.url)}: {printable(str(error))}")
    for start in range(0, len(new), _TOGETHER):
        notes += await _added(queue, new[start : start + _TOGETHER])
    return notes


async def _added(queue: Queue, new: Sequence[New]) -> list[str]:
    """Those that wait and those that are paused apart; where one of them is not taken each is tried alone."""
    notes: list[str] = []
    for group in ([each for each in new if not each.paused], [each for each in new if each.paused]):
        try:
            await _add(queue, group)
        except ThunderdlError:
            for each in group:
                try:
                    await _add(queue, [each])
                except ThunderdlError as error:
                    notes.append(f"GID#{each.gid} - {shown_url(each.wish.url)}: {error}")
    return notes


async def _add(queue: Queue, new: Sequence[New]) -> None:
    if new:
        gids = [each.gid for each in new]
        await queue.add([each.wish for each in new], paused=new[0].paused, gids=gids)


async def _new(queue: Queue, named: Named) -> list[New]:
    """What one line stands for: a task, or one for each file of a metalink."""
    from thunderdl.daemon.jobs import Wish, new_gid
    from thunderdl.rpc.aria2.adding import New, new_of
    from thunderdl.rpc.aria2.settings import asked

    raw: dict[str, object] = {**named.raw, "gid": named.gid, "dir": _absolute(named.options.dir)}
    document = named.options.torrent or named.options.metalink or _document_at(named.uris[0])
    if document is None:
        return [new_of(list(named.uris), raw, None)]
    wanted = asked(raw, None)
    mirrors = named.uris[1:] if document == named.uris[0] else named.uris
    like = Wish(urls=mirrors or ("-",), options=wanted.options, foreign=wanted.foreign)
    wishes = await _wishes(queue, document, like, is_alone=bool(named.raw.get("select-file")))
    if not mirrors or len(wishes) > 1:
        # Of several files none comes from there; aria2 passes it over.
        wishes = [replace(wish, urls=wish.urls[:1]) for wish in wishes]
    gids = [named.gid, *(new_gid() for _ in wishes[1:])]
    return [New(wish, gid, wanted.paused, None) for wish, gid in zip(wishes, gids, strict=True)]


async def _wishes(queue: Queue, path: str, like: Wish, *, is_alone: bool) -> list[Wish]:
    """``is_alone``: of the metalink's files some were chosen already; they stay one task."""
    from thunderdl.daemon.documents import wishes_of

    data = await asyncio.to_thread(_read, path)
    found = await wishes_of(queue, data, like)
    if len(found) == 1 or not is_alone:
        return found
    chosen = like.options["files"]
    of_one = replace(found[0], name="", options={**found[0].options, "files": chosen})
    return [next((wish for wish in found if wish.options["files"] == chosen), of_one)]


def _absolute(folder: str) -> str:
    return os.path.abspath(folder)


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _document_at(uri: str) -> str | None:
    is_document = "://" not in uri and (names_torrent(uri) or names_metalink(uri))
    return uri if is_document else None


# -- into the session file


async def session_text(queue: Queue, *, keeps_documents: bool) -> str:
    """What did not end well, what runs, what waits. ``keeps_documents``: torrents and metalinks that came by RPC are
    written into the folders of their tasks, where aria2 has them, too; else their tasks are left out."""
    jobs = [job for job in (*queue.active(), *queue.waiting(), *queue.ended()) if _is_saved(queue, job)]
    documents = {job.wish.url for job in jobs if queue.store.is_document(job.wish.url)}
    if not keeps_documents:
        jobs = [job for job in jobs if job.wish.url not in documents]
    elif documents:
        await asyncio.to_thread(_keep, [(job.wish.url, _kept(queue, job)) for job in jobs if job.wish.url in documents])
    return "".join(session_entry(job.gid, _uris(queue, job), _raw(queue, job)) for job in jobs)


def _is_saved(queue: Queue, job: Job) -> bool:
    from thunderdl.daemon.jobs import State

    if job.wish.foreign.get("force-save") == "true":
        return True
    if job.state is State.FAILED and job.outcome is not None:
        is_gone = code_of(job.outcome.kind, job.outcome.exit_code) == _NOT_FOUND
        return not (is_gone and job.wish.foreign.get("save-not-found") == "false")
    task = queue.task(job)
    # One that is shared is whole.
    return not job.state.has_ended and not (task is not None and task.is_sharing)


def _uris(queue: Queue, job: Job) -> tuple[str, ...]:
    """Of a document it alone: a list knows no URIs beside one, each would come back as a download of its own."""
    return (_kept(queue, job),) if queue.store.is_document(job.wish.url) else job.wish.urls


def _kept(queue: Queue, job: Job) -> str:
    return os.path.join(_folder(queue, job), os.path.basename(job.wish.url))


def _folder(queue: Queue, job: Job) -> str:
    from thunderdl.daemon.places import named_folder

    return named_folder(job.wish, queue.rules)


def _keep(copies: Sequence[tuple[str, str]]) -> None:
    for source, target in dict.fromkeys(copies):
        if not os.path.exists(target):
            ensure_folder(os.path.dirname(target))
            write_small(target, _read(source), Exists.OVERWRITE)


def _raw(queue: Queue, job: Job) -> dict[str, str | list[str]]:
    """aria2's options of a task: as they came, and what was set by other doors."""
    from thunderdl.daemon.jobs import State

    raw: dict[str, str | list[str]] = {}
    for name, value in job.wish.foreign.items():
        if name in OPTIONS:
            raw[name] = value if isinstance(value, str) else list(value)
    raw |= dict(_common(job))
    raw["dir"] = _folder(queue, job)
    if State.PAUSED in (job.state, job.leaving):
        raw["pause"] = "true"
    return raw


def _common(job: Job) -> Iterator[tuple[str, str]]:
    for theirs, ours in (("out", "out"), ("select-file", "files")):
        if text := job.wish.options.get(ours):
            yield theirs, str(text)
