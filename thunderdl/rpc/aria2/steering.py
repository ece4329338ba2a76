"""Tasks steered: paused, resumed, removed, moved, given other URIs, forgotten.

What aria2 tells apart as gentle and forced is one thing here: nothing is lost by stopping at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.line import Whence
from thunderdl.daemon.queue import NotNow
from thunderdl.errors import UsageError, shown_url
from thunderdl.formats.links import LOCAL_SCHEMES, scheme_of
from thunderdl.formats.targets import checked
from thunderdl.rpc.aria2.contents import is_source
from thunderdl.rpc.aria2.params import Refused, check_place, texts
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.aria2.stopping import left


async def pause(session: Session, gid: str) -> str:
    """``aria2.pause`` and ``forcePause``."""
    job = session.job(gid)
    if not _runs_or_waits(session, job):
        raise Refused(f"GID#{job.gid} cannot be paused now")
    await session.queue.pause([job])
    return job.gid


async def pause_all(session: Session) -> str:
    """``aria2.pauseAll`` and ``forcePauseAll``."""
    await session.queue.pause(job for job in session.queue.open() if _runs_or_waits(session, job))
    return "OK"


async def unpause(session: Session, gid: str) -> str:
    """``aria2.unpause``."""
    job = session.job(gid)
    if not _is_paused(session, job):
        raise Refused(f"GID#{job.gid} cannot be unpaused now")
    await session.queue.resume([job])
    return job.gid


async def unpause_all(session: Session) -> str:
    """``aria2.unpauseAll``."""
    await session.queue.resume(job for job in session.queue.open() if _is_paused(session, job))
    return "OK"


async def remove(session: Session, gid: str) -> str:
    """``aria2.remove`` and ``forceRemove``."""
    job = session.job(gid)
    if job.state.has_ended or job.leaving is State.REMOVED:
        raise Refused(f"Active Download not found for GID#{job.gid}")
    await session.queue.remove(job)
    return job.gid


async def change_position(session: Session, gid: str, position: int, how: str) -> int:
    """``aria2.changePosition``."""
    try:
        whence = Whence(how)
    except ValueError:
        raise Refused("Illegal argument.") from None
    job = session.job(gid)
    await left(session, job, State.PAUSED)
    try:
        return await session.queue.move(job, position, whence)
    except NotNow:
        raise Refused(f"GID#{job.gid} not found in the waiting queue.") from None


async def change_uri(
    session: Session, gid: str, file: int, removed: list[object], added: list[object], position: int | None
) -> list[int]:
    """``aria2.changeUri``. Of a torrent the URIs are web seeds, each for all of it, whichever file is named."""
    check_place(position)
    job = session.job(gid)
    if job.state.has_ended:
        raise Refused(f"Cannot remove URIs from GID#{job.gid}")
    if file != 1:
        content = await session.contents.learned(job)
        if file > len(content.files if content else ()):
            raise Refused("fileIndex is out of range")
    urls = list(job.wish.urls)
    gone = _gone(urls, texts(removed))
    left = [url for url in urls if url not in gone]
    new = [url for url in dict.fromkeys(_usable(texts(added))) if url not in left]
    at = len(left) if position is None else position
    if job.wish.url in left[:1] and not is_source(job.wish.url):
        # What names the torrent stays in front.
        at = max(1, at)
    left[at:at] = new
    if not left:
        raise Refused(f"No URI would be left of GID#{job.gid}; add another one with it, or remove the download.")
    if gone or new:
        try:
            await session.queue.change(job, replace(job.wish, urls=tuple(left)))
        except UsageError as error:
            raise Refused(str(error)) from None
    return [len(gone), len(new)]


async def remove_result(session: Session, gid: str) -> str:
    """``aria2.removeDownloadResult``."""
    job = session.job(gid)
    await left(session, job, State.REMOVED)
    if not job.state.has_ended:
        raise Refused(f"Could not remove download result of GID#{job.gid}")
    await session.queue.forget([job])
    return "OK"


async def purge(session: Session) -> str:
    """``aria2.purgeDownloadResult``."""
    for job in session.queue.active():
        await left(session, job, State.REMOVED)
    await session.queue.forget(session.queue.ended())
    return "OK"


def _runs_or_waits(session: Session, job: Job) -> bool:
    if job.state is State.ACTIVE:
        return job.leaving in (None, State.WAITING)
    return job.state is State.WAITING


def _is_paused(session: Session, job: Job) -> bool:
    return job.state is State.PAUSED or job.leaving is State.PAUSED


def _gone(urls: Iterable[str], removed: Iterable[str]) -> list[str]:
    """URLs are told without logins, and named so when they are to go."""
    named = set(removed)
    return [url for url in urls if is_source(url) and (url in named or shown_url(url) in named)]


def _usable(given: Iterable[str]) -> Iterable[str]:
    for text in given:
        try:
            url = checked(text.replace(" ", "%20"))
        except UsageError:
            continue
        if is_source(url) and scheme_of(url) not in LOCAL_SCHEMES:
            yield url
