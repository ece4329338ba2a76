"""Watch folders: what is put into them is queued: ``.torrent``, ``.meta4``, ``.metalink``, and ``.magnet`` (a link a
line).

A file is taken once it has not changed between two looks, and gets ``.added`` behind its name after its tasks are on
the disk; what cannot be used gets ``.refused`` and a note. Invariant: a crash in between queues it at most once more,
never not at all. Looked for, not notified of: network folders tell nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence

from thunderdl.daemon.documents import MOST_BYTES, wishes_of
from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.ticking import every
from thunderdl.engine.session import seen_through
from thunderdl.errors import StorageError, ThunderdlError, UsageError, printable

LOOK_S = 2.0
MOST_LINES = 10_000
# Of a file's name (NAME_MAX).
MAX_FILE_BYTES = 255
_DOCUMENTS = (".torrent", ".meta4", ".metalink")
_MAGNET = ".magnet"
_Seen = tuple[int, int, int]


class Watcher:
    """``folders``: to look into, not below. Those that are not there are looked for again."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders
        self._seen: dict[str, _Seen] = {}
        # Taken, but in a folder where nothing can be renamed.
        self._taken: dict[str, _Seen] = {}

    async def watch(self, queue: Queue, notes: list[str]) -> None:
        """Run until cancelled."""
        await every(LOOK_S, (lambda: self.look(queue, notes),), notes.append, at_once=True)

    async def look(self, queue: Queue, notes: list[str]) -> None:
        """Take what has not changed since the look before."""
        now = dict(await asyncio.to_thread(lambda: list(_candidates(self._folders))))
        settled = [path for path, seen in now.items() if self._seen.get(path) == seen and self._taken.get(path) != seen]
        self._seen = now
        for path in settled:
            if not await _take(queue, path, notes):
                self._taken[path] = now[path]
            self._seen.pop(path, None)


async def _take(queue: Queue, path: str, notes: list[str]) -> bool:
    """Whether it is to be looked at again, should it be found again."""
    suffix = ".added"
    try:
        await queue.add(await _wishes(queue, path))
    except StorageError as error:
        # It may fit later: it stays.
        notes.append(f"{printable(path)} is not queued yet: {error}")
        return True
    except (ThunderdlError, OSError) as error:
        notes.append(f"{printable(path)} is not queued: {printable(str(error))}")
        suffix = ".refused"
    try:
        # Also where the daemon stops meanwhile: it is queued, and a thread that has not begun would not begin any more.
        await seen_through(asyncio.ensure_future(asyncio.to_thread(os.replace, path, _beside(path, suffix))))
    except OSError as error:
        notes.append(f"{printable(path)} could not be renamed, so the next start queues it again: {error.strerror}")
        return False
    return True


def _beside(path: str, suffix: str) -> str:
    """The path with that behind it; a name that would be too long is cut, and told from others that are cut alike."""
    folder, name = os.path.split(path)
    encoded = os.fsencode(name)
    if len(encoded) + len(suffix) > MAX_FILE_BYTES:
        suffix = f"-{hashlib.sha256(encoded).hexdigest()[:8]}{suffix}"
        name = encoded[: MAX_FILE_BYTES - len(suffix)].decode(errors="ignore")
    return os.path.join(folder, name + suffix)


async def _wishes(queue: Queue, path: str) -> list[Wish]:
    data = await asyncio.to_thread(_read, path)
    ending = os.path.splitext(path)[1].lower()
    if ending == _MAGNET:
        lines = [line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()]
        if not 0 < len(lines) <= MOST_LINES:
            raise UsageError(f"it holds {len(lines)} lines; a link in each of 1 to {MOST_LINES} is expected.")
        return [Wish(urls=(line,)) for line in lines]
    return await wishes_of(queue, data)


def _read(path: str) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UsageError("it is larger than 16 MiB.")
    return data


def _candidates(folders: Sequence[str]) -> Iterator[tuple[str, _Seen]]:
    for folder in folders:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in sorted(entries, key=lambda entry: entry.name):
            ending = os.path.splitext(entry.name)[1].lower()
            if ending not in _DOCUMENTS and ending != _MAGNET:
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)
