"""Tasks as the API tells them: plain values for JSON, without credentials. It looks, and changes nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from thunderdl.daemon.jobs import Job, State, Text
from thunderdl.daemon.places import named_folder
from thunderdl.daemon.queue import MOST_IN_A_ROW, Queue
from thunderdl.errors import printable, shown_url
from thunderdl.formats.links import is_magnet, names_metalink, names_torrent, scheme_of
from thunderdl.model import (
    Explanation,
    FileProgress,
    PeerProgress,
    Progress,
    SourceProgress,
    SourceState,
    Status,
    TrackerProgress,
)
from thunderdl.options import Kind, table
from thunderdl.rpc.api.whys import why_of
from thunderdl.rpc.exchange import encoded
from thunderdl.storage.paths import name_from_url

Json = dict[str, Any]
# A page shows no more; a torrent of 100,000 files would be 10 MB a second.
MOST_FILES, MOST_PEERS = 2000, 500
_LIVE = {Status.VERIFYING: "verifying", Status.SHARING: "sharing"}
_KINDS = {"https": "http", "ftps": "ftp", "ftpes": "ftp"}
_SECRET = frozenset(row.name for row in table() if row.kind in (Kind.SECRET, Kind.HEADER))
_OF_URLS = frozenset(row.name for row in table() if row.kind in (Kind.URL, Kind.PROXY_FOR, Kind.TRACKER))


def task_of(queue: Queue, job: Job, progress: Progress | None = None) -> Json:
    """A task in short. ``progress``: of one that runs, where it is at hand."""
    if progress is None and job.state is State.ACTIVE:
        progress = queue.progress(job)
    wish, outcome = job.wish, job.outcome
    told: Json = {
        "gid": job.gid, "state": state_of(job, progress), "name": name_of(job, progress), "url": url_of(queue, job),
        "kind": kind_of(wish.url), "dir": named_folder(wish, queue.rules), "path": None, "size_bytes": None,
        "done_bytes": 0, "uploaded_bytes": 0, "rate_bytes_per_s": 0, "upload_rate_bytes_per_s": 0, "eta_s": None,
        "connections": 0, "priority": wish.priority.value, "category": wish.category,
        "position": queue.position(job), "added_at": job.added_at, "began_at": job.began_at, "ended_at": job.ended_at,
        "error": None, "notes": [], "verified": [], "limit": wish.options.get("task_limit") or None,
        "why": why_of(queue, job, progress),
    }  # fmt: skip
    if progress is not None:
        told |= {
            "path": progress.path, "size_bytes": progress.size_bytes, "done_bytes": progress.done_bytes,
            "uploaded_bytes": progress.uploaded_bytes, "rate_bytes_per_s": round(progress.rate_bytes_per_s),
            "upload_rate_bytes_per_s": round(progress.upload_rate_bytes_per_s),
            "eta_s": progress.eta_s and round(progress.eta_s, 1), "connections": progress.connections,
            "notes": list(map(printable, progress.notes)),
        }  # fmt: skip
    elif outcome is not None:
        told |= {
            "path": outcome.path, "size_bytes": outcome.size_bytes, "done_bytes": outcome.done_bytes,
            "uploaded_bytes": outcome.uploaded_bytes, "notes": list(map(printable, outcome.notes)),
            "verified": [digest.partition("=")[0] for digest in outcome.verified],
        }  # fmt: skip
        if outcome.error:
            error = {"kind": outcome.kind, "message": shown_url(outcome.error), "code": outcome.exit_code}
            told["error"] = error
    return told


async def list_of(queue: Queue, jobs: Sequence[Job], **more: object) -> bytes:
    """``{"tasks": […], …}`` as JSON, of many of them: made in turns with what else is to be done."""
    told = []
    for number, job in enumerate(jobs, 1):
        told.append(encoded(task_of(queue, job)))
        if number % MOST_IN_A_ROW == 0:
            await asyncio.sleep(0)
    rest = b"".join(b",%b:%b" % (encoded(name), encoded(value)) for name, value in more.items())
    return b'{"tasks":[' + b",".join(told) + b"]" + rest + b"}"


def detail_of(queue: Queue, job: Job) -> Json:
    """All that is known of a task."""
    task = queue.task(job)
    progress = task.progress() if task is not None else None
    told = task_of(queue, job, progress)
    options = {name: _shown_option(name, text) for name, text in job.wish.options.items()}
    told |= {
        "options": options, "mirrors": [shown_url(url) for url in job.wish.urls[1:]], "piece_map": "",
        "piece_sources": "", "piece_length": None, "piece_count": None, "sources": [], "peers": [], "files": [],
        "trackers": [], "info_hash": None, "ratio": 0.0, "resumed_bytes": 0, "wasted_bytes": 0,
    }  # fmt: skip
    if task is None or progress is None:
        return told
    table, swarm = task.pieces(), task.swarm()
    told |= {
        "piece_map": base64.b64encode(progress.piece_map).decode(),
        "piece_sources": base64.b64encode(task.piece_sources()).decode(), "resumed_bytes": progress.resumed_bytes,
        "wasted_bytes": progress.wasted_bytes, "sources": _sources(progress, task.explanations()),
        "files": list(map(_file, task.files()[:MOST_FILES])), "peers": list(map(_peer, task.peers()[:MOST_PEERS])),
    }  # fmt: skip
    if table is not None:
        told |= {"piece_length": table.piece_length, "piece_count": table.count}
    if swarm is not None:
        told |= {
            "trackers": list(map(_tracker, swarm.trackers)), "info_hash": swarm.info_hash_v1 or swarm.info_hash_v2,
            "ratio": round(swarm.ratio, 4),
        }  # fmt: skip
    return told


def _file(file: FileProgress) -> Json:
    return {
        "index": file.index, "path": printable(file.path) if file.path is not None else None,
        "size_bytes": file.size_bytes, "done_bytes": file.done_bytes, "selected": file.selected,
    }  # fmt: skip


def _peer(peer: PeerProgress) -> Json:
    address = f"[{peer.address}]:{peer.port}" if ":" in peer.address else f"{peer.address}:{peer.port}"
    return {
        "address": address, "client": printable(peer.client), "rate_bytes_per_s": peer.down_bytes_per_s,
        "upload_rate_bytes_per_s": peer.up_bytes_per_s, "progress": round(peer.progress, 4), "seeder": peer.is_seed,
        "choking": peer.peer_choking,
    }  # fmt: skip


def _tracker(tracker: TrackerProgress) -> Json:
    return {
        "url": shown_url(tracker.url), "message": printable(tracker.message), "next_s": tracker.next_announce_s,
        "seeds": tracker.seeders,
    }  # fmt: skip


def _sources(progress: Progress, explanations: Sequence[Explanation]) -> list[Json]:
    whys = {each.url: each for each in explanations}
    whole = sum(source.bytes for source in progress.sources) or 1
    return [
        {
            "url": shown_url(source.url), "kind": _kind_of_source(source.url, source.kind.value),
            "state": source.state.value, "bytes": source.bytes, "share": round(source.bytes / whole, 4),
            "rate_bytes_per_s": round(source.rate_bytes_per_s), "lanes": source.lanes,
            "note": printable(source.note), "why": _why(source, whys.get(source.url)),
        }
        for source in progress.sources
    ]  # fmt: skip


def _why(source: SourceProgress, found: Explanation | None) -> str:
    """Of one at work without the numbers: they stand beside it."""
    if found is None:
        return ""
    return shown_url(found.why if source.state is SourceState.ACTIVE else found.told)


def _kind_of_source(url: str, kind: str) -> str:
    return kind_of(url) if kind == "http" and url.startswith(("ftp", "sftp")) else kind


def state_of(job: Job, progress: Progress | None) -> str:
    """Its state's name, with what one that runs is doing."""
    return _LIVE.get(progress.status, "active") if progress is not None else job.state.value


