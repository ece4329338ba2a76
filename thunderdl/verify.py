"""Hashing of what is on disk, in threads, so that neither the event loop nor the movers wait for it.

Four shapes: :class:`PrefixHasher` follows the finished prefix of a growing file, :class:`PieceVerifier`
compares pieces with given digests, :class:`TreeHasher` completes a content key whose granules the movers
mostly hashed already, :func:`hash_file` and :func:`piece_hashes_of` do a whole file and wait.

Must not write, and must not decide what a wrong digest means. Invariants:
- bytes are read with ``preadv`` into memory that is used again; reading and hashing are without the GIL;
- nobody's file descriptor is closed here, and no file position is moved;
- a thread ends at the latest with the ``close`` or the call that owns it;
- a file that is shorter than promised is a StorageError, never a shorter hash.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from thunderdl.errors import StorageError
from thunderdl.formats import content_key
from thunderdl.formats.hashes import Hasher, new_hasher
from thunderdl.model import ContentKey, Digest, PieceHashes

BLOCK_BYTES = 1 << 20
"""One read: large enough that its cost is the copy, small enough for the second-level cache."""
CHECKPOINT_BYTES = 64 << 20
CHECKPOINTS_KEPT = 256
THREADS = min(2, os.cpu_count() or 1)


class _Reader:
    """One buffer, filled from a file again and again; for one thread at a time."""

    def __init__(self, path: str, capacity: int = BLOCK_BYTES) -> None:
        self._path = path
        self._view = memoryview(bytearray(capacity))

    def read(self, fd: int, start: int, end: int) -> memoryview:
        """The bytes ``[start, end)``, valid until the next read; StorageError where they are not there."""
        view = self._view[: end - start]
        filled = 0
        while filled < len(view):
            try:
                count = os.preadv(fd, [view[filled:]], start + filled)
            except OSError as error:
                raise StorageError(self._path, f"cannot be read back: {error.strerror}") from error
            if not count:
                raise StorageError(self._path, f"ends at byte {start + filled}; another program shortened it")
            filled += count
        return view

    def blocks(self, fd: int, start: int, end: int) -> Iterator[memoryview]:
        for at in range(start, end, len(self._view)):
            yield self.read(fd, at, min(at + len(self._view), end))


class PrefixHasher:
    """The digest of a whole file, computed behind the writes over its finished prefix.

    ``fd``: open for reading until :meth:`close`; ``algorithm`` as for :func:`new_hasher`; ``path`` for messages.
    One thread, started by the first :meth:`advance`. It keeps copies of the hash every 64 MiB (further apart
    in a large file), so that a piece that turns out wrong costs a re-read from there and not from the start.
    """

    def __init__(self, fd: int, algorithm: str, path: str = "") -> None:
        self._fd, self._algorithm, self._path = fd, algorithm, path
        self._hash = new_hasher(algorithm)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._prefix_end = 0
        self._hashed = 0
        self._claimed = 0  # end of the block being read: _hashed, or one block more
        self._epoch = 0  # raised by reset: a block claimed before it does not count
        self._closed = False
        self._failure: StorageError | None = None
        self._size: int | None = None
        self._waiter: Future[Digest] | None = None
        self._checkpoint_step = CHECKPOINT_BYTES
        self._checkpoints: list[tuple[int, Hasher]] = []

    @property
    def hashed_bytes(self) -> int:
        """How much of the prefix is in the hash."""
        return self._hashed

    def advance(self, prefix_end: int) -> None:
        """Tell that ``[0, prefix_end)`` is written and good. Returns at once; a smaller end changes nothing."""
        with self._changed:
            if prefix_end > self._prefix_end and not self._closed:
                self._prefix_end = prefix_end
                self._wake()

    def reset(self, changed_start: int = 0) -> None:
        """Tell that bytes from ``changed_start`` on will be replaced: the good prefix ends there.

        What was hashed beyond it is dropped, and so is a failure to read. :meth:`advance` goes on from there.
        """
        with self._changed:
            self._prefix_end = min(self._prefix_end, changed_start)
            self._failure = None
            if changed_start < self._claimed:
                self._epoch += 1
                self._rewind(changed_start)

    async def finish(self, size: int) -> Digest:
        """The digest of ``[0, size)``, which must all be written; StorageError where it cannot be read.

        After a :meth:`reset` it waits until :meth:`advance` reaches the size again. ValueError when closed, or
        where more than ``size`` was told to be written; cancelled by :meth:`close`.
        """
        with self._changed:
            if self._closed or size < self._prefix_end:
                raise ValueError("the hasher is closed" if self._closed else f"the prefix is longer than {size}")
            self._size = self._prefix_end = size
            waiter = self._waiter = Future()
            self._wake()
        return await asyncio.wrap_future(waiter)

    def close(self) -> None:
        """End the thread, at the latest after the block in hand; a waiting :meth:`finish` is cancelled."""
        with self._changed:
            self._closed = True
            waiter, self._waiter = self._waiter, None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if waiter is not None:
            waiter.cancel()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="thunderdl-hash", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        reader = _Reader(self._path)
        while (claim := self._claim()) is not None:
            start, end, epoch, hasher = claim
            failure = None
            try:
                hasher.update(reader.read(self._fd, start, end))
            except StorageError as error:
                failure = error
            self._settle(end, epoch, failure)

    def _claim(self) -> tuple[int, int, int, Hasher] | None:
        """Wait for a block to hash; None when closed."""
        with self._changed:
            while not self._closed:
                self._answer()
                end = min(self._hashed + BLOCK_BYTES, self._prefix_end)
                if end > self._hashed and self._failure is None:
                    self._claimed = end
                    return self._hashed, end, self._epoch, self._hash
                self._changed.wait()
            return None

    def _settle(self, end: int, epoch: int, failure: StorageError | None) -> None:
        with self._changed:
            if epoch != self._epoch:
                return
            if failure is not None:
                self._failure = failure
                self._claimed = self._hashed
                return
            self._hashed = end
            if end % self._checkpoint_step == 0:
                self._keep_checkpoint(end)

    def _answer(self) -> None:
        waiter = self._waiter
        if waiter is None or (self._failure is None and self._hashed != self._size):
            return
        self._waiter = None
        if not waiter.set_running_or_notify_cancel():
            return
        if self._failure is not None:
            waiter.set_exception(self._failure)
        else:
            waiter.set_result(Digest(self._algorithm, self._hash.digest()))

    def _keep_checkpoint(self, end: int) -> None:
        self._checkpoints.append((end, self._hash.copy()))
        if len(self._checkpoints) >= CHECKPOINTS_KEPT:
            self._checkpoint_step *= 2
            self._checkpoints = [kept for kept in self._checkpoints if kept[0] % self._checkpoint_step == 0]

    def _rewind(self, changed_start: int) -> None:
        del self._checkpoints[bisect.bisect_right(self._checkpoints, changed_start, key=lambda kept: kept[0]) :]
        if self._checkpoints:
            self._hashed, hasher = self._checkpoints[-1]
            self._hash = hasher.copy()
        else:
            self._hashed, self._hash = 0, new_hasher(self._algorithm)
        self._claimed = self._hashed


class PieceVerifier:
    """Compares pieces of a file with given digests, in up to two threads.

    ``fd``: open for reading until :meth:`close`; ``size``: of the file in bytes; ``path`` for messages.
    """

    def __init__(self, fd: int, size: int, hashes: PieceHashes, path: str = "") -> None:
        self._fd, self._size, self._hashes, self._path = fd, size, hashes, path
        new_hasher(hashes.algorithm)
        self._pool = ThreadPoolExecutor(THREADS, "thunderdl-piece")
        self._own = threading.local()

    def submit(self, index: int, start: int, end: int) -> Future[bool]:
        """Whether ``[start, end)`` has the digest of piece ``index``; StorageError where it cannot be read."""
        return self._pool.submit(self._matches, index, start, end)

    async def check(self, index: int) -> bool:
        """Whether piece ``index`` is right as it lies on disk; StorageError where it cannot be read."""
        start = index * self._hashes.piece_length
        return await asyncio.wrap_future(self.submit(index, start, min(start + self._hashes.piece_length, self._size)))

    def close(self) -> None:
        """Drop what waits, wait for the pieces in hand, end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, index: int, start: int, end: int) -> bool:
        reader: _Reader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = _Reader(self._path)
        hasher = new_hasher(self._hashes.algorithm)
        for block in reader.blocks(self._fd, start, end):
            hasher.update(block)
        return hasher.digest() == self._hashes.digests[index]


