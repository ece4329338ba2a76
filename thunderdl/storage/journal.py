"""The journal beside a part file: what of it is there, kept through kill -9 and power loss.

The promises that it serves:
1. The final name appears only when the whole is verified, or complete where no hash exists.
2. After kill -9 or power loss at any moment a restart resumes, and the result is the same byte for byte;
   a damaged journal costs time, never correctness.
3. Bytes of two versions are never mixed: the header holds size and validators to be checked again on resume.
4. A bad source costs its own pieces alone: they are dropped by range.
5. A journal of another version, of another machine or made by an attacker is data: checked, never trusted
   for paths, never executed.

How: records are appended unsynced, each chained to the one before it (see records). A barrier says that an
fdatasync of the part file has covered what was recorded before that fdatasync began. Each sync of
the journal fills its last sector first: no later write can tear what was synced. On resume during the same
start of the machine everything recorded counts, for the page cache has survived; after another start what
stands before the last barrier counts, and the rest is read back and compared with its digest.

What the owner must do:
- record an extent only after its pwrite has returned;
- ``mark()``, then sync the part file, then ``barrier(mark)``: what is recorded during the sync is not covered;
- ``drop()`` a range before its bytes are overwritten by others;
- resume by :func:`recovery.resume`, or drop what the reading back found bad: the next barrier would cover it;
- after a failed sync of the part file: ``lose_unsynced()``, fetch those ranges again, never sync and go on.

It decides nothing and knows no pieces. Blocking; safe to call from several threads.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from thunderdl.core.ranges import RangeSet
from thunderdl.errors import JournalUnusable, StorageError
from thunderdl.storage.files import (
    JOURNAL_SUFFIX,
    PART_SUFFIX,
    close_quietly,
    storage_fault,
    sync_data,
    sync_folder,
    write_at,
)
from thunderdl.storage.records import (
    PADDING_MIN_BYTES,
    Barrier,
    Decoded,
    Dropped,
    Filled,
    Header,
    Kept,
    Padding,
    Record,
    decode,
    encode,
    opening,
)

MAX_JOURNAL_BYTES = 256 << 20

# What a power loss may garble of the journal; each sync costs the rest of a sector.
SECTOR_BYTES = 512

# One byte, not ".new": names are cut so that NAME.part.journal just fits (see paths).
_FRESH_SUFFIX = "~"
_MODE = 0o600
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Recovered = Decoded
"""What :meth:`Journal.open` found."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the journal: everything recorded before it. Void once the journal was compacted."""

    generation: int
    offset: int


