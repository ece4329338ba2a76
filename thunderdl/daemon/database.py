"""The queue on the disk: SQLite, written by one thread, in group commits.

Invariants:
1. What :meth:`Database.write` has answered is on the disk (WAL with synchronous=FULL: sqlite.org/pragma.html).
2. Writes are carried out in the order in which they were given; those that wait together share one commit.
3. A database of a newer version, or of another program, is refused and left as it is; a damaged one is set aside
   under another name, never overwritten, and what could be read of it goes on in a new one.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from thunderdl.errors import StorageError, UsageError, printable

T = TypeVar("T")
# "tDLq": PRAGMA application_id, so that no other program's database is taken for a queue.
APPLICATION_ID = 0x74444C71
# One script for each version, in order; never changed once released, only added to.
MIGRATIONS = (
    """
    CREATE TABLE job (
        gid TEXT PRIMARY KEY, state TEXT NOT NULL, rank REAL NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
        added_at REAL NOT NULL, began_at REAL, ended_at REAL, wish TEXT NOT NULL, outcome TEXT, claim TEXT
    ) WITHOUT ROWID;
    CREATE INDEX job_by_end ON job (ended_at) WHERE ended_at IS NOT NULL;
    CREATE INDEX job_by_state ON job (state) WHERE ended_at IS NULL;
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    "ALTER TABLE job ADD COLUMN whole TEXT;",
)
# So many writes share a commit at most: nobody waits long for those that came after it.
MOST_TOGETHER = 1000
_COPY_ROWS = 1000


class Statement(NamedTuple):
    """SQL and the rows that it is carried out with."""

    sql: str
    rows: Sequence[Sequence[object]]


class _Work(NamedTuple):
    do: Callable[[sqlite3.Connection], Any]
    done: Future[Any]


class Database:
    """All of it happens in one thread of its own, and the loop never waits for a disk."""

    def __init__(self, path: str) -> None:
        self.path = path
        # What the user should know of how it was opened.
        self.notes: list[str] = []
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="thunderdl-queue", daemon=True)
        self._ready: Future[None] = Future()

    async def open(self) -> None:
        """Open or make it. Raises UsageError for a newer version or another program's, StorageError."""
        self._thread.start()
        await asyncio.wrap_future(self._ready)

    def write(self, *statements: Statement) -> Future[None]:
        """Carry them out in one transaction; done once they are on the disk. Fails with StorageError."""

        def do(connection: sqlite3.Connection) -> None:
            for sql, rows in statements:
                connection.executemany(sql, rows)

        return self._add(do)

    def read(self, sql: str, *values: object) -> Future[list[tuple[Any, ...]]]:
        """The rows of a query, which sees every write that was given before it. Fails with StorageError."""
        return self.read_each(lambda row: row, sql, *values)

    def read_each(self, make: Callable[[tuple[Any, ...]], T], sql: str, *values: object) -> Future[list[T]]:
        """What ``make`` makes of each row, in the database's thread: rows and tasks of 100,000 are never held both."""
        return self._add(lambda connection: [make(row) for row in connection.execute(sql, values)])

    async def close(self) -> None:
        """Finish what was given, and close it."""
        self._works.put(None)
        await asyncio.to_thread(self._thread.join)

    def _add(self, do: Callable[[sqlite3.Connection], T]) -> Future[T]:
        done: Future[T] = Future()
        # From now on nobody can cancel it: who does not wait for it any more must not keep the thread from answering.
        done.set_running_or_notify_cancel()
        self._works.put(_Work(do, done))
        return done

    # -- in the thread

    def _run(self) -> None:
        try:
            connection = self._opened()
        except Exception as error:
            self._ready.set_exception(_fault(self.path, error))
            return
        self._ready.set_result(None)
        try:
            while works := self._next():
                self._carry_out(connection, works)
        finally:
            connection.close()

    def _next(self) -> list[_Work]:
        """All that waits, as far as it shares a commit; empty once it is to be closed."""
        works: list[_Work] = []
        work = self._works.get()
        while work is not None:
            works.append(work)
            if len(works) == MOST_TOGETHER:
                return works
            try:
                work = self._works.get_nowait()
            except queue.Empty:
                return works
        if works:
            self._works.put(None)
        return works

    def _carry_out(self, connection: sqlite3.Connection, works: Sequence[_Work]) -> None:
        """All in one transaction; where that fails each in its own, so that one bad write fails alone."""
        try:
            answers = _committed(connection, works)
        except Exception as error:
            if len(works) > 1:
                for work in works:
                    self._carry_out(connection, [work])
            else:
                works[0].done.set_exception(_fault(self.path, error))
            return
        for work, answer in zip(works, answers, strict=True):
            work.done.set_result(answer)

    def _opened(self) -> sqlite3.Connection:
        try:
            return _connected(self.path)
        except sqlite3.OperationalError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            aside = f"{self.path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
            return self._recovered(aside, error)

    def _recovered(self, aside: str, error: Exception) -> sqlite3.Connection:
        """Set a damaged database aside, and go on with what can be read of it."""
        for suffix in ("-wal", "-shm", ""):
            # The write-ahead log first: a crash between them leaves a database that is damaged still, not a lost one.
            if os.path.lexists(self.path + suffix):
                os.rename(self.path + suffix, aside + suffix)
        fresh = _connected(self.path)
        saved = 0
        for table, rows in _salvaged(aside):
            fresh.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
            saved += len(rows) * (table == "job")
        fresh.commit()
        self.notes.append(
            f"{printable(self.path)} was damaged ({error}); it is set aside as {printable(os.path.basename(aside))}, "
            f"and the {saved} tasks that could be read of it go on."
        )
        return fresh


