"""How ssh gets a password, and who gets none."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from thunderdl.errors import LastingFault
from thunderdl.sources.sftp.askpass import answering

SECRET = "hunter2 $HOME 'ü\\n"


def asked(environment: Mapping[str, str], prompt: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([environment["SSH_ASKPASS"], prompt], capture_output=True, timeout=30, check=False)


def test_each_kind_of_prompt_for_a_password_is_answered_once() -> None:
    with answering(SECRET) as environment:
        for prompt in ("me@example.org's password: ", "(me@example.org) Password: "):
            assert asked(environment, prompt).stdout == f"{SECRET}\n".encode()


@pytest.mark.parametrize("prompt", [
    "Enter passphrase for key '/home/me/password/id': ", "Enter PIN for 'password token': ", "Verification code: ",
    "The authenticity of host 'h' can't be established. Are you sure you want to continue connecting (yes/no)? ", "",
])  # fmt: skip
def test_no_other_question_is_answered(prompt: str) -> None:
    with answering(SECRET) as environment:
        answer = asked(environment, prompt)
        assert (answer.returncode, answer.stdout) == (1, b"")


def test_the_password_is_in_no_file_and_no_environment() -> None:
    with answering(SECRET) as environment:
        folder = Path(environment["SSH_ASKPASS"]).parent
        assert SECRET not in str(environment)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
            assert stat.S_ISFIFO(path.stat().st_mode) or SECRET.encode() not in path.read_bytes()
    assert not os.path.exists(folder)


def test_where_nothing_can_be_made_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LastingFault, match="TMPDIR"), answering(SECRET):
        pass