class Journal:
    """An open journal. Made by :meth:`create` or :meth:`open`; the part file's lock guards it too."""

    def __init__(self, path: str, fd: int, offset: int, checksum: int) -> None:
        self.path = path
        self._fd, self._offset, self._checksum = fd, offset, checksum
        self._generation = 0
        self._folder_synced = False
        self._sync_failed = False
        # How far a barrier of this process reaches: before it no extent is in doubt.
        self._covered = 0
        # (offset behind the record, start, end) of each extent that no barrier covers yet, oldest first.
        self._unsynced: deque[tuple[int, int, int]] = deque()
        # What :meth:`post` was given: whoever writes next writes it first.
        self._posted: deque[Record] = deque()
        self._writing = threading.Lock()
        self._syncing = threading.Lock()

    @classmethod
    def create(cls, path: str, header: Header) -> Journal:
        """A new journal in place of any that is there; after kill -9 there is the old one or the new one, whole.

        Raises StorageError.
        """
        image, checksum = _image(header, [])
        return cls(path, _replace(path, image), len(image), checksum)

    @classmethod
    def open(cls, path: str) -> tuple[Journal, Recovered]:
        """Open a journal, cut off its torn tail, and tell what it holds.

        Raises JournalUnusable (JournalDamaged where beginning anew is the answer), StorageError.
        """
        try:
            fd = os.open(path, _FLAGS)
        except OSError as error:
            raise storage_fault(path, error) from error
        try:
            data = read_whole(path, fd)
            found = decode(data, path)
            os.ftruncate(fd, found.good_bytes)
        except OSError as error:
            close_quietly(fd)
            raise storage_fault(path, error) from error
        except BaseException:
            close_quietly(fd)
            raise
        journal = cls(path, fd, found.good_bytes, found.checksum)
        journal._unsynced.extend((found.good_bytes, e.start, e.end) for e in found.extents if not e.durable)
        return journal, found

    @property
    def size_bytes(self) -> int:
        """How long the journal is: compact it when this is far more than its extents need (33 bytes each)."""
        return self._offset

    def append(self, records: Sequence[Record]) -> None:
        """Write the records behind the others, in one system call, unsynced.

        Raises StorageError; nothing was recorded then, and a later append is not hurt by what was half written.
        """
        with self._writing:
            self._append(records)

    def post(self, records: Iterable[Record]) -> None:
        """Have the records written by :meth:`flush`, or before whatever else is written sooner. Never waits: for those
        who must not stand still where a disk does."""
        self._posted.extend(records)

    @property
    def has_posted(self) -> bool:
        """Whether something that was posted is still to be written."""
        return bool(self._posted) and self._fd >= 0

    def flush(self) -> None:
        """Write what was posted, as :meth:`append`; nothing once the journal is closed."""
        with self._writing:
            if self._fd >= 0:
                self._append(())

    def sync(self) -> None:
        """Put the journal itself on the disk.

        Raises StorageError; only :meth:`compact` makes it sound again (never retry an fsync and go on).
        """
        with self._syncing:
            with self._writing:
                self._check_sound()
                self._append(_padding(self._offset))
            try:
                sync_data(self._fd)
            except OSError as error:
                self._sync_failed = True
                raise storage_fault(self.path, error) from error
            if not self._folder_synced:
                sync_folder(os.path.dirname(self.path))
                self._folder_synced = True

    def mark(self) -> Mark:
        """The present end: to be taken before the part file is synced, and given to :meth:`barrier` after."""
        with self._writing:
            return Mark(self._generation, self._offset)

    def barrier(self, mark: Mark | None = None) -> None:
        """Record that the part file's bytes up to ``mark`` are on the disk, and put that on the disk too.

        Without a mark: all that is recorded (only where nothing was recorded since the sync began). A mark from
        before a compaction says nothing: no barrier is written. Raises StorageError.
        """
        with self._writing:
            if mark is not None and mark.generation != self._generation:
                return
            reach = self._offset if mark is None else mark.offset
            self._append([Barrier(reach)])
            self._covered = reach
            while self._unsynced and self._unsynced[0][0] <= reach:
                self._unsynced.popleft()
        self.sync()

    def drop(self, start: int, end: int) -> None:
        """Record that ``[start, end)`` is void, and put that on the disk: before other bytes are written there.

        Unsynced, a power loss could keep the new bytes and lose the word that the old ones are gone.
        """
        self.append([Dropped(start, end)])
        self.sync()

    def unsynced(self) -> list[tuple[int, int]]:
        """The ranges recorded since the last barrier, sorted: what a failed sync of the part file may have lost."""
        with self._writing:
            return list(RangeSet((start, end) for _, start, end in self._unsynced))

    def lose_unsynced(self) -> list[tuple[int, int]]:
        """Drop and return the ranges recorded since the last barrier: after a failed sync of the part file.

        Where even that cannot be recorded (the disk is full, too), the journal is cut off before them. Raises
        StorageError; the ranges are void all the same, unless the disk refuses to shorten a file as well.
        """
        lost = self.unsynced()
        with self._writing:
            # Written, and not on the disk either: what is not recorded is void.
            self._posted.clear()
            try:
                self._append([Dropped(start, end) for start, end in lost])
            except StorageError:
                self._cut_off()
                raise
            self._unsynced.clear()
        self.sync()
        return lost

    def _cut_off(self) -> None:
        """End the journal where the last barrier reached to. Nothing can be appended any more, only compacted."""
        self._sync_failed = True
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._covered)

    def compact(self, records: Sequence[Record]) -> None:
        """Put a journal of these records (the first one the header, see records.compacted) in place of this one.

        Raises StorageError; on any error a whole journal is there and in use, nearly always the old one.
        """
        if not records or not isinstance(records[0], Header):
            raise ValueError("a journal begins with its header")
        with self._syncing, self._writing:
            image, checksum = _image(records[0], records[1:])
            fresh = _replace(self.path, image)
            close_quietly(self._fd)
            self._fd, self._offset, self._checksum = fresh, len(image), checksum
            self._generation += 1
            self._covered = 0
            self._sync_failed = False
            self._posted.clear()
            self._unsynced = deque(_uncovered(records, self._offset))
            sync_folder(os.path.dirname(self.path))
            self._folder_synced = True

    def close(self) -> None:
        """Close it; the file stays. Closing twice does not matter."""
        with self._syncing, self._writing:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                close_quietly(fd)

    def delete(self) -> None:
        """Remove the file and close it; that it is gone already does not matter. Raises StorageError."""
        self.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise storage_fault(self.path, error) from error

    def _append(self, new: Sequence[Record]) -> None:
        records = [self._posted.popleft() for _ in range(len(self._posted))]
        records += new
        if not records:
            return
        self._check_sound()
        body, checksum = encode(records, self._checksum)
        try:
            write_at(self._fd, body, self._offset)
        except OSError as error:
            raise storage_fault(self.path, error) from error
        self._offset, self._checksum = self._offset + len(body), checksum
        for record in records:
            if isinstance(record, Filled | Kept):
                self._unsynced.append((self._offset, record.start, record.end))

    def _check_sound(self) -> None:
        if self._fd < 0:
            raise StorageError(self.path, "the journal is closed")
        if self._sync_failed:
            raise StorageError(self.path, "the journal could not be put on the disk", "run the same command again")

    def __repr__(self) -> str:
        return f"<Journal {self.path!r} {self._offset} bytes, {len(self._unsynced)} extents since the last barrier>"