class TreeHasher:
    """Gathers the granule roots that the movers computed, and hashes the missing ones at the end.

    ``leaves_per_granule``: power of two; a granule is that many 16 KiB leaves. Memory: 33 bytes a granule.
    The methods but :meth:`finish` may be called from any thread.
    """

    def __init__(self, leaves_per_granule: int = content_key.LEAVES_PER_GRANULE) -> None:
        self._leaves = leaves_per_granule
        self._lock = threading.Lock()
        self._roots = bytearray()
        self._known = bytearray()

    def offer(self, granule_index: int, root: bytes) -> None:
        """Take the root of a granule as ``content_key.granule_root`` made it; a later offer replaces it."""
        with self._lock:
            self._grow(granule_index + 1)
            self._roots[granule_index * 32 : granule_index * 32 + 32] = root
            self._known[granule_index] = 1

    def drop(self, granule_index: int) -> None:
        """Forget a granule whose bytes were replaced."""
        with self._lock:
            if granule_index < len(self._known):
                self._known[granule_index] = 0

    async def finish(self, fd: int, size: int, path: str = "") -> ContentKey:
        """The key of the file; reads only the granules that nobody offered. StorageError where it cannot."""
        count = content_key.granule_count(size, self._leaves)
        with self._lock:
            self._grow(count)
            missing = iter([index for index in range(count) if not self._known[index]])
        stop = threading.Event()
        pool = ThreadPoolExecutor(THREADS, "thunderdl-tree")
        try:
            work = [pool.submit(self._hash_granules, missing, stop, fd, size, path) for _ in range(THREADS)]
            await asyncio.gather(*map(asyncio.wrap_future, work))
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return content_key.content_key(size, bytes(self._roots[: count * 32]), self._leaves)

    def _grow(self, count: int) -> None:
        lacking = count - len(self._known)
        if lacking > 0:
            self._known.extend(bytes(lacking))
            self._roots.extend(bytes(32 * lacking))

    def _hash_granules(self, missing: Iterator[int], stop: threading.Event, fd: int, size: int, path: str) -> None:
        granule_bytes = self._leaves * content_key.LEAF_BYTES
        reader = _Reader(path, granule_bytes)
        # A list iterator hands out each index once, whichever thread asks.
        for index in missing:
            if stop.is_set():
                return
            start = index * granule_bytes
            leaves = content_key.leaf_digests(reader.read(fd, start, min(start + granule_bytes, size)))
            self.offer(index, content_key.granule_root(leaves, size, self._leaves))


