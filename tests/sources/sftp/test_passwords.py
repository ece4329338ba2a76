"""Where a password comes from, and that ``ssh`` gets it: by a program in its place that asks as ``ssh`` does."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch
from tests.servers.fake_sftp import command, ssh_that_runs
from thunderdl.errors import AccessDenied

PASSWORD = "hunter2"
_ASKS = """\
printf '%s\\n' "$@" > "{seen}"; env >> "{seen}"
answer=$("$SSH_ASKPASS" "me@example.invalid's password: ") || exit 255
if [ "$answer" != {password} ]; then
  echo 'me@example.invalid: Permission denied (publickey,password).' >&2
  exit 255
fi
exec {server}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    served = tmp_path / "served"
    served.mkdir()
    (served / "f").write_bytes(b"content")
    script = _ASKS.format(seen=tmp_path / "seen", password=PASSWORD, server=shlex.join(command(served)))
    ssh_that_runs(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return served


def test_the_password_of_the_url(folder: Path, tmp_path: Path) -> None:
    result = fetch(f"sftp://me:{PASSWORD}@example.invalid{folder}/f", tmp_path / "to")
    assert content_of(result) == b"content"
    # Its command line and its environment.
    assert PASSWORD not in (tmp_path / "seen").read_text()


def test_a_wrong_password_is_told_and_not_shown(folder: Path, tmp_path: Path) -> None:
    result = fetch(f"sftp://me:wrong1@example.invalid{folder}/f", tmp_path / "to")
    failed(result, AccessDenied, 5, "let nobody in", "check the user's name and password")
    assert "wrong1" not in str(result.error)


@pytest.mark.parametrize(("url", "entry"), [
    ("sftp://example.invalid", "login me password hunter2"), ("sftp://me@example.invalid", "login me password hunter2"),
    ("sftp://me@example.invalid", "password hunter2"),
])  # fmt: skip
def test_the_password_of_netrc(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, entry: str
) -> None:
    (tmp_path / "netrc").write_text(f"machine example.invalid {entry}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert content_of(fetch(f"{url}{folder}/f", tmp_path / "to", netrc=True)) == b"content"
    assert "-l\nme\n" in (tmp_path / "seen").read_text()


def test_another_users_password_is_not_sent(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine example.invalid login you password hunter2\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(f"sftp://me@example.invalid{folder}/f", tmp_path / "to", netrc=True).path is None
    assert "SSH_ASKPASS" not in (tmp_path / "seen").read_text()
