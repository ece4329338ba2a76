"""The lab itself, and thunderdl in every scenario: complete, identical, and all taken down. Not how fast."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.lab.content import Contents, make_contents
from tests.lab.lab import laid, leftovers, why_not
from tests.lab.race import notes_of, run
from tests.lab.scenarios import SCENARIOS, Mirror, Scenario, Turn, of_rates
from tests.lab.tools import RACERS

_why_not = cache(why_not)


@pytest.fixture(autouse=True)
def _taken_down() -> Iterator[None]:
    """Skips where no lab can be laid; afterwards nothing may be left of one."""
    if why := _why_not():
        pytest.skip(f"the lab {why}")
    yield
    assert leftovers() == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return make_contents(tmp_path_factory.mktemp("small"), 500_000)


def fetched(url: str, timeout_s: float = 5.0) -> str:
    """The digest of what a URL serves."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        return hashlib.sha256(answer.read()).hexdigest()


def test_it_serves_counts_and_changes(small: Contents) -> None:
    with laid(of_rates(100, 100), small) as lab:
        first, other = lab.members
        assert fetched(lab.urls()[0]) == small.sha256
        assert lab.served_bytes() == small.size_bytes
        assert small.size_bytes < sum(lab.crossed_bytes()) < 1.05 * small.size_bytes
        first.take(Turn.DARK)
        with pytest.raises(OSError, match="timed out"):
            fetched(lab.urls()[0], timeout_s=0.2)
        first.take(50.0)
        first.take(Turn.LIGHT)
        assert fetched(lab.urls()[0]) == small.sha256
        other.take(Turn.DIES)
        with pytest.raises(OSError, match="refused"):
            fetched(lab.urls()[1])
        other.take(Turn.RETURNS)
        other.await_ready()
        assert fetched(lab.urls()[1]) == small.sha256
        assert sum(lab.crossed_bytes()) > 3 * small.size_bytes


def test_two_labs_at_once(small: Contents) -> None:
    with laid(of_rates(100), small) as one, laid(of_rates(100), small) as other:
        assert one.urls() != other.urls()
        assert {fetched(url) for url in (*one.urls(), *other.urls())} == {small.sha256}


def test_it_is_taken_down_when_something_fails(small: Contents) -> None:
    def stopped() -> None:
        with laid(of_rates(100), small):
            assert leftovers()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()


def test_a_race_of_a_small_file(small: Contents) -> None:
    mirrors = (Mirror(rate_mbit=50), Mirror(rate_mbit=50, connections=1, connection_bytes_per_s=1_000_000))
    done = run(RACERS[0], Scenario(name="small", mirrors=mirrors, size_bytes=small.size_bytes), small)
    assert done is not None
    assert (done.fault, done.told and notes_of(done.told)[-1][:6]) == ("", "wasted")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_file_arrives_whole(scenario: Scenario, tmp_path: Path) -> None:
    done = run(RACERS[0], scenario, make_contents(tmp_path, scenario.size_bytes))
    assert done is not None
    assert done.fault == "", done.told
