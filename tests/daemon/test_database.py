"""The queue's database: newer, damaged, foreign ones; what is answered is on the disk; one bad write fails alone."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.daemon.runs import running
from thunderdl.daemon import database as module
from thunderdl.daemon.database import APPLICATION_ID, MIGRATIONS, Database, Statement
from thunderdl.daemon.jobs import State, Wish
from thunderdl.errors import StorageError, UsageError

INSERT = "INSERT INTO setting (name, value) VALUES (?, ?)"


def opened(path: Path) -> Database:
    """Open and close it."""

    async def run() -> Database:
        database = Database(str(path))
        await database.open()
        await database.close()
        return database

    return asyncio.run(run())


def filled(folder: Path, count: int) -> Path:
    """A queue with ``count`` paused tasks; its database."""

    async def run() -> None:
        async with running(folder) as queue:
            await queue.add([Wish(urls=(f"http://h/{number:04}/{'x' * 200}",)) for number in range(count)], paused=True)

    asyncio.run(run())
    return folder / "state" / "queue.sqlite"


def left(folder: Path) -> tuple[int, list[str]]:
    """Tasks that are there, and what the user is told."""

    async def run() -> tuple[int, list[str]]:
        async with running(folder) as queue:
            assert all(job.state is State.PAUSED for job in queue.waiting())
            return len(queue.waiting()), queue.store.notes

    return asyncio.run(run())


def test_it_is_nobody_elses_to_read(tmp_path: Path) -> None:
    opened(tmp_path / "q")
    assert os.stat(tmp_path / "q").st_mode & 0o777 == 0o600


def test_one_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            f"CREATE TABLE later (x); PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={len(MIGRATIONS) + 1}"
        )
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"newer thunderdl.*upgrade"):
        opened(path)
    assert path.read_bytes() == before


def test_another_programs_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program's"):
        opened(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("rubbish", [b"\0" * 8192, b"not a database" * 1000], ids=["zeros", "text"])
def test_what_is_no_database_is_set_aside_and_never_overwritten(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "state" / "queue.sqlite"
    path.parent.mkdir()
    path.write_bytes(rubbish)
    count, notes = left(tmp_path)
    assert count == 0
    assert len(notes) == 1
    assert "was damaged" in notes[0]
    (aside,) = path.parent.glob("queue.sqlite.damaged-*")
    assert aside.read_bytes() == rubbish


def test_of_a_damaged_one_what_can_be_read_goes_on(tmp_path: Path) -> None:
    path = filled(tmp_path, 400)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    count, notes = left(tmp_path)
    assert 200 < count < 400
    assert f"the {count} tasks that could be read" in notes[0]
    assert bytes(data) in [each.read_bytes() for each in path.parent.glob("queue.sqlite.damaged-*")]
    # And from then on it is whole.
    assert left(tmp_path) == (count, [])


def test_a_row_that_makes_no_task_costs_that_task_alone(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE job SET wish = '[[[' WHERE gid = (SELECT gid FROM job LIMIT 1)")
    count, notes = left(tmp_path)
    assert count == 2
    assert "cannot be read and is left out" in notes[0]


def test_a_text_that_is_none_costs_no_other_task(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE job SET wish = CAST(x'ff' || wish AS TEXT) WHERE gid = (SELECT gid FROM job LIMIT 1)"
        )
    count, notes = left(tmp_path)
    assert count == 2
    assert "cannot be read and is left out" in notes[0]


@pytest.mark.parametrize("how", ["version", "schema"])
def test_one_whose_head_is_damaged_is_set_aside(tmp_path: Path, how: str) -> None:
    path = filled(tmp_path, 3)
    data = path.read_bytes()
    if how == "version":
        # PRAGMA user_version: sqlite.org/fileformat2.html, section 1.3.
        path.write_bytes(data[:60] + bytes(4) + data[64:])
    else:
        path.write_bytes(
            data.replace(b"tablejobjob", b"tablej\x9b\xffjob").replace(b"CREATE TABLE job", b"CREATE TABLX job")
        )
    _, notes = left(tmp_path)
    assert "was damaged" in notes[0]
    assert len(list(path.parent.glob("queue.sqlite.damaged-*"))) == 1


@pytest.mark.parametrize("told", ["[[[", "[]", "null", "{}", '{"device": 1}', "7"])
@pytest.mark.parametrize("column", ["claim", "outcome"])
def test_a_bad_claim_or_outcome_costs_no_task(tmp_path: Path, column: str, told: str) -> None:
    path = filled(tmp_path, 2)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE job SET {column} = ?", (told,))
    assert left(tmp_path) == (2, [])


def test_one_bad_write_among_those_of_a_commit_fails_alone(tmp_path: Path) -> None:
    async def run() -> None:
        database = Database(str(tmp_path / "q"))
        writes = [
            database.write(Statement(INSERT, [(name, value)])) for name, value in [("a", "1"), ("b", None), ("c", "3")]
        ]
        await database.open()
        answers = await asyncio.gather(*map(asyncio.wrap_future, writes), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), StorageError, type(None)]
        rows = await asyncio.wrap_future(database.read("SELECT name FROM setting ORDER BY name"))
        assert rows == [("a",), ("c",)]
        await database.close()

    asyncio.run(run())


def test_many_writes_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    committed = module._committed

    def counted(connection: sqlite3.Connection, works: Sequence[module._Work]) -> list[object]:
        commits.append(len(works))
        return committed(connection, works)

    monkeypatch.setattr(module, "_committed", counted)

    async def run() -> None:
        database = Database(str(tmp_path / "q"))
        writes = [database.write(Statement(INSERT, [(str(number), "")])) for number in range(500)]
        await database.open()
        await asyncio.gather(*map(asyncio.wrap_future, writes))
        await database.close()

    asyncio.run(run())
    assert commits == [500]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("makedirs", ": the file system is read-only; choose another folder with --state."),
        ("chmod", "/state/queue.sqlite: read-only file system; see that the disk has room and is writable."),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, told: str
) -> None:
    def read_only(path: str, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    filled(tmp_path, 1)
    monkeypatch.setattr(os, call, read_only)
    with pytest.raises(StorageError) as caught:
        left(tmp_path)
    assert str(caught.value) == f"{tmp_path}{told}"
