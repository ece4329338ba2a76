"""A task in aria2's words: ``tellStatus`` and what else is told of one.

All numbers are texts, as in aria2. A key is made only where somebody asks for it: clients ask for one or two of them,
a thousand times a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from thunderdl.aria2.exit_codes import code_of, counted
from thunderdl.daemon.jobs import Job, Outcome, State
from thunderdl.errors import printable, shown_url
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import names_torrent
from thunderdl.model import FileProgress, FileUrl, PieceTable, Progress, Status, SwarmFacts, UrlUse
from thunderdl.rpc.aria2.contents import PIECE_BYTES, Content, is_source
from thunderdl.rpc.aria2.session import Session
from thunderdl.storage.paths import safe_name
from thunderdl.task import Task

STATUSES: Mapping[State, str] = {
    State.ACTIVE: "active", State.WAITING: "waiting", State.PAUSED: "paused", State.COMPLETE: "complete",
    State.FAILED: "error", State.REMOVED: "removed",
}  # fmt: skip
_REMOVED = "31"
_NOTHING = Outcome()


class View:
    """One task, looked at once: each part of it is made when it is asked for. (Not by cached_property: its lock was a
    third of what a thousand of them took.)"""

    __slots__ = ("_pieces", "_progress", "_swarm", "content", "job", "outcome", "session", "task")

    def __init__(self, session: Session, job: Job) -> None:
        self.session, self.job = session, job
        self.task: Task | None = session.queue.task(job)
        self.outcome = job.outcome or _NOTHING
        self.content: Content | None = None if is_source(job.wish.url) else session.contents.of(job)
        self._progress: Progress | None = None
        self._pieces: PieceTable | None = None
        self._swarm: SwarmFacts | None = None

    @property
    def progress(self) -> Progress | None:
        """Of one that runs."""
        if self._progress is None and self.task is not None:
            self._progress = self.task.progress()
        return self._progress

    @property
    def swarm(self) -> SwarmFacts | None:
        """Of a torrent, as far as it is known."""
        if self._swarm is None and self.task is not None:
            self._swarm = self.task.swarm()
        return self._swarm or (self.content.swarm if self.content else None)

    @property
    def pieces(self) -> PieceTable | None:
        """Of one that runs."""
        if self._pieces is None and self.task is not None:
            self._pieces = self.task.pieces()
        return self._pieces

    @property
    def size(self) -> int:
        """0 while it is not known."""
        known = self.progress.size_bytes if self.progress else self.outcome.size_bytes
        return known or (self.content.size_bytes if self.content else 0)

    @property
    def done(self) -> int:
        return self.progress.done_bytes if self.progress else self.outcome.done_bytes

    @property
    def folder(self) -> str:
        """Where it is saved, as it was asked for: no disk is asked about links on the way."""
        rules, wish, base = self.session.queue.rules, self.job.wish, self.session.folder
        own = wish.options.get("dir", "")
        category = rules.categories.get(wish.category, "") if wish.category else ""
        if not own and not category:
            return base
        return os.path.normpath(os.path.join(base, os.path.expanduser(category), os.path.expanduser(str(own))))

    @property
    def path(self) -> str:
        """Empty while it is not known."""
        if self.progress is not None and self.progress.path:
            return self.progress.path
        wish, named = self.job.wish, self._named
        # Of one that has begun only the last part is known; the folders are the metalink's.
        begun = os.path.join(os.path.dirname(named), self.outcome.name) if self.outcome.name else ""
        name = wish.options.get("out") or begun or named
        return self.outcome.path or (os.path.join(self.folder, str(name)) if name else "")

    @property
    def _named(self) -> str:
        """A metalink's file has its name from the start; empty for others."""
        wish = self.job.wish
        if not wish.url.endswith(".meta4"):
            return ""
        if self.content is not None and self.content.name:
            return self.content.name
        return "/".join(safe_name(part) for part in wish.name.split("/")) if wish.name else ""


def status(session: Session, job: Job, keys: Iterable[str] = ()) -> dict[str, object]:
    """Those keys of it, or all that it has."""
    view = View(session, job)
    told: dict[str, object] = {}
    table = _PLAIN if view.task is None and view.content is None and job.state.is_in_line else KEYS
    for key in keys or table:
        make = table.get(key)
        if make is not None and (value := make(view)) is not None:
            told[key] = value
    if view.task is not None:
        # Whatever was asked for, as aria2 does.
        told.update((key, value) for key, make in _VERIFYING.items() if (value := make(view)) is not None)
    return told


