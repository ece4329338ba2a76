"""Users, secrets and new links as they are typed, and what of it is ever shown."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import pytest

from tests.engine.runs import drive, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.cli import settings
from thunderdl.cli.app import main
from thunderdl.cli.passwords import with_password
from thunderdl.errors import UsageError
from thunderdl.options import Options
from thunderdl.reach import IpVersion

SIZE = 4 * 1024 * 1024


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "absent.toml"))
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"THUNDERDL_{name}", raising=False)


def test_a_password_is_asked_for_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "typed"

    monkeypatch.setattr(getpass, "getpass", ask)
    assert with_password(Options(user="me\x1b")).password == "typed"
    assert asked == ["Password of me\ufffd: "]
    for known in (Options(), Options(user="me", password="p"), Options(user="me", password_file="f")):
        assert with_password(known) is known
    assert len(asked) == 1


def test_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError, match="THUNDERDL_PASSWORD"):
        with_password(Options(user="me"))


def test_no_password_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "http://127.0.0.1:1/f", "--user", "me:topsecret"]) == 2
    heard = capsys.readouterr()
    assert "takes a name alone" in heard.err
    assert "topsecret" not in heard.out + heard.err
    for flag in ("--password", "--token", "--cert-password"):
        assert main(["get", "http://127.0.0.1:1/f", flag, "x"]) == 2
    capsys.readouterr()


def test_secrets_are_masked_where_settings_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THUNDERDL_TOKEN", "topsecret")
    monkeypatch.setenv("THUNDERDL_PASSWORD", "topsecret")
    arguments = ["--proxy-for", ".example.org=http://u:topsecret@proxy:3128", "--resolve", "h.example:443:192.0.2.1"]
    assert main(["config", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "topsecret" not in shown
    assert "THUNDERDL_TOKEN" in shown
    assert ".example.org=http://***@proxy:3128" in shown
    assert "h.example:443:192.0.2.1" in shown


@pytest.mark.parametrize("name", ["TOKEN", "PASSWORD", "PROXY_FOR"])
def test_a_secret_that_is_none_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"THUNDERDL_{name}", "topsecret\x01")
    assert main(["config"]) == 2
    heard = capsys.readouterr()
    assert "topsecret" not in heard.out + heard.err
    assert name in heard.err


@pytest.mark.parametrize("flag", ["--resolve", "--peer", "--tracker"])
def test_of_what_may_be_repeated_the_one_at_fault_is_shown(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    good = {"--resolve": "h:1:192.0.2.1", "--peer": "192.0.2.1:1", "--tracker": "udp://h:1"}[flag]
    assert main(["get", "http://127.0.0.1:1/f", flag, good, flag, "x"]) == 2
    assert capsys.readouterr().err.startswith(f"thunderdl: {flag}: 'x': ")


def test_kinds_of_addresses() -> None:
    from thunderdl.cli.commands import COMMANDS
    from thunderdl.cli.grammar import read

    for line, expected in ((["-4"], IpVersion.V4), (["--ipv6"], IpVersion.V6), (["--ip-version", "6"], IpVersion.V6)):
        typed = read(COMMANDS["get"], ["u", *line])
        assert typed is not None
        assert settings.load(typed.settings()).options().ip_version is expected
    both = read(COMMANDS["get"], ["u", "-4", "-6"])
    assert both is not None
    with pytest.raises(UsageError, match="exclude"):
        both.settings()


def begun(server: LoopbackServer, folder: Path) -> None:
    """A download that was stopped, and whose link is dead since."""
    server.resources["/old"] = generated(SIZE, seed=1, behaviour=m.stall_after(SIZE // 2))
    drive(stopped_after(SIZE // 4), server.url("/old"), folder)
    server.release.set()
    server.resources["/old"] = Resource(body=b"x", behaviour=m.status(403))
    server.requests.clear()


@pytest.mark.parametrize("named", ["old", "old.part", "old.part.journal", "."])
def test_resume_with_a_new_link(
    tmp_path: Path, server: LoopbackServer, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    begun(server, tmp_path / "d")
    server.resources["/new"] = generated(SIZE, seed=1)
    assert main(["resume", str(tmp_path / "d" / named), "--url", server.url("/new")]) == 0
    assert (tmp_path / "d" / "old").read_bytes() == bytes(generated(SIZE, seed=1).span(0, SIZE))
    assert server.sent["/new"] < SIZE
    assert "/old" not in {request.path for request in server.requests}
    capsys.readouterr()


def test_resume_with_a_link_of_another_file(
    tmp_path: Path, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(server, tmp_path / "d")
    before = (tmp_path / "d" / "old.part").read_bytes()
    server.resources["/new"] = generated(SIZE, seed=2, etag='"two"')
    assert main(["resume", str(tmp_path / "d" / "old"), "--url", server.url("/new")]) == 5
    assert "another file" in capsys.readouterr().err
    assert (tmp_path / "d" / "old.part").read_bytes() == before


def test_resume_of_what_was_never_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(tmp_path / "nothing"), "--url", "http://h/f"]) == 2
    assert main(["resume", str(tmp_path), "--url", "http://h/f"]) == 2
    assert main(["resume", str(tmp_path), "--url", "ftp://h/f"]) == 2
    capsys.readouterr()


def test_a_command_that_gives_a_new_link(
    tmp_path: Path, server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(server, tmp_path / "d")
    server.resources["/new"] = generated(SIZE, seed=1)
    command = f"echo {server.url('/new')}"
    assert main(["resume", str(tmp_path / "d"), "--refresh-cmd", command]) == 0
    assert (tmp_path / "d" / "old").exists()
    capsys.readouterr()
