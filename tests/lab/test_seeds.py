"""Real seeds: one of each program, their links, the tracker, and plain libtorrent that downloads from them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.lab import libtorrent_client
from tests.lab.content import NAME, make_contents
from tests.lab.eight import fly
from tests.lab.lab import laid, leftovers, why_not
from tests.lab.scenarios import MB, Seed, SeedProgram, Turn, of_rates

_why_not = cache(lambda: why_not(SeedProgram))
_TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def _lab_can_be_laid() -> None:
    pytest.importorskip("libtorrent")
    if why := _why_not():
        pytest.skip(f"the lab {why}")


def test_seeds_of_three_programs_and_a_mirror(tmp_path: Path) -> None:
    contents, out = make_contents(tmp_path / "contents", 4 * MB), tmp_path / "out"
    seeds = [Seed(rate_mbit=20, program=program) for program in SeedProgram]
    with laid([*of_rates(20), *seeds], contents) as lab:
        command = [sys.executable, libtorrent_client.__file__, str(lab.torrent), str(out), *lab.urls()]
        subprocess.run(command, check=True, timeout=_TIMEOUT_S)
        mirror, libtorrent, *_ = lab.crossed_bytes()
        assert contents.is_right(out / NAME)
        assert contents.size_bytes < sum(lab.crossed_bytes()) < 3 * contents.size_bytes
        assert mirror > 0
        assert libtorrent > 0
        lab.members[1].take(Turn.DIES)
        with pytest.raises(RuntimeError, match="a Seeder does not serve"):
            lab.members[1].await_ready()
    assert leftovers() == []


@pytest.mark.slow
def test_two_on_a_bridge(tmp_path: Path) -> None:
    flock = fly("aria2c", make_contents(tmp_path / "contents", 4 * MB), 2, _TIMEOUT_S)
    assert None not in flock.seconds, flock.said
    assert 1 <= flock.copies <= 2.2
    assert leftovers() == []