def files(view: View) -> list[dict[str, object]]:
    """Each file with where it comes from."""
    if view.task is not None and (found := view.task.files()):
        return [_file(each) for each in found]
    content = view.content
    if content is not None and content.files:
        return _listed(view, content)
    path = view.path
    if not path and content is not None and content.swarm is not None:
        path = f"[METADATA]{printable(content.swarm.name)}"
    return [_told_file(1, path, view.size, view.done, is_selected=True, uris=_untouched(view))]


def _file(file: FileProgress) -> dict[str, object]:
    return _told_file(
        file.index, file.path or "", file.size_bytes or 0, file.done_bytes, is_selected=file.selected,
        uris=told_uris(file.urls),
    )  # fmt: skip


def _listed(view: View, content: Content) -> list[dict[str, object]]:
    chosen, folder = view.job.wish.options.get("files"), view.folder
    paths = [path for path, _ in content.files]
    try:
        wanted = selected(str(chosen), paths) if chosen else frozenset(range(len(paths)))
    except ValueError:
        wanted = frozenset(range(len(paths)))
    uris = _untouched(view)
    here = wanted if view.job.state is State.COMPLETE else frozenset[int]()
    return [
        _told_file(
            at + 1, _place_in(view.outcome.path, path) or os.path.join(folder, path), size, size if at in here else 0,
            is_selected=at in wanted, uris=uris,
        )
        for at, (path, size) in enumerate(content.files)
    ]  # fmt: skip


def _place_in(root: str | None, path: str) -> str | None:
    """Where a torrent's file lies once the torrent has a place, whose name may be another than its own."""
    below = path.partition("/")[2]
    return os.path.join(root, below) if root and below else root


def _told_file(index: int, path: str, size: int, done: int, *, is_selected: bool, uris: object) -> dict[str, object]:
    return {
        "index": str(index), "path": path, "length": str(size), "completedLength": str(done),
        "selected": _flag(is_selected), "uris": uris,
    }  # fmt: skip


def _untouched(view: View) -> list[dict[str, object]]:
    """Where one that does not run comes from."""
    use = "used" if view.job.state.has_ended else "waiting"
    return [{"uri": uri, "status": use} for uri in uris_of(view)]


def uris_of(view: View) -> list[str]:
    """The URLs that were asked for, without logins, then those of its metalink; no link of a torrent, no document of
    the daemon's."""
    asked = [url for url in view.job.wish.urls if is_source(url)]
    named = view.content.urls if view.content is not None else ()
    return list(dict.fromkeys(shown_url(url) for url in (*asked, *named)))


def told_uris(urls: Sequence[FileUrl]) -> list[dict[str, object]]:
    """Those that are fetched from, then those that may be."""
    ways: tuple[tuple[UrlUse, str], ...] = ((UrlUse.USED, "used"), (UrlUse.WAITING, "waiting"))
    return [{"uri": shown_url(each.url), "status": word} for use, word in ways for each in urls if each.use is use]


def servers(task: Task) -> list[dict[str, object]]:
    """Of each file the servers that something comes from now."""
    return [
        {
            "index": str(file.index),
            "servers": [
                {
                    "uri": shown_url(each.url), "currentUri": shown_url(each.current_url),
                    "downloadSpeed": _whole(each.rate_bytes_per_s),
                }
                for each in file.urls if each.use is UrlUse.USED
            ],
        }
        for file in task.files()
    ]  # fmt: skip


def peers(task: Task) -> list[dict[str, object]]:
    """The peers that are connected; their pieces in hexadecimal."""
    return [
        {
            "peerId": "".join(f"%{byte:02X}" for byte in peer.peer_id), "ip": peer.address, "port": str(peer.port),
            "bitfield": peer.bitfield.hex(), "amChoking": _flag(peer.am_choking),
            "peerChoking": _flag(peer.peer_choking), "downloadSpeed": str(peer.down_bytes_per_s),
            "uploadSpeed": str(peer.up_bytes_per_s), "seeder": _flag(peer.is_seed),
        }
        for peer in task.peers(with_bitfields=True)
    ]  # fmt: skip


def is_torrent(job: Job) -> bool:
    """Whether peers have it."""
    return names_torrent(job.wish.url) or "torrent" in job.wish.options


# -- the keys


def _piece_length(view: View) -> str:
    known = view.pieces.piece_length if view.pieces else view.content.piece_length if view.content else PIECE_BYTES
    return str(known)


