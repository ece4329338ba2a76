"""What is run, or told, when something happens in the queue: programs by argv, a webhook by POST.

Invariants: no shell; only who started the daemon names a program or an address, never who talks to it; a hook that
fails, hangs or is missing costs a note and nothing else.
"""

from __future__ import annotations

import asyncio
import http.client
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from thunderdl.daemon.events import Event, Subscription, What
from thunderdl.daemon.jobs import Job
from thunderdl.daemon.places import named_folder
from thunderdl.daemon.posting import Post
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.unwaited import unwaited
from thunderdl.engine.offers import Offer
from thunderdl.engine.wanted import named, named_in
from thunderdl.errors import ThunderdlError, foreseen, printable, shown_url
from thunderdl.formats.links import names_torrent
from thunderdl.task import Task

# So long a program may run, so long an address may take to answer, so many run at once.
PROGRAM_S, WEBHOOK_S = 600.0, 10.0
MOST_AT_ONCE = 4
# So long those that run when the daemon stops are waited for.
LAST_S = 1.0
_TRIES = 3
_PAUSE_S = 1.0
# Called when its turn has come: a coroutine made before and never begun warns on standard error at the stop.
_Work = Callable[[], Coroutine[Any, Any, None]]
TOLD = frozenset((What.STARTED, What.PAUSED, What.STOPPED, What.SHARED, What.COMPLETED, What.FAILED))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told(Event):
    """``files``: how many were wanted when it happened, and the path of the first; what has ended knows no more."""

    queue: Queue
    files: tuple[int, str]


@dataclass(frozen=True, slots=True)
class Hooks:
    """``programs``: what is run on what, as argv. To that are added, as aria2 does, the gid, the number of files that
    are wanted, and the path of the first; more is in variables (THUNDERDL_GID, _EVENT, _URL, _NAME, _PATH, _SIZE,
    _ERROR). ``webhook``: where a POST with the same as JSON goes. ``tells_whole``: a torrent that is not shared at all
    is told as shared before it is told as completed, as aria2 does."""

    programs: Mapping[What, Sequence[str]] = field(default_factory=dict)
    webhook: str | None = None
    tells_whole: bool = False

    @contextmanager
    def hearing(self, queue: Queue) -> Iterator[Subscription]:
        """What :meth:`attend` goes by, for as long as the context holds."""
        heard, tasks, shared = Subscription(TOLD), dict[str, Task | None](), set[str]()

        def hear(event: Event) -> None:
            job = event.job
            if job is None or event.what not in TOLD:
                return
            if event.what is What.STARTED:
                tasks[job.gid] = queue.task(job)
            is_on = event.what in (What.STARTED, What.SHARED)
            task = tasks.get(job.gid) if is_on else tasks.pop(job.gid, None)
            files = task.wanted() if self.programs and task is not None else _given(job)
            if event.what is What.SHARED:
                shared.add(job.gid)
            elif event.what is What.COMPLETED and self.tells_whole and job.gid not in shared and _is_torrent(job):
                heard.put(_Told(What.SHARED, job, queue=queue, files=files))
            if not is_on:
                shared.discard(job.gid)
            heard.put(_Told(event.what, job, queue=queue, files=files))

        with queue.events.hearing(hear):
            yield heard

    async def attend(self, heard: Subscription, notes: list[str]) -> None:
        """Run until cancelled; programs that still run then are soon left to themselves."""
        turns, begun = asyncio.Semaphore(MOST_AT_ONCE), set[asyncio.Task[None]]()

        async def in_turn(work: _Work) -> None:
            try:
                await work()
            finally:
                turns.release()

        try:
            async for event in heard:
                if heard.lost:
                    heard.lost = False
                    notes.append("more happened than the hooks could keep up with; some of it was told to none")
                try:
                    works = await self._works(event, notes)
                except Exception as error:
                    # Nobody looks at this task before the end: no hook would run any more, and nobody knew.
                    notes.append(f"the hooks of one event are left out: {foreseen(error)}")
                    continue
                for work in works:
                    await turns.acquire()
                    task = asyncio.create_task(in_turn(work))
                    begun.add(task)
                    task.add_done_callback(begun.discard)
        finally:
            if begun:
                await asyncio.wait(begun, timeout=LAST_S)

    async def _works(self, event: Event, notes: list[str]) -> list[_Work]:
        if event.job is None or event.what not in TOLD:
            return []
        facts = facts_of(event.what, event.job)
        works: list[_Work] = []
        if argv := self.programs.get(event.what):
            count, path = await _files_of(event, event.job)
            works.append(partial(_run_program, (*argv, facts["gid"], str(count), path), facts, notes))
        if self.webhook is not None:
            works.append(partial(_tell, self.webhook, facts, notes))
        return works


