"""What only a process of its own can show: what is imported, and what a terminal receives."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.fakes import NAUGHTY
from thunderdl.errors import printable

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_a_small_download_imports_little() -> None:
    script = (
        "import sys\n"
        "import thunderdl.cli.get as get\n"
        "from thunderdl.cli.app import main\n"
        "main(['http://h/a', '-i', '/nowhere', '-H', 'A: b', '--limit', '1M'])\n"
        "costly = {'typer', 'rich', 'httpx', 'json', 'platformdirs', 'tomllib', 'pydantic', 'click'}\n"
        "print(*sorted(costly & set(sys.modules)))"
    )
    environment = os.environ | {"XDG_CONFIG_HOME": "/nowhere"}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "\n"
    assert "No such file" in ran.stderr


def test_a_terminal_gets_no_control_byte_from_outside() -> None:
    script = (
        "import asyncio\n"
        "from tests.cli.fakes import *\n"
        "from thunderdl.cli import live\n"
        "from thunderdl.cli.views import Loudness\n"
        "from thunderdl.errors import NotFound\n"
        "live.PATIENCE_S = live.FRAME_S = live.EVENTS_EVERY_S = 0\n"
        "async def main():\n"
        "    bad = source(1, note=NAUGHTY)\n"
        "    client = FakeClient(active=[FakeTask(progress(NAUGHTY, sources=(bad,), notes=(NAUGHTY,)))])\n"
        "    view = live.choose_view(Loudness(verbose=True))\n"
        "    view.finished(saved('http://h/x', path=NAUGHTY))\n"
        "    watching = asyncio.create_task(view.watch(client))\n"
        "    for _ in range(20): await asyncio.sleep(0)\n"
        "    view.finished(failed('http://h/x', NotFound('http://h/' + NAUGHTY, NAUGHTY)))\n"
        "    for _ in range(20): await asyncio.sleep(0)\n"
        "    watching.cancel()\n"
        "    await asyncio.gather(watching, return_exceptions=True)\n"
        "    view.close()\n"
        "asyncio.run(main())\n"
    )
    received = OURS.sub("", on_a_terminal([sys.executable, "-c", script])).replace("\r\n", "").replace("\r", "")
    assert received.count("[red]x[/red][/blue][link=http://e]%s %n {0}") > 10
    assert received == printable(received)
    assert printable(NAUGHTY) in received


def on_a_terminal(command: list[str]) -> str:
    """All that a command writes to its terminal."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "300", "LINES": "40", "PYTHONUTF8": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:
            # Linux reports the closed far end as EIO.
            pass
        finally:
            os.close(ours)
        assert process.wait() == 0
    return b"".join(parts).decode()
