from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thunderdl.errors import DiskFull, StorageError, TargetExists, TargetLocked
from thunderdl.options import Exists
from thunderdl.storage import files
from thunderdl.storage.files import (
    PartFile,
    ensure_folder,
    free_space,
    part_path,
    storage_fault,
    sync_folder,
    write_small,
)

KEEPING = [Exists.REFUSE, Exists.SKIP]


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(tmp_path / "name.bin")


@pytest.fixture
def part(target: str) -> Iterator[PartFile]:
    opened = PartFile.open(target)
    os.pwrite(opened.fd, b"new bytes", 0)
    yield opened
    opened.close()


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def listing(target: str) -> set[str]:
    return set(os.listdir(os.path.dirname(target)))


def test_the_final_name_appears_by_commit_alone(part: PartFile, target: str) -> None:
    assert listing(target) == {"name.bin.part"}
    assert part.commit(Exists.REFUSE) == target
    assert listing(target) == {"name.bin"}
    assert Path(target).read_bytes() == b"new bytes"


def test_a_part_file_is_found_again(part: PartFile, target: str) -> None:
    assert part.found_bytes == 0
    part.resize(5000)
    part.close()
    again = PartFile.open(target)
    assert again.found_bytes == 5000
    again.discard()
    assert listing(target) == set()


def test_permissions_are_those_of_the_users_umask(part: PartFile, target: str) -> None:
    umask = os.umask(0)
    os.umask(umask)
    part.commit(Exists.REFUSE)
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("exists", KEEPING)
def test_a_file_that_appeared_meanwhile_is_kept(part: PartFile, target: str, exists: Exists) -> None:
    Path(target).write_bytes(b"somebody's")
    with pytest.raises(TargetExists):
        part.commit(exists)
    assert Path(target).read_bytes() == b"somebody's"
    assert Path(part.path).read_bytes() == b"new bytes"
    assert part.commit(Exists.OVERWRITE) == target
    assert Path(target).read_bytes() == b"new bytes"


@pytest.mark.parametrize("exists", KEEPING)
def test_even_a_dangling_link_has_the_name(part: PartFile, target: str, tmp_path: Path, exists: Exists) -> None:
    os.symlink(tmp_path / "elsewhere", target)
    with pytest.raises(TargetExists):
        part.commit(exists)
    assert not (tmp_path / "elsewhere").exists()


