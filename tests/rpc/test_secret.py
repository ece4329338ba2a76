"""The secret: made once for its owner alone, proven slowly where it is wrong, and cookies signed with it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from thunderdl.errors import UsageError
from thunderdl.rpc.secret import COOKIE_S, Secret, TooManyGuesses, checked_secret, kept_secret, secret_in


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = kept_secret(str(tmp_path))
    assert len(made) >= 32
    assert kept_secret(str(tmp_path)) == made
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("good\n", 0o644, "others than you may read it"), ("", 0o600, "at least one"),
        ("a b\n", 0o600, "without spaces"), ("\n", 0o600, "at least one"), ("schlüssel", 0o600, "ASCII"),
        ("x\x07\n", 0o600, "ASCII"),
    ],
)  # fmt: skip
def test_a_file_that_holds_none_is_refused(tmp_path: Path, text: str, mode: int, words: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(UsageError, match=words) as raised:
        secret_in(str(path))
    assert str(path) in str(raised.value)
    with pytest.raises(UsageError, match="no such file"):
        secret_in(str(tmp_path / "absent"))


def test_only_the_secret_is_proven() -> None:
    secret = Secret("correct", delay_s=0)

    async def run() -> None:
        assert await secret.proven("correct")
        for wrong in ("", "Correct", "correct ", "correct\0", "\ud800", "c" * 100_000):
            assert not await secret.proven(wrong)

    asyncio.run(run())


def test_guesses_beyond_those_that_wait_are_not_looked_at() -> None:
    secret = Secret("correct", delay_s=600, most_delayed=3)

    async def run() -> None:
        waiting = [asyncio.create_task(secret.proven("wrong")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyGuesses):
            await secret.proven("correct")
        assert not await secret.is_proven("correct")
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert await secret.is_proven("correct")

    asyncio.run(run())


def test_a_cookie_holds_until_it_is_old_or_taken_back() -> None:
    now = [1000.0]
    secret = Secret("correct", clock=lambda: now[0])
    first, second = secret.cookie(), secret.cookie()
    assert first != second
    assert secret.admits(first)
    secret.revoke(first)
    assert not secret.admits(first)
    assert secret.admits(second)
    # After a restart with the same secret, not with another.
    assert Secret("correct", clock=lambda: now[0]).admits(second)
    assert not Secret("other", clock=lambda: now[0]).admits(second)
    now[0] += COOKIE_S
    assert not secret.admits(second)


@pytest.mark.parametrize("wrong", ["", ".", "..", "1.2.3", "1000.x.\ud800", "x" * 10_000, "9" * 5000 + ".a.b"])
def test_what_is_no_cookie_is_refused(wrong: str) -> None:
    secret = Secret("correct", clock=lambda: 1000.0)
    assert not secret.admits(wrong)
    told, _, signature = secret.cookie().rpartition(".")
    assert not secret.admits(f"{told}0.{signature}")
    assert not secret.admits(f"{told}.{signature[:-1]}")


def test_a_secret_from_the_environment_is_named_by_its_variable() -> None:
    assert checked_secret("fine", "VARIABLE") == "fine"
    with pytest.raises(UsageError, match="VARIABLE"):
        checked_secret("", "VARIABLE")
