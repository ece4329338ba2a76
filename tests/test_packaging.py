"""The units for systemd: it can read them, and what they call exists."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import read
from thunderdl.rpc.listening import LOOPBACK, parse_place

UNITS = Path(__file__).parent.parent / "packaging" / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.read_string((UNITS / name).read_text())
    return found


def test_the_service_calls_the_daemon() -> None:
    program, name, *arguments = shlex.split(unit("thunderdl.service")["Service"]["ExecStart"])
    assert (program, name) == ("%h/.local/bin/thunderdl", "daemon")
    assert read(COMMANDS[name], arguments) is not None
    assert parse_place(unit("thunderdl.socket")["Socket"]["ListenStream"]) == LOOPBACK


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_systemd_can_read_them(tmp_path: Path) -> None:
    paths = []
    for name in ("thunderdl.service", "thunderdl.socket"):
        paths.append(tmp_path / name)
        paths[-1].write_text((UNITS / name).read_text().replace("%h/.local/bin/thunderdl", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *map(str, paths)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