def hash_file(path: str, algorithm: str, on_progress: Callable[[int, int], None] | None = None) -> Digest:
    """The digest of a whole file; blocks. ``on_progress``: called with bytes done and size after each MiB.

    StorageError where the file cannot be opened or read, ValueError for an algorithm that is not known.
    """
    hasher = new_hasher(algorithm)
    with _opened(path) as (fd, size):
        done = 0
        for block in _Reader(path).blocks(fd, 0, size):
            hasher.update(block)
            done += len(block)
            if on_progress is not None:
                on_progress(done, size)
    return Digest(algorithm, hasher.digest())


def piece_hashes_of(path: str, algorithm: str, piece_length: int) -> PieceHashes:
    """The digests of a file's pieces; blocks. Errors as :func:`hash_file`, ValueError also for no piece length."""
    if piece_length < 1:
        raise ValueError(f"pieces of {piece_length} bytes")
    digests = []
    with _opened(path) as (fd, size):
        reader = _Reader(path)
        for start in range(0, size, piece_length):
            hasher = new_hasher(algorithm)
            for block in reader.blocks(fd, start, min(start + piece_length, size)):
                hasher.update(block)
            digests.append(hasher.digest())
    return PieceHashes(algorithm=algorithm, piece_length=piece_length, digests=tuple(digests))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[int, int]]:
    """A file open for reading: its descriptor and size."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115  (and unlike os.open it refuses a folder)
    except OSError as error:
        raise StorageError(path, f"cannot be opened: {error.strerror}") from error
    with file:
        yield file.fileno(), os.fstat(file.fileno()).st_size