def test_overwriting_a_link_replaces_the_link_and_not_what_it_leads_to(part: PartFile, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    os.symlink(tmp_path / "precious", part.target)
    part.commit(Exists.OVERWRITE)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert Path(part.target).read_bytes() == b"new bytes"
    assert not os.path.islink(part.target)


def test_renaming_takes_a_free_name_beside_it(part: PartFile, target: str) -> None:
    Path(target).write_bytes(b"somebody's")
    final = part.commit(Exists.RENAME)
    assert final != target
    assert Path(final).read_bytes() == b"new bytes"
    assert Path(target).read_bytes() == b"somebody's"


def test_overwriting_gives_no_more_permissions_than_there_were(part: PartFile, target: str) -> None:
    Path(target).write_bytes(b"secret")
    os.chmod(target, 0o700)
    part.commit(Exists.OVERWRITE)
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600


def test_a_folder_of_the_name_is_not_overwritten(part: PartFile, target: str) -> None:
    os.mkdir(target)
    with pytest.raises(StorageError, match="folder"):
        part.commit(Exists.OVERWRITE)
    assert os.path.isdir(target)
    assert os.path.exists(part.path)


@pytest.mark.parametrize("exists", list(Exists))
def test_without_hard_links_nothing_is_overwritten_either(
    part: PartFile, target: str, exists: Exists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", failing(errno.EPERM))
    Path(target).write_bytes(b"somebody's")
    if exists in KEEPING:
        with pytest.raises(TargetExists):
            part.commit(exists)
        os.unlink(target)
    final = part.commit(exists)
    assert Path(final).read_bytes() == b"new bytes"
    assert not os.path.exists(part.path)


def test_a_second_opening_is_told_who_has_it(part: PartFile, target: str) -> None:
    with pytest.raises(TargetLocked, match="process is at work on it; wait for it, or stop it") as caught:
        PartFile.open(target)
    assert caught.value.exit_code == 11
    with pytest.raises(TargetLocked):
        write_small(target, b"other", Exists.OVERWRITE)
    assert Path(part.path).read_bytes() == b"new bytes"


def test_a_second_process_is_told_which_one_has_it(part: PartFile, target: str) -> None:
    script = (
        "import sys; from thunderdl.storage.files import PartFile\n"
        "try: PartFile.open(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    run = [sys.executable, "-c", script, target]
    said = subprocess.run(run, capture_output=True, text=True, timeout=20, check=True).stdout
    assert said.startswith("TargetLocked ")
    assert f"process {os.getpid()} is" in said or "another process is" in said
    part.close()
    assert subprocess.run(run, capture_output=True, text=True, timeout=20, check=True).stdout == ""


def test_the_holder_without_proc_is_another_process(part: PartFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", failing(errno.ENOENT))
    with pytest.raises(TargetLocked, match="another process"):
        PartFile.open(part.target)


def test_where_there_are_no_locks_it_goes_on_without(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", failing(errno.ENOLCK))
    part = PartFile.open(target)
    assert part.commit(Exists.REFUSE) == target


def test_a_file_renamed_between_open_and_lock_is_not_taken(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = files.lock

    def finished_by_another_just_before(path: str, fd: int) -> None:
        monkeypatch.setattr(files, "lock", lock)
        os.rename(path, target)
        lock(path, fd)

    monkeypatch.setattr(files, "lock", finished_by_another_just_before)
    part = PartFile.open(target)
    os.pwrite(part.fd, b"x", 0)
    assert Path(target).read_bytes() == b""
    part.close()


def test_a_name_that_is_always_replaced_is_given_up(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "has_name", lambda *_: False)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(StorageError, match="all the time"):
        PartFile.open(target)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: os.symlink("/etc/passwd", path), "symbolic link"),
        (os.mkfifo, "no regular file"),
        (os.mkdir, "folder"),
    ],
)
def test_only_a_regular_file_is_opened(target: str, make: Callable[[str], None], said: str) -> None:
    make(part_path(target))
    before = len(os.listdir("/dev/fd"))
    for attempt in (lambda: PartFile.open(target), lambda: write_small(target, b"x", Exists.OVERWRITE)):
        with pytest.raises(StorageError, match=said):
            attempt()
    assert len(os.listdir("/dev/fd")) == before


def test_what_is_no_file_is_not_replaced(target: str) -> None:
    os.mkfifo(target)
    part = PartFile.open(target)
    with pytest.raises(StorageError, match="no regular file"):
        part.commit(Exists.OVERWRITE)
    part.discard()
    with pytest.raises(StorageError, match="no regular file"):
        write_small(target, b"x", Exists.OVERWRITE)
    assert stat.S_ISFIFO(os.lstat(target).st_mode)
    assert os.listdir(os.path.dirname(target)) == [os.path.basename(target)]


def test_another_files_second_name_is_not_written_to(target: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"victim")
    os.link(tmp_path / "victim", part_path(target))
    with pytest.raises(StorageError, match="hard link"):
        write_small(target, b"x", Exists.OVERWRITE)
    assert (tmp_path / "victim").read_bytes() == b"victim"


def test_a_crash_between_link_and_unlink_leaves_the_finished_file_alone(target: str) -> None:
    Path(target).write_bytes(b"finished")
    os.link(target, part_path(target))
    part = PartFile.open(target)
    assert part.found_bytes == 0
    os.pwrite(part.fd, b"other", 0)
    part.discard()
    assert Path(target).read_bytes() == b"finished"


def test_what_took_the_part_files_place_is_neither_published_nor_removed(part: PartFile) -> None:
    os.unlink(part.path)
    Path(part.path).write_bytes(b"foreign")
    with pytest.raises(StorageError, match="in its place"):
        part.commit(Exists.OVERWRITE)
    part.discard()
    assert Path(part.path).read_bytes() == b"foreign"
    assert not os.path.exists(part.target)


def test_discarding_removes_only_the_part_file(part: PartFile, target: str) -> None:
    Path(target).write_bytes(b"original")
    part.discard()
    part.discard()
    assert listing(target) == {"name.bin"}


def test_after_a_failed_sync_nothing_goes_on_before_the_loss_is_known(
    part: PartFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_data", failing(errno.EIO))
        with pytest.raises(StorageError, match="disk reports an error"):
            part.sync()
    assert part.sync_failed
    for attempt in (part.sync, lambda: part.commit(Exists.REFUSE)):
        with pytest.raises(StorageError, match="lost"):
            attempt()
    assert "sync failed" in repr(part)
    assert not os.path.exists(part.target)
    part.acknowledge_loss()
    assert part.commit(Exists.REFUSE) == part.target


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE])
@pytest.mark.parametrize("call", ["write", "link", "fdatasync", "open"])
def test_a_small_file_that_fails_leaves_nothing(
    target: str, code: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, call):
        pytest.skip(f"no {call} here")
    before = len(os.listdir("/dev/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        with pytest.raises(StorageError) as caught:
            write_small(target, b"x", Exists.REFUSE)
    assert isinstance(caught.value, DiskFull) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert listing(target) == set()
    assert len(os.listdir("/dev/fd")) == before


def test_a_small_file_is_written_whole_though_the_system_writes_less(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda fd, data: write(fd, data[:3]))
    assert write_small(target, b"0123456789", Exists.REFUSE) == target
    assert Path(target).read_bytes() == b"0123456789"


def test_a_small_file_over_a_part_file_that_a_crash_left(target: str) -> None:
    Path(part_path(target)).write_bytes(b"longer than what comes now")
    assert write_small(target, b"short", Exists.REFUSE) == target
    assert listing(target) == {"name.bin"}
    assert Path(target).read_bytes() == b"short"


@pytest.mark.parametrize("exists", list(Exists))
def test_a_small_file_keeps_to_the_policy(target: str, exists: Exists) -> None:
    Path(target).write_bytes(b"old")
    if exists in KEEPING:
        with pytest.raises(TargetExists):
            write_small(target, b"new", exists)
        assert listing(target) == {"name.bin"}
        return
    final = write_small(target, b"new", exists)
    assert Path(final).read_bytes() == b"new"
    assert (final == target) == (exists is Exists.OVERWRITE)


def test_an_empty_small_file(target: str) -> None:
    assert write_small(target, b"", Exists.REFUSE) == target
    assert os.path.getsize(target) == 0


@pytest.mark.parametrize("code", sorted(files._REASONS))
def test_every_fault_that_is_known_says_what_to_do(code: int) -> None:
    fault = storage_fault("/d/f", OSError(code, "raw words of the system"))
    assert fault.advice
    assert str(fault) == f"/d/f: {fault.reason}; {fault.advice}."


def test_a_fault_that_is_not_known_says_what_the_system_said() -> None:
    assert str(storage_fault("f", OSError(errno.EXDEV, "x"))) == f"f: {os.strerror(errno.EXDEV).lower()}."
    assert str(storage_fault("f", OSError("odd"))) == "f: odd."


def test_names_that_are_too_long(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="too long"):
        PartFile.open(str(tmp_path / ("x" * 253)))


def test_folders_are_made_where_they_can_be(tmp_path: Path) -> None:
    ensure_folder(str(tmp_path / "a" / "b"))
    ensure_folder(str(tmp_path / "a" / "b"))
    ensure_folder("")
    (tmp_path / "file").touch()
    for path in ("file", "file/below"):
        with pytest.raises(StorageError, match="a file, not a folder"):
            ensure_folder(str(tmp_path / path))


def test_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync_folder(str(tmp_path))
    sync_folder("")
    with pytest.raises(StorageError, match="gone"):
        sync_folder(str(tmp_path / "absent"))
    monkeypatch.setattr("os.fsync", failing(errno.EINVAL))
    sync_folder(str(tmp_path))
    monkeypatch.setattr("os.fsync", failing(errno.EIO))
    with pytest.raises(StorageError, match="disk reports"):
        sync_folder(str(tmp_path))


def test_free_space_is_counted_in_bytes(tmp_path: Path) -> None:
    assert free_space(str(tmp_path)) > 0
    with pytest.raises(StorageError):
        free_space(str(tmp_path / "absent"))


def test_a_small_file_that_another_thread_has_locked_first_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    target, lock, late = str(tmp_path / "f"), files.lock, [True]

    def slow(path: str, fd: int) -> None:
        if late and late.pop():
            assert write_small(target, b"theirs", Exists.RENAME) == target
        lock(path, fd)

    monkeypatch.setattr(files, "lock", slow)
    assert write_small(target, b"ours", Exists.RENAME) == str(tmp_path / "f (1)")
    assert (tmp_path / "f").read_bytes() == b"theirs"
    assert (tmp_path / "f (1)").read_bytes() == b"ours"
    assert sorted(os.listdir(tmp_path)) == ["f", "f (1)"]


@pytest.mark.parametrize("exists", [Exists.REFUSE, Exists.RENAME])
def test_the_journal_is_dropped_before_the_name_of_the_part_is_free(tmp_path: Path, exists: Exists) -> None:
    part = PartFile.open(str(tmp_path / "f"))
    seen: list[list[str]] = []
    part.commit(exists, drop_journal=lambda: seen.append(sorted(os.listdir(tmp_path))))
    assert seen == [["f", "f.part"]]
    assert os.listdir(tmp_path) == ["f"]