def facts_of(what: What, job: Job) -> dict[str, str]:
    """What is told of an event."""
    outcome = job.outcome
    return {
        "event": what.value, "gid": job.gid, "url": shown_url(job.wish.url),
        "name": outcome.name if outcome else "", "path": outcome.path or "" if outcome else "",
        "size": str(outcome.size_bytes or 0) if outcome else "0", "error": outcome.error if outcome else "",
    }  # fmt: skip


def _is_torrent(job: Job) -> bool:
    return names_torrent(job.wish.url) or "torrent" in job.wish.options


def _given(job: Job) -> tuple[int, str]:
    return 1, job.outcome.path or "" if job.outcome else ""


async def _files_of(event: Event, job: Job) -> tuple[int, str]:
    if not isinstance(event, _Told):
        return _given(job)
    count, path = event.files
    if event.what is not What.STARTED or path or not event.queue.store.is_document(job.wish.url):
        return count, path
    # As aria2, which has read it before anything begins.
    return await _files_in(event.queue, job) or event.files


async def _files_in(queue: Queue, job: Job) -> tuple[int, str] | None:
    """What a document of the daemon's own says; None where it cannot be used, which the task will tell."""
    wish = job.wish
    try:
        options = replace(queue.rules.options_of(wish), dir=named_folder(wish, queue.rules))
        if names_torrent(wish.url):
            return named_in(await queue.client.torrent(wish.url), options)
        return 1, named(options, Offer(told_by=wish.url, name=wish.name))
    except ThunderdlError:
        return None


async def _run_program(argv: Sequence[str], facts: Mapping[str, str], notes: list[str]) -> None:
    told = {f"THUNDERDL_{name.upper()}": value for name, value in facts.items()}
    try:
        program = await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **told},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        notes.append(f"the hook {printable(argv[0])} could not be run: {reason}")
        return
    try:
        code = await asyncio.wait_for(program.wait(), PROGRAM_S)
    except TimeoutError:
        program.kill()
        await program.wait()
        notes.append(f"the hook {printable(argv[0])} was ended: it ran for more than {PROGRAM_S:.0f} seconds")
        return
    if code:
        notes.append(f"the hook {printable(argv[0])} failed with exit code {code}")


async def _tell(webhook: str, facts: Mapping[str, str], notes: list[str]) -> None:
    for attempt in range(_TRIES):
        post = Post(webhook, facts, WEBHOOK_S)
        try:
            # That of the socket begins anew with each byte.
            async with asyncio.timeout(WEBHOOK_S):
                await unwaited("thunderdl-webhook", post.send)
        except (OSError, ValueError, http.client.HTTPException) as error:
            # The last for an answer that is no HTTP.
            reason = printable(str(error)) or "it took too long to answer"
        else:
            return
        finally:
            post.cut()
        if attempt < _TRIES - 1:
            await asyncio.sleep(_PAUSE_S * 2**attempt)
    notes.append(f"the webhook {shown_url(webhook).partition('?')[0]} was not reached: {reason}")
