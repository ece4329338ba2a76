"""Promise 5 through the command line: whatever a journal says, the file is right or the program says why not."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers import misbehave
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.cli.app import main
from thunderdl.formats.fast_digest import fast_hasher
from thunderdl.formats.sidecars import checksum_candidates
from thunderdl.storage.journal import current_boot_id
from thunderdl.storage.records import (
    MAX_OFFSET,
    Barrier,
    Filled,
    Header,
    Kept,
    PieceFacts,
    Record,
    Sources,
    Verified,
    encode,
    opening,
)

SIZE, HALF, STEP = 600_000, 300_000, 50_000
TRUTH = random.Random(5).randbytes(SIZE)
TAG, DATE = '"v1"', "Mon, 01 Jan 2024 00:00:00 GMT"


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")


@pytest.fixture
def url(server: LoopbackServer) -> str:
    server.resources["/f"] = Resource(body=TRUTH, etag=TAG, last_modified=DATE)
    return server.url("/f")


def header(url: str) -> Header:
    return Header(url=url, name="f", size=SIZE, etag=TAG, last_modified=DATE, boot_id=current_boot_id())


def filled(start: int, end: int, content: bytes = TRUTH) -> Filled:
    hasher = fast_hasher()
    hasher.update(content[start:end])
    return Filled(start, end, hasher.digest())


def halves() -> list[Record]:
    return [filled(at, at + STEP) for at in range(0, HALF, STEP)]


def image(head: Header, records: Sequence[Record]) -> bytes:
    start, checksum = opening(head)
    return start + encode(records, checksum)[0]


def leave(folder: Path, journal: bytes, part: bytes | None = None) -> None:
    """What an earlier run left: half of the file, and this journal."""
    folder.mkdir(exist_ok=True)
    (folder / "f.part").write_bytes(TRUTH[:HALF] + bytes(SIZE - HALF) if part is None else part)
    (folder / "f.part.journal").write_bytes(journal)


def gets(url: str, folder: Path, *options: str) -> int:
    return main(["get", url, "-d", str(folder), "--retries", "0", "--timeout", "5", *options])


def check_right(folder: Path, code: int) -> None:
    assert code == 0
    assert os.listdir(folder) == ["f"]
    assert (folder / "f").read_bytes() == TRUTH


def test_a_whole_journal_saves_what_is_there(tmp_path: Path, url: str, server: LoopbackServer) -> None:
    leave(tmp_path, image(header(url), halves()))
    check_right(tmp_path, gets(url, tmp_path))
    assert server.total_sent < SIZE


@pytest.mark.parametrize("seed", range(12))
def test_torn_anywhere(tmp_path: Path, url: str, seed: int) -> None:
    whole = image(header(url), [*halves(), Barrier()])
    leave(tmp_path, whole[: random.Random(seed).randrange(len(whole))])
    check_right(tmp_path, gets(url, tmp_path))


@pytest.mark.parametrize("seed", range(24))
def test_bits_turned_over(tmp_path: Path, url: str, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    whole = bytearray(image(header(url), [*halves(), Barrier(), Sources(((url, HALF),))]))
    for _ in range(chance.randint(1, 4)):
        whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    leave(tmp_path, bytes(whole))
    code = gets(url, tmp_path)
    if code != 0:
        # Magic or version: perhaps of somebody else, so it is left alone.
        assert code == 9
        assert whole[:8] != image(header(url), [])[:8]
        assert (tmp_path / "f.part.journal").read_bytes() == whole
        assert not (tmp_path / "f").exists()
        assert "Traceback" not in capsys.readouterr().err
    else:
        check_right(tmp_path, code)


HOSTILE: dict[str, Callable[[Header], tuple[Header, list[Record]]]] = {
    "paths": lambda head: (replace(head, name="../../../tmp/evil", url="file:///etc/passwd"), halves()),
    "mirrors": lambda head: (replace(head, mirrors=("http://127.0.0.1:9/f", "file:///etc/shadow")), halves()),
    "huge size": lambda head: (replace(head, size=MAX_OFFSET), [filled(0, STEP), Kept(HALF, MAX_OFFSET)]),
    "no size": lambda head: (replace(head, size=None), [filled(0, STEP), Kept(STEP, MAX_OFFSET)]),
    "size 0": lambda head: (replace(head, size=0), []),
    "small size": lambda head: (replace(head, size=STEP), [filled(0, STEP)]),
    "other version": lambda head: (replace(head, etag='"v0"'), [Kept(0, HALF)]),
    "huge granule": lambda head: (replace(head, granule_bytes=MAX_OFFSET, created=MAX_OFFSET), halves()),
    "much served": lambda head: (head, [*halves(), Sources((("http://\x1b[31m/", MAX_OFFSET),))]),
    "control bytes": lambda head: (replace(head, etag='"\x1b]0;x\x07"', name="\x00\n"), halves()),
    "other boot": lambda head: (replace(head, boot_id="another"), [*halves(), Barrier(MAX_OFFSET)]),
    "piece facts": lambda head: (
        replace(head, piece_hash=PieceFacts(algorithm="rot13", piece_length=MAX_OFFSET, digest="x")), halves(),
    ),
}  # fmt: skip


def path_of(url: str) -> str:
    return urlsplit(url).path


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_ones_are_data(
    tmp_path: Path, url: str, kind: str, capfd: pytest.CaptureFixture[str], server: LoopbackServer
) -> None:
    folder = tmp_path / "deep" / "down"
    folder.parent.mkdir()
    leave(folder, image(*HOSTILE[kind](header(url))))
    check_right(folder, gets(url, folder))
    assert os.listdir(tmp_path) == ["deep"]
    # Beside it checksum files are looked for, and nothing else.
    assert {request.path for request in server.requests} <= {"/f", *map(path_of, checksum_candidates(url))}
    told = capfd.readouterr()
    assert "\x1b" not in told.out + told.err


def test_what_it_calls_verified_is_not_believed(tmp_path: Path, url: str) -> None:
    """All there, all verified, says the journal of somebody else's hashes: wrong bytes all the same."""
    wrong = bytes(byte ^ 1 for byte in TRUTH)
    leave(tmp_path, image(header(url), [filled(0, SIZE, wrong), Verified(0, SIZE)]), wrong)
    digests = [hashlib.sha256(TRUTH[at : at + STEP]).hexdigest() for at in range(0, SIZE, STEP)]
    pieces = tmp_path.parent / f"{tmp_path.name}.pieces"
    pieces.write_text("\n".join([f"sha-256 {STEP}", *digests]))
    check_right(tmp_path, gets(url, tmp_path, "--piece-hashes", str(pieces)))


