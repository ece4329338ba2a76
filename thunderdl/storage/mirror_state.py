"""What a mirrored folder remembers of its files, in ``.thunderdl-mirror``: a line of JSON for each.

Nothing here is needed to be right, only to be quick: a line counts where the file is as it says, and one that is lost
or torn costs a question to the server. Invariants:

1. A line is appended after its file has its final name; the whole is written anew by rename alone.
2. One run at a time has a folder, by flock on this file.
3. A run that came to no list leaves the folder as it was: what this one has made is taken away again while it is empty.
4. It is a plain file of the folder itself: no link is followed (bad-inputs N8), and what is in it is checked (L5).
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Sequence

from thunderdl.core.mirroring import Kept
from thunderdl.errors import StorageError
from thunderdl.storage.files import close_quietly, ensure_folder, has_name, open_locked, storage_fault, sync_data

STATE_NAME = ".thunderdl-mirror"
_NEW = ".thunderdl-mirror.new"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o644
_HEAD = '["thunderdl mirror", 1]'
MAX_BYTES = 512 * 2**20
MAX_ROWS = 2**20
_LONGEST_TEXT = 1024
_LARGEST = 2**63


class MirrorState:
    """``rows``: by name; ``made``: the file and the folders that were not there before, innermost first. Open with
    :meth:`open`, end with :meth:`close`, or with :meth:`abandon`."""

    def __init__(self, folder: str, fd: int, rows: dict[str, Kept], made: Sequence[str] = ()) -> None:
        self._folder, self._fd, self.rows, self._made = folder, fd, rows, made
        self._is_stale = False

    @classmethod
    def open(cls, folder: str) -> MirrorState:
        """Lock the folder and read what it remembers. Blocking. Raises StorageError, TargetLocked."""
        path = os.path.join(folder, STATE_NAME)
        made = _absent(path)
        ensure_folder(folder)
        fd = open_locked(path, _opened, _check, lambda fd: has_name(fd, path), "stop the other run")
        try:
            return cls(folder, fd, read_rows(folder), made)
        except BaseException:
            close_quietly(fd)
            raise

    def keep(self, name: str, kept: Kept) -> None:
        """Remember a file. Raises StorageError."""
        if self.rows.get(name) == kept:
            return
        self.rows[name], self._is_stale = kept, True
        self._append(_line(name, kept))

    def _append(self, line: str) -> None:
        try:
            # A line that a crash has torn is ended first: it must not swallow this one.
            os.write(self._fd, f"\n{line}\n".encode())
        except OSError as error:
            raise storage_fault(os.path.join(self._folder, STATE_NAME), error) from error

    def abandon(self) -> None:
        """Unlock it where nothing came of the run; what that has made goes, if nothing else is in it. Blocking."""
        if self._fd >= 0 and not self.rows and self._made:
            file, *folders = self._made
            with contextlib.suppress(OSError):
                os.unlink(file)
                for folder in folders:
                    os.rmdir(folder)
        self.close()

    def close(self, is_wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Write it anew without what is not wanted any more, and unlock. Blocking."""
        rows = {name: kept for name, kept in self.rows.items() if is_wanted(name)}
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            # Where that cannot be done the lines as they were appended serve as well.
            if self._is_stale or len(rows) < len(self.rows):
                with contextlib.suppress(OSError):
                    _rewrite(self._folder, rows)
        finally:
            close_quietly(fd)


def _absent(path: str) -> list[str]:
    """The path and the folders above it, as far as they are not there."""
    found = []
    while path and not os.path.lexists(path):
        found.append(path)
        path = os.path.dirname(path)
    return found


def read_rows(folder: str) -> dict[str, Kept]:
    """What the folder remembers, later lines first to count; lines that are none are passed over."""
    rows: dict[str, Kept] = {}
    try:
        fd = os.open(os.path.join(folder, STATE_NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return rows
    with open(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or os.fstat(fd).st_size > MAX_BYTES:
            return rows
        for raw in stream:
            if (row := _row(raw)) is not None and (row[0] in rows or len(rows) < MAX_ROWS):
                rows[row[0]] = row[1]
    return rows


def _row(raw: bytes) -> tuple[str, Kept] | None:
    if len(raw) > 8 * _LONGEST_TEXT:
        return None
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, list) or len(fields) != 6 or not isinstance(fields[0], str):
        return None
    name, size, mtime, *texts = fields
    if not all(type(number) is int and 0 <= number < _LARGEST for number in (size, mtime)):
        return None
    if not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts):
        return None
    return name, Kept(size, mtime, *texts)


def _line(name: str, kept: Kept) -> str:
    return json.dumps([name, *(part[:_LONGEST_TEXT] if isinstance(part, str) else part for part in kept)])


def _rewrite(folder: str, rows: dict[str, Kept]) -> None:
    new = os.path.join(folder, _NEW)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    with open(new, "x", encoding="utf-8", opener=_opener) as stream:
        stream.write(_HEAD + "\n")
        stream.writelines(_line(name, kept) + "\n" for name, kept in rows.items())
        stream.flush()
        sync_data(stream.fileno())
    os.replace(new, os.path.join(folder, STATE_NAME))


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)


def _opened(path: str) -> int:
    try:
        return os.open(path, _FLAGS, _MODE)
    except OSError as error:
        raise storage_fault(path, error) from error


def _check(path: str, fd: int) -> None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise StorageError(path, "it is no file of its own", "remove it, or choose another folder")
