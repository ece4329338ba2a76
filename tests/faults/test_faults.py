"""A few of the fault points of :mod:`tests.faults.strace`, one for each kind of trouble; all of them: `make faults`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.scene import KILLED, Outcome
from tests.faults.strace import KILL, Bed, Fault, Setting, bed, hurt, why_not
from tests.servers.loopback import LoopbackServer


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    if why := why_not():
        pytest.skip(why)
    with LoopbackServer() as server:
        yield bed(tmp_path_factory.mktemp("faults"), server)


# So that what fails in a thread is heard of before all is there: then nothing is wrong with it.
SLOW = Setting(name="slow", options=("--limit", "4M"))


def hurt_and_resumed(ground: Bed, name: str, fault: Fault) -> Outcome:
    """How the hurt run ended; the next one has been checked."""
    (setting,) = (each for each in (*ground.settings(), SLOW) if each.name == name)
    scene = ground.scene(setting)
    outcome, came = hurt(scene, fault, scene.folder.with_suffix(".log"))
    assert came, "the fault never came: the test is void"
    scene.check_stopped(outcome)
    if outcome.code != 0:
        scene.check_resumed()
    scene.check_done()
    return outcome


@pytest.mark.parametrize(
    ("setting", "call", "only", "nth"),
    [
        ("ranged", "pwrite", ".part", 1),
        ("ranged", "pwrite", ".journal", 1),
        ("ranged", "rename", "", 1),
        ("ranged", "fdatasync", ".part", 1),
        ("ranged", "unlink", ".part", 1),  # it has two names
        ("ranged", "unlink", ".journal", 1),  # of a finished file
        ("small", "unlink", "", 1),
        ("begun", "fsync", "", 1),
    ],
)
def test_killed_it_goes_on(ground: Bed, setting: str, call: str, only: str, nth: int) -> None:
    outcome = hurt_and_resumed(ground, setting, Fault(call=call, what=KILL, nth=nth, only=only))
    assert outcome.code == KILLED


@pytest.mark.parametrize(
    ("setting", "call", "only", "error", "words"),
    [
        ("ranged", "pwrite", ".part", "ENOSPC", "the disk is full; free some space"),
        ("slow", "pwrite", ".journal", "ENOSPC", "the disk is full; free some space"),
        ("ranged", "fdatasync", ".part", "EIO", "the disk reports an error; check the disk"),
        ("begun-hashes", "pread", ".part", "EIO", "cannot be read back"),
        ("ranged", "open", ".part", "EMFILE", "too many open files; raise the limit"),
        ("small", "link", "", "EDQUOT", "your disk quota is used up"),
    ],
)
def test_told_of_an_error_it_says_so_and_the_next_run_goes_on(
    ground: Bed, setting: str, call: str, only: str, error: str, words: str
) -> None:
    outcome = hurt_and_resumed(ground, setting, Fault(call=call, what=f"error={error}", nth=1, only=only))
    assert outcome.code == 9
    assert words in outcome.told


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_disk_that_stays_full_costs_nothing_that_was_there(ground: Bed, call: str) -> None:
    outcome = hurt_and_resumed(ground, "begun", Fault(call=call, what="error=ENOSPC", nth=1, ever=True))
    assert outcome.code == 9
    assert "the disk is full" in outcome.told


@pytest.mark.parametrize(("call", "error"), [("pwrite", "EINTR"), ("link", "EPERM"), ("close", "EIO")])
def test_what_need_not_stop_it_does_not(ground: Bed, call: str, error: str) -> None:
    outcome = hurt_and_resumed(ground, "ranged", Fault(call=call, what=f"error={error}", nth=1))
    assert outcome.code == 0
