"""A part that another program is writing is not ours to take; what nobody writes any more is."""

from __future__ import annotations

import fcntl
import signal
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch, names
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import TargetLocked
from thunderdl.model import Status
from thunderdl.options import Exists
from thunderdl.storage.files import JOURNAL_SUFFIX, PartFile
from thunderdl.storage.writers import is_written_elsewhere

THEIRS = b"what a browser has brought so far"
leases = pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="no leases on this system")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "f.part"
    path.write_bytes(THEIRS)
    return path


@leases
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_what_a_browser_is_bringing_is_left_to_it(part: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = Resource(body=bytes(size))
    with part.open("r+b"):
        failed(fetch(server.url("/f"), part.parent), TargetLocked, 11, "another program is writing it", "--out")
        assert part.read_bytes() == THEIRS
        assert names(part.parent) == ["f.part"]
        # Where another name will do there is one.
        result = fetch(server.url("/f"), part.parent, exists=Exists.RENAME)
        assert result.status is Status.COMPLETE, result.error
        assert (names(part.parent), part.read_bytes()) == (["f (1)", "f.part"], THEIRS)
    # Nobody goes on with it.
    result = fetch(server.url("/f"), part.parent)
    assert content_of(result) == bytes(size)
    assert names(part.parent) == ["f", "f (1)"]


@leases
def test_only_who_writes_without_our_lock_is_somebody_else(part: Path) -> None:
    with part.open("rb"):
        assert not is_written_elsewhere(str(part))
    with part.open("r+b") as stream:
        assert is_written_elsewhere(str(part))
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert not is_written_elsewhere(str(part))
    assert not is_written_elsewhere(str(part))
    assert not is_written_elsewhere(str(part.parent))
    assert not is_written_elsewhere(f"{part}.absent")


@leases
def test_who_opens_it_meanwhile_ends_nobody(part: Path) -> None:
    """A broken lease is told by SIGIO, which by itself ends a program."""
    with part.open("rb") as stream:
        asked = []
        real = fcntl.fcntl

        def noted(fd: int, command: int, argument: int = 0) -> int:
            asked.append((command, argument))
            return real(fd, command, argument)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fcntl, "fcntl", noted)
            assert not is_written_elsewhere(stream.name)
    assert asked == [(fcntl.F_SETSIG, signal.SIGURG), (fcntl.F_SETLEASE, fcntl.F_RDLCK)]


def test_what_has_a_journal_is_gone_on_with_whoever_looks_at_it(part: Path) -> None:
    Path(f"{part}{JOURNAL_SUFFIX}").write_bytes(b"")
    with part.open("r+b"):
        PartFile.open(str(part).removesuffix(".part")).close()


def test_without_leases_it_is_taken_as_before(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_SETLEASE", raising=False)
    with part.open("r+b"):
        assert not is_written_elsewhere(str(part))
        PartFile.open(str(part).removesuffix(".part")).close()