def test_nor_is_a_whole_file_with_a_checksum(tmp_path: Path, url: str) -> None:
    wrong = bytes(byte ^ 1 for byte in TRUTH)
    leave(tmp_path, image(header(url), [filled(0, SIZE, wrong)]), wrong)
    check_right(tmp_path, gets(url, tmp_path, "--checksum", f"sha-256={hashlib.sha256(TRUTH).hexdigest()}"))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "long", "newer", "foreign"])
def test_what_is_no_journal_is_left_alone(
    tmp_path: Path, url: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    at = folder / "f.part.journal"
    make: dict[str, Callable[[], object]] = {
        "link": lambda: at.symlink_to(victim),
        "folder": at.mkdir,
        "pipe": lambda: os.mkfifo(at),
        "long": lambda: at.write_bytes(b"TDLJNL\x01\x00"),
        "newer": lambda: at.write_bytes(b"TDLJNL\xff\x7f" + bytes(100)),
        "foreign": lambda: at.write_text("somebody's notes, journal-like only by name"),
    }
    make[kind]()
    if kind == "long":
        os.truncate(at, 1 << 40)
    assert gets(url, folder) == 9
    assert os.path.lexists(at)
    assert victim.read_text() == "precious"
    assert not (folder / "f").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_process_says_who_is_at_work(
    tmp_path: Path, url: str, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.faults.scene import get, started  # the first one is a process of its own

    server.resources["/f"].behaviour = misbehave.stall_after(HALF)
    server.resources["/f"].body, server.resources["/f"].size = TRUTH * 5, SIZE * 5
    with started(get([url], tmp_path, ["--timeout", "20"])) as first:
        try:
            server.wait_for(lambda now: now.total_sent >= HALF and (tmp_path / "f.part.journal").exists())
            server.resources["/f"].behaviour = None
            assert gets(url, tmp_path) == 11
            told = capsys.readouterr().err
            assert str(first.pid) in told or "another process" in told
            server.release.set()
            assert first.wait(20) == 0
        except subprocess.TimeoutExpired:
            first.kill()
            raise
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == TRUTH * 5