def _connected(path: str) -> sqlite3.Connection:
    """Open, check, migrate. Raises sqlite3.DatabaseError for a damaged one, UsageError for one that is not ours."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        os.chmod(path, 0o600)
        _check_whose(connection, path)
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise sqlite3.DatabaseError(str(found[0]).splitlines()[0])
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_whose(connection: sqlite3.Connection, path: str) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    if owner != APPLICATION_ID and not (is_empty and owner == 0):
        raise UsageError(f"{printable(path)} is another program's database; choose another folder with --state.")
    if not is_empty and version == 0:
        raise sqlite3.DatabaseError("its version is gone")
    if version > len(MIGRATIONS):
        raise UsageError(
            f"{printable(path)} was written by a newer thunderdl (its version is {version}, this one reads up to "
            f"{len(MIGRATIONS)}); upgrade thunderdl, or choose another folder with --state."
        )


def _migrate(connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
        connection.executescript(f"BEGIN EXCLUSIVE; {script} {marks} COMMIT;")


def _committed(connection: sqlite3.Connection, works: Sequence[_Work]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        answers = [work.do(connection) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return answers


def _salvaged(path: str) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """The rows that can still be read, by table, some at a time."""
    for table in ("setting", "job"):
        for order in ("ASC", "DESC"):
            # From both ends: a page that cannot be read stops a scan.
            yield from ((table, rows) for rows in _readable(path, table, order))


def _readable(path: str, table: str, order: str) -> Iterator[list[tuple[Any, ...]]]:
    key = "gid" if table == "job" else "name"
    connection = sqlite3.connect(path)
    connection.text_factory = _text
    rows: list[tuple[Any, ...]] = []
    try:
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY {key} {order}"):
            rows.append(row)
            if len(rows) == _COPY_ROWS:
                yield rows
                rows = []
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        # What was read so far is what there is.
        pass
    finally:
        connection.close()
    if rows:
        yield rows


def _text(stored: bytes) -> str:
    """One damaged text costs one task, not the whole query."""
    return stored.decode(errors="replace")


def _fault(path: str, error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error | OSError):
        # Of the system's its path is no part: it is told already.
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        return StorageError(path, reason or type(error).__name__, "see that the disk has room and is writable")
    return error
