"""All methods of aria2's RPC: name, what each takes, what does it. Server and documentation go by this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import thunderdl
from thunderdl.aria2.help_text import FEATURES
from thunderdl.daemon.jobs import Job
from thunderdl.rpc.aria2 import adding, settings, steering, telling
from thunderdl.rpc.aria2.notices import NOTIFICATIONS
from thunderdl.rpc.aria2.params import Kind, Param, Refused, texts
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.aria2.stopping import looked_at, stopped

#: What ``getVersion`` answers. Clients compare it with the version in which an option or method came (AriaNg hides
#: what is newer): it is the one whose options and methods these are.
VERSION = "1.37.0"


class Method(NamedTuple):
    """``run``: called with the session and a value for each parameter; ``needs_token``: whether the secret must come
    first; ``note``: what is other than in aria2, for the documentation."""

    params: tuple[Param, ...]
    run: Callable[..., Awaitable[object]]
    note: str = ""
    needs_token: bool = True


async def tell_status(session: Session, gid: str, keys: list[object] | None) -> dict[str, object]:
    """``aria2.tellStatus``."""
    job = await looked_at(session, gid)
    await session.contents.learned(job)
    return telling.status(session, job, texts(keys))


async def tell_active(session: Session, keys: list[object] | None) -> list[object]:
    """``aria2.tellActive``."""
    await stopped(session, session.queue.active())
    return _all_told(session, session.queue.active(), keys)


async def tell_waiting(session: Session, offset: int, count: int, keys: list[object] | None) -> list[object]:
    """``aria2.tellWaiting``: paused ones among them."""
    await stopped(session, session.queue.active())
    _, waiting, _ = session.queue.counts()
    part, is_reversed = part_of(waiting, offset, count)
    jobs = session.queue.waiting(part)
    return _all_told(session, jobs[::-1] if is_reversed else jobs, keys)


async def tell_stopped(session: Session, offset: int, count: int, keys: list[object] | None) -> list[object]:
    """``aria2.tellStopped``: the last thousand that ended."""
    await stopped(session, session.queue.active())
    ended = session.queue.ended()
    part, is_reversed = part_of(len(ended), offset, count)
    return _all_told(session, ended[part][::-1] if is_reversed else ended[part], keys)


def part_of(size: int, offset: int, count: int) -> tuple[slice, bool]:
    """The part of a list of ``size`` that aria2 means, and whether it tells it backwards: a negative offset counts
    from the end, and goes towards the beginning."""
    if offset >= 0:
        return slice(offset, offset + count), False
    last = size + offset
    return slice(max(0, last - count + 1), max(0, last + 1)), True


def _all_told(session: Session, jobs: Sequence[Job], keys: list[object] | None) -> list[object]:
    wanted = texts(keys)
    return [telling.status(session, job, wanted) for job in jobs]


async def get_uris(session: Session, gid: str) -> list[object]:
    """``aria2.getUris``."""
    job = await looked_at(session, gid)
    if job.state.has_ended:
        raise Refused(f"No URI data is available for GID#{job.gid}")
    task = session.queue.task(job)
    if task is not None and (files := task.files()):
        return list(telling.told_uris(files[0].urls))
    await session.contents.learned(job)
    return [{"uri": uri, "status": "waiting"} for uri in telling.uris_of(telling.View(session, job))]


async def get_files(session: Session, gid: str) -> list[object]:
    """``aria2.getFiles``."""
    job = await looked_at(session, gid)
    await session.contents.learned(job)
    return list(telling.files(telling.View(session, job)))


async def get_peers(session: Session, gid: str) -> list[object]:
    """``aria2.getPeers``."""
    job = await looked_at(session, gid)
    task = session.queue.task(job)
    if job.state.has_ended:
        raise Refused(f"No peer data is available for GID#{job.gid}")
    return list(telling.peers(task)) if task else []


async def get_servers(session: Session, gid: str) -> list[object]:
    """``aria2.getServers``."""
    job = await looked_at(session, gid)
    task = session.queue.task(job)
    if task is None:
        raise Refused(f"No active download for GID#{job.gid}")
    return list(telling.servers(task))


async def get_global_stat(session: Session) -> dict[str, object]:
    """``aria2.getGlobalStat``."""
    await stopped(session, session.queue.active())
    queue = session.queue
    active, waiting, ended = queue.counts()
    seen = [task.progress() for job in queue.active() if (task := queue.task(job))]
    return {
        "downloadSpeed": str(int(sum(each.rate_bytes_per_s for each in seen))),
        "uploadSpeed": str(int(sum(each.upload_rate_bytes_per_s for each in seen))),
        "numActive": str(active), "numWaiting": str(waiting), "numStopped": str(ended),
        "numStoppedTotal": str(max(ended, session.stopped)),
    }  # fmt: skip


async def get_version(session: Session) -> dict[str, object]:
    """``aria2.getVersion``."""
    return {"version": VERSION, "enabledFeatures": list(FEATURES), "thunderdl": thunderdl.__version__}


async def get_session_info(session: Session) -> dict[str, object]:
    """``aria2.getSessionInfo``."""
    return {"sessionId": session.id}


async def save_session(session: Session) -> str:
    """``aria2.saveSession``."""
    if session.save is not None:
        await session.save(session.queue)
    return "OK"


async def shutdown(session: Session) -> str:
    """``aria2.shutdown``."""
    session.stop(False)
    return "OK"


async def force_shutdown(session: Session) -> str:
    """``aria2.forceShutdown``."""
    session.stop(True)
    return "OK"


async def list_methods(session: Session) -> list[object]:
    """``system.listMethods``."""
    return list(METHODS)


async def list_notifications(session: Session) -> list[object]:
    """``system.listNotifications``."""
    return list(NOTIFICATIONS)


async def no_multicall(session: Session, calls: list[object]) -> object:
    """One within another: the outer one is carried out by who reads the calls."""
    raise Refused("Recursive system.multicall forbidden.")


# fmt: off
_GID = Param("gid", Kind.TEXT)
_URIS = Param("uris", Kind.LIST)
_OPTIONS = Param("options", Kind.STRUCT)
_KEYS = Param("keys", Kind.LIST, optional=True)
_MAY_HAVE_OPTIONS = _OPTIONS._replace(optional=True)
_PLACE = Param("position", Kind.WHOLE, optional=True)
_PART = (Param("offset", Kind.WHOLE), Param("num", Kind.WHOLE, least=0), _KEYS)
_AT_ONCE = "the same as without force"
_OF_TORRENT = "of a torrent the URIs are web seeds, each for all of it"

METHODS: Mapping[str, Method] = {
    "aria2.addUri": Method((_URIS, _MAY_HAVE_OPTIONS, _PLACE), adding.add_uri, "durable when it is answered"),
    "aria2.addTorrent": Method(
        (Param("torrent", Kind.BASE64), _URIS._replace(optional=True), _MAY_HAVE_OPTIONS, _PLACE), adding.add_torrent,
        "kept with the queue; the task that fetches it is the only one"),
    "aria2.getPeers": Method((_GID,), get_peers),
    "aria2.addMetalink": Method(
        (Param("metalink", Kind.BASE64), _MAY_HAVE_OPTIONS, _PLACE), adding.add_metalink, "a task for each file"),
    "aria2.remove": Method((_GID,), steering.remove, "what is there of the file stays"),
    "aria2.pause": Method((_GID,), steering.pause),
    "aria2.forcePause": Method((_GID,), steering.pause, _AT_ONCE),
    "aria2.pauseAll": Method((), steering.pause_all),
    "aria2.forcePauseAll": Method((), steering.pause_all, _AT_ONCE),
    "aria2.unpause": Method((_GID,), steering.unpause),
    "aria2.unpauseAll": Method((), steering.unpause_all),
    "aria2.forceRemove": Method((_GID,), steering.remove, _AT_ONCE),
    "aria2.changePosition": Method(
        (_GID, Param("pos", Kind.WHOLE), Param("how", Kind.TEXT)), steering.change_position),
    "aria2.tellStatus": Method((_GID, _KEYS), tell_status, "no followedBy, following, belongsTo"),
    "aria2.getUris": Method((_GID,), get_uris, "each URI once, without its login"),
    "aria2.getFiles": Method((_GID,), get_files),
    "aria2.getServers": Method((_GID,), get_servers),
    "aria2.tellActive": Method((_KEYS,), tell_active),
    "aria2.tellWaiting": Method(_PART, tell_waiting),
    "aria2.tellStopped": Method(_PART, tell_stopped, "the last 1000; the history holds them all"),
    "aria2.getOption": Method((_GID,), settings.get_option, "without passwords"),
    "aria2.changeUri": Method(
        (_GID, Param("fileIndex", Kind.WHOLE, least=1), Param("delUris", Kind.LIST), Param("addUris", Kind.LIST),
         _PLACE), steering.change_uri, f"the last URI cannot go; {_OF_TORRENT}"),
    "aria2.changeOption": Method((_GID, _OPTIONS), settings.change_option),
    "aria2.getGlobalOption": Method((), settings.get_global_option, "without passwords"),
    "aria2.changeGlobalOption": Method(
        (_OPTIONS,), settings.change_global_option, f"not {', '.join(sorted(settings.NOT_FROM_OUTSIDE))}"),
    "aria2.purgeDownloadResult": Method((), steering.purge),
    "aria2.removeDownloadResult": Method((_GID,), steering.remove_result),
    "aria2.getVersion": Method((), get_version, f"{VERSION}, the release whose methods and options these are"),
    "aria2.getSessionInfo": Method((), get_session_info),
    "aria2.shutdown": Method((), shutdown),
    "aria2.forceShutdown": Method((), force_shutdown, _AT_ONCE),
    "aria2.getGlobalStat": Method((), get_global_stat),
    "aria2.saveSession": Method((), save_session, "of `aria2c --enable-rpc`; the daemon's answers are on the disk"),
    "system.multicall": Method((Param("methods", Kind.LIST),), no_multicall, needs_token=False),
    "system.listMethods": Method((), list_methods, needs_token=False),
    "system.listNotifications": Method((), list_notifications, needs_token=False),
}