def read_header(path: str) -> Header:
    """What the journal at ``path`` says its download is; nothing is changed. Raises JournalUnusable, StorageError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return decode(read_whole(path, fd), path).header
        finally:
            close_quietly(fd)
    except OSError as error:
        raise storage_fault(path, error) from error


def find_journals(folder: str) -> list[str]:
    """The paths of the journals in the folder (not below it), sorted. Raises StorageError."""
    ending = PART_SUFFIX + JOURNAL_SUFFIX
    try:
        with os.scandir(folder or ".") as entries:
            found = [e.path for e in entries if e.name.endswith(ending) and e.is_file(follow_symlinks=False)]
    except OSError as error:
        raise storage_fault(folder, error) from error
    return sorted(found)


def current_boot_id() -> str:
    """A text that is another after each start of the machine.

    It may also change without one (where only clocks can tell): that costs a reading back. Never empty.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            found = file.read(64).strip()
    except (OSError, ValueError):
        found = ""
    return found or _boot_session() or f"boot-time-{round((time.time() - time.monotonic()) / 60)}"


def _boot_session() -> str:
    """macOS: kern.bootsessionuuid; empty elsewhere."""
    if sys.platform == "darwin":
        import ctypes  # late: it takes 10 ms

        value, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        if ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", value, ctypes.byref(length), None, 0) == 0:
            return value.value.decode("ascii", "replace")
    return ""


def _replace(path: str, data: bytes) -> int:
    """Write a file beside ``path``, put it on the disk, and give it that name; its descriptor. Raises StorageError."""
    fresh = path + _FRESH_SUFFIX
    fd = -1
    try:
        with_exclusive = _FLAGS | os.O_CREAT | os.O_EXCL
        try:
            fd = os.open(fresh, with_exclusive, _MODE)
        except FileExistsError:  # left by a crash; the lock of the part file keeps others away
            os.unlink(fresh)
            fd = os.open(fresh, with_exclusive, _MODE)
        write_at(fd, data, 0)
        sync_data(fd)
        os.replace(fresh, path)
    except OSError as error:
        if fd >= 0:
            close_quietly(fd)
            _unlink_quietly(fresh)
        raise storage_fault(path, error) from error
    return fd


def _image(header: Header, records: Sequence[Record]) -> tuple[bytes, int]:
    """A whole journal, padded for its sync, and the checksum of its last record."""
    start, checksum = opening(header)
    body, checksum = encode(records, checksum)
    padding, checksum = encode(_padding(len(start) + len(body)), checksum)
    return start + body + padding, checksum


def _padding(offset: int) -> list[Record]:
    """What fills the sector that the journal ends in."""
    room = -offset % SECTOR_BYTES
    return [Padding(room if room >= PADDING_MIN_BYTES else room + SECTOR_BYTES)] if room else []


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def read_whole(path: str, fd: int) -> bytes:
    """All of a journal. Raises JournalUnusable for what is none by its kind or length, OSError."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise JournalUnusable(path, "it is no regular file", "remove it to start over")
    if found.st_size > MAX_JOURNAL_BYTES:
        raise JournalUnusable(path, "it is far too long for a journal", "move it away to start over")
    parts: list[bytes] = []
    at = 0
    while part := os.pread(fd, found.st_size - at, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _uncovered(records: Sequence[Record], offset: int) -> Iterator[tuple[int, int, int]]:
    """The extents behind the last barrier of a compacted journal."""
    last = max((i for i, record in enumerate(records) if isinstance(record, Barrier)), default=0)
    for record in records[last:]:
        if isinstance(record, Filled | Kept):
            yield offset, record.start, record.end
