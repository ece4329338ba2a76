"""``[daemon]`` of config.toml: what may stand there, that flags win, and that every command finds the daemon by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from thunderdl.cli import settings
from thunderdl.cli.app import main
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.daemon import judged
from thunderdl.cli.grammar import read
from thunderdl.cli.serving import Serving
from thunderdl.cli.serving_flags import SERVING
from thunderdl.daemon.events import What
from thunderdl.errors import UsageError
from thunderdl.rpc.listening import LOOPBACK, Place

FILE = """
dir = "{0}/out"
[daemon]
state = "{0}/state"
listen = ["127.0.0.1:7000", "[::1]:7000"]
roots = ["{0}/more", "~/isos"]
secret_file = "{0}/secret"
host_names = ["nas.lan"]
origins = ["https://ariang.example"]
watched = ["{0}/in"]
on_completed = "notify-send 'it is there'"
webhook = "https://me:pass@hooks.example/told?token=1"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE.format(tmp_path))
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("THUNDERDL_CONFIG", str(path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("THUNDERDL_STATE", raising=False)
    return path


def of(*arguments: str) -> Serving:
    typed = read(COMMANDS["daemon"], arguments)
    assert typed is not None
    return judged(typed, {})


def test_the_daemon_goes_by_it(config: Path, tmp_path: Path) -> None:
    serving = of()
    assert (serving.state, serving.secret_folder) == (str(tmp_path / "state"), str(tmp_path / "state"))
    assert serving.places == (Place("127.0.0.1", 7000), Place("::1", 7000))
    assert serving.roots == tuple(str(tmp_path / each) for each in ("out", "more", "home/isos"))
    assert (serving.secret, serving.host_names) == ("s3cret", ("nas.lan",))
    assert serving.origins == ("https://ariang.example",)
    assert serving.watched == (str(tmp_path / "in"),)
    assert serving.programs == {What.COMPLETED: ["notify-send", "it is there"]}
    assert serving.webhook == "https://me:pass@hooks.example/told?token=1"


def test_flags_win(config: Path, tmp_path: Path) -> None:
    serving = of("--listen", "127.0.0.1:7001", "--state", str(tmp_path / "other"), "--root", "/srv")
    assert serving.places == (Place("127.0.0.1", 7001),)
    assert serving.state == str(tmp_path / "other")
    assert serving.roots == (str(tmp_path / "out"), "/srv")
    # What was not typed still comes from the file.
    assert serving.host_names == ("nas.lan",)


def test_without_it_the_defaults_hold(config: Path) -> None:
    config.write_text("[daemon]\n")
    serving = of()
    assert (serving.places, serving.secret, serving.watched, serving.webhook) == ((LOOPBACK,), None, (), None)


def test_the_commands_find_its_state_and_secret(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.state_path() == str(tmp_path / "state")
    assert main(["list"]) == 4
    assert f"{tmp_path / 'state'}: no daemon keeps its queue there" in capsys.readouterr().err
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "address").write_text("http://127.0.0.1:1\n")
    assert main(["list"]) == 4
    assert "its secret is not there" not in capsys.readouterr().err
    monkeypatch.setenv("THUNDERDL_STATE", str(tmp_path / "variable"))
    assert settings.state_path() == str(tmp_path / "variable")


def test_config_shows_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line.partition("=")[0].strip(): line for line in lines if line.startswith("daemon.")}
    assert list(told) == [
        f"daemon.{name}" for name in (
            "state", "listen", "roots", "secret_file", "host_names", "origins", "watched", "on_completed", "webhook"
        )
    ]  # fmt: skip
    shown = " ".join(told["daemon.listen"].split())
    assert shown == f"daemon.listen = 127.0.0.1:7000, [::1]:7000 # {config}: daemon.listen"
    assert "pass" not in told["daemon.webhook"]
    assert "token" not in told["daemon.webhook"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("daemon = 1", "config.toml: daemon: a table, [daemon], is expected."),
        ("[daemon]\nport = 1", "config.toml: daemon.port: no such key; there are state, listen, roots,"),
        ("[daemon]\nlisten = 6800", "config.toml: daemon.listen: a list of texts is expected."),
        ("[daemon]\nlisten = [6800]", "config.toml: daemon.listen: a list of texts is expected."),
        ("[daemon]\nstate = ['a']", "config.toml: daemon.state: text is expected."),
        ("[daemon]\nlisten = 'no'", "--listen 'no': not an address"),
        ("[daemon]\nwebhook = 'ftp://x'", "--webhook: write an address"),
        ('[daemon]\non_completed = "\'"', "--on-completed: no closing quotation"),
    ],
)
def test_what_cannot_stand_there(config: Path, text: str, told: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError) as refused:
        of()
    assert told in str(refused.value)


def test_every_flag_may_stand_there(config: Path) -> None:
    names = {flag.name for flag in COMMANDS["daemon"].flags} - {row.row.name for row in settings.load({}).items}
    policies = {"overwrite", "rename", "skip", "ipv4", "ipv6", "quiet"}
    assert names - policies == {flag.name for flag in SERVING}