def name_of(job: Job, progress: Progress | None) -> str:
    """What to call it: its file's name where that is known, else what its link suggests."""
    # Before it is known what it is called it is called by its link, or by where its document lies.
    if progress is not None and progress.path is not None and progress.name:
        return printable(progress.name)
    if job.outcome is not None and job.outcome.name:
        return printable(job.outcome.name)
    out, url = job.wish.options.get("out"), job.wish.url
    if isinstance(out, str) and out:
        return printable(out)
    if job.wish.name:
        return printable(job.wish.name)
    if is_magnet(url):
        return printable(parse_qs(url.partition("?")[2]).get("dn", ["magnet link"])[0])
    return name_from_url(shown_url(url))


def url_of(queue: Queue, job: Job) -> str:
    """Its link as it may be shown; of a document that came from outside nothing: it lies with the daemon."""
    return "" if queue.store.is_document(job.wish.url) else shown_url(job.wish.url)


def kind_of(url: str) -> str:
    """What it is fetched as: http, ftp, sftp, torrent, metalink."""
    if names_torrent(url):
        return "torrent"
    if names_metalink(url):
        return "metalink"
    scheme = scheme_of(url)
    return _KINDS.get(scheme, scheme)


def _shown_option(name: str, text: Text) -> Text | list[str]:
    if name in _SECRET:
        return "***"
    if name in _OF_URLS:
        return shown_url(text) if isinstance(text, str) else [shown_url(each) for each in text]
    return text if isinstance(text, str) else list(text)