def _piece_count(view: View) -> str:
    if view.pieces is not None:
        return str(view.pieces.count)
    if view.content is not None and view.content.piece_count:
        return str(view.content.piece_count)
    return str(-(-view.size // PIECE_BYTES))


def _bitfield(view: View) -> str | None:
    if view.pieces is not None:
        return view.pieces.bitfield.hex()
    count = int(_piece_count(view))
    if view.job.state is not State.COMPLETE or not count or not _is_whole(view):
        return None
    return ((1 << count) - 1 << (-count % 8)).to_bytes(-(-count // 8), "big").hex()


def _is_whole(view: View) -> bool:
    """Of what is complete: whether all pieces are there, as far as is known; of some files of a torrent it is not."""
    chosen = view.job.wish.options.get("files")
    if not chosen or not is_torrent(view.job):
        return True
    paths = [path for path, _ in view.content.files] if view.content else []
    try:
        return bool(paths) and len(selected(str(chosen), paths)) == len(paths)
    except ValueError:
        return False


def _error_code(view: View) -> str | None:
    if not view.job.state.has_ended:
        return None
    outcome = view.outcome
    if view.job.state is State.REMOVED:
        return _REMOVED
    code, wish = code_of(outcome.kind, outcome.exit_code, outcome.error), view.job.wish
    return str(counted(code, {**view.session.queue.rules.foreign, **wish.foreign}, len(wish.urls)))


def _error_message(view: View) -> str | None:
    if not view.job.state.has_ended:
        return None
    return view.outcome.error if view.job.state is State.FAILED else ""


def _info_hash(view: View) -> str | None:
    # Of a torrent of the second kind alone aria2 knows nothing; 40 digits is what clients expect.
    return (view.swarm.info_hash_v1 or view.swarm.info_hash_v2[:40]) if view.swarm else None


def _bittorrent(view: View) -> dict[str, object] | None:
    swarm = view.swarm
    if swarm is None:
        return None
    told: dict[str, object] = {"announceList": [[shown_url(url) for url in tier] for tier in swarm.tiers]}
    if swarm.has_metadata:
        told |= {"info": {"name": printable(swarm.name)}, "mode": "single" if swarm.is_single else "multi"}
    if swarm.comment:
        told["comment"] = printable(swarm.comment)
    if swarm.created is not None:
        told["creationDate"] = swarm.created
    return told


def _is_seeder(view: View) -> str | None:
    return _flag(bool(view.task and view.swarm.is_seeding)) if view.swarm else None


def _seeders(view: View) -> str | None:
    return str(view.swarm.seeders if view.task else 0) if view.swarm else None


def _verified(view: View) -> str | None:
    progress = view.progress
    return str(progress.done_bytes) if progress and progress.status is Status.VERIFYING else None


def _flag(is_so: bool) -> str:
    return "true" if is_so else "false"


def _whole(number: float) -> str:
    return str(int(number))


_VERIFYING: Mapping[str, Callable[[View], object]] = {"verifiedLength": _verified}
#: As aria2 has them, but for followedBy, following and belongsTo: here a torrent's task is the one that fetched it.
KEYS: Mapping[str, Callable[[View], object]] = {
    "gid": lambda view: view.job.gid,
    "status": lambda view: STATUSES[view.job.state],
    "totalLength": lambda view: str(view.size),
    "completedLength": lambda view: str(view.done),
    "uploadLength": lambda view: str((view.progress or view.outcome).uploaded_bytes),
    "downloadSpeed": lambda view: _whole(view.progress.rate_bytes_per_s) if view.progress else "0",
    "uploadSpeed": lambda view: _whole(view.progress.upload_rate_bytes_per_s) if view.progress else "0",
    "connections": lambda view: str(view.progress.connections) if view.progress else "0",
    "pieceLength": _piece_length,
    "numPieces": _piece_count,
    "bitfield": _bitfield,
    "dir": lambda view: view.folder,
    "files": files,
    "errorCode": _error_code,
    "errorMessage": _error_message,
    "infoHash": _info_hash,
    "numSeeders": _seeders,
    "seeder": _is_seeder,
    "bittorrent": _bittorrent,
    **_VERIFYING,
}
# Of a file that waits: thousands of them are told at once, and all else is of what runs, has ended or has peers.
_PLAIN: Mapping[str, Callable[[View], object]] = {
    **{key: KEYS[key] for key in ("gid", "status", "totalLength", "completedLength", "uploadLength")},
    **dict.fromkeys(("downloadSpeed", "uploadSpeed", "connections"), lambda view: "0"),
    **{key: KEYS[key] for key in ("pieceLength", "numPieces", "dir", "files")},
}
