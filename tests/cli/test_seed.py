"""``thunderdl seed`` as a process: what it says, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.test_seeding import free_port
from tests.servers.leecher import leecher
from tests.stopwatch import Stopwatch
from thunderdl.engine.creating import create_torrent

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 4000


@contextmanager
def seed(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable, "-m", "thunderdl", "seed", *arguments, "--no-dht", "--no-lsd", "--port", str(free_port()),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "THUNDERDL_CONFIG": str(folder / "none.toml")}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "f.bin").write_bytes(CONTENT)
    return tmp_path


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_the_ratio_is_reached(folder: Path) -> None:
    with seed(folder, "f.bin", "--json", "--ratio", "1") as process, leecher(folder / "theirs") as other:
        begun = json.loads(line(process))
        assert (begun["event"], begun["path"], begun["info_hash_v1"]) == ("seeding", "f.bin", "")
        other.finish(other.add(begun["magnet"], ("127.0.0.1", begun["port"])))
        rest, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    ended = json.loads(rest.splitlines()[-1])
    assert (ended["event"], ended["why"], ended["size_bytes"]) == ("ended", "ratio", len(CONTENT))
    assert ended["ratio"] >= 1
    [received] = (folder / "theirs").iterdir()
    assert received.read_bytes() == CONTENT


@pytest.mark.parametrize(("goal", "code"), [((), 0), (("--seed-time", "1h"), 130)])
def test_ctrl_c_ends_it_at_once(folder: Path, goal: tuple[str, ...], code: int) -> None:
    made = create_torrent(str(folder / "f.bin"), str(folder / "t.torrent"))
    with seed(folder, "t.torrent", *goal) as process:
        assert line(process).startswith("seeding t.torrent  at port ")
        assert line(process).strip() == made.magnet
        process.send_signal(signal.SIGINT)
        watch = Stopwatch()
        rest, errors = process.communicate(timeout=60)
        assert watch.took_s < 2
    assert process.returncode == code
    assert rest == "shared t.torrent  0 B (ratio 0.00), stopped\n"
    assert errors == ""


def test_one_that_cannot_be_seeded_does_not_stop_the_others(folder: Path) -> None:
    create_torrent(str(folder / "f.bin"), str(folder / "t.torrent"))
    (folder / "g.bin").write_bytes(CONTENT[:-1])
    with seed(folder, "g.bin", "absent.torrent", "t.torrent", "--seed-time", "0.5") as process:
        out, errors = process.communicate(timeout=60)
    assert errors == "thunderdl: absent.torrent: No such file or directory.\n"
    assert out.count("the time is over") == 2
    assert process.returncode == 2


def test_what_is_named_twice_is_shared_once(folder: Path) -> None:
    with seed(folder, "f.bin", "f.bin", "--seed-time", "0.1") as process:
        told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert told.count("seeding f.bin") == told.count("shared f.bin") == 1


def test_the_same_bytes_twice_are_told_apart(folder: Path) -> None:
    with seed(folder, "f.bin", "./f.bin") as process:
        assert process.stderr is not None
        error = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 4
    assert error == "thunderdl: f.bin: its torrent is under way here already; name it once, or remove the other.\n"
    # Whichever of the two was first.
    assert len(re.findall(r"^shared (?:\./)?f\.bin ", told, re.MULTILINE)) == 1
