"""``thunderdl daemon`` as a process: what it says, whom it refuses, how it ends."""

from __future__ import annotations

import contextlib
import http.client
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from thunderdl.cli.app import main
from thunderdl.daemon.database import APPLICATION_ID
from thunderdl.rpc.listening import Place, opened, place_of

ROOT = Path(__file__).parents[2]
END_S = 20.0


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("THUNDERDL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("THUNDERDL_RPC_SECRET", raising=False)


def command(folder: Path, *more: str) -> list[str]:
    settled = ["-d", str(folder / "out"), "--no-dht", "--no-lsd", "--listen", "127.0.0.1:0"]
    return [sys.executable, "-m", "thunderdl", "daemon", *settled, *more]


@contextlib.contextmanager
def started(argv: list[str], **more: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def told_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("thunderdl listens at http://127.0.0.1:"), line
    return int(line.rstrip("/\n").rpartition(":")[2])


def test_it_ends_with_an_open_stream_and_says_no_secret(tmp_path: Path) -> None:
    with started(command(tmp_path)) as process:
        port = told_port(process)
        secret = (tmp_path / "state" / "secret").read_text().strip()
        stream = http.client.HTTPConnection("127.0.0.1", port)
        stream.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {secret}"})
        answer = stream.getresponse()
        assert answer.readline() == b"event: snapshot\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=END_S)
        assert process.returncode == 0
        assert (out, err) == ("", "")
        # The stream has ended as HTTP ends, not in the middle of a chunk.
        answer.read()
        stream.close()


@pytest.mark.parametrize("chosen", ["", "/50%41#x"])
def test_a_terminal_is_shown_a_link_that_logs_in(tmp_path: Path, chosen: str) -> None:
    if chosen:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "secret").write_text(chosen)
        (tmp_path / "state" / "secret").chmod(0o600)
    ours, theirs = pty.openpty()
    with subprocess.Popen(command(tmp_path), stdout=theirs, stderr=subprocess.PIPE) as process:
        try:
            os.close(theirs)
            line = b""
            while not line.endswith(b"\n"):
                line += os.read(ours, 1000)
        finally:
            process.kill()
            os.close(ours)
    secret = (tmp_path / "state" / "secret").read_text().strip()
    assert re.fullmatch(
        rf"thunderdl listens at http://127\.0\.0\.1:\d+/#{re.escape(quote(secret, safe=''))}", line.decode().strip()
    )


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and sentence of a daemon that does not begin."""
    code = main(["daemon", *words])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err


def test_other_machines_need_a_secret_that_was_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("0.0.0.0:0", "[::]:0"):
        code, told = refusal(capsys, "--listen", place, "-d", str(tmp_path))
        assert code == 2
        assert "--secret-file" in told
        assert "THUNDERDL_RPC_SECRET" in told
    assert not (tmp_path / "state").exists()


def test_with_a_secret_that_was_chosen_other_machines_are_served(tmp_path: Path) -> None:
    file = tmp_path / "chosen"
    file.write_text("chosen-by-the-user\n")
    file.chmod(0o600)
    argv = command(tmp_path, "--secret-file", str(file), "--listen", "0.0.0.0:0")
    with started(argv, env={**os.environ, "THUNDERDL_RPC_SECRET": "another"}) as process:
        port = told_port(process)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for secret, status in (("chosen-by-the-user", 200), ("", 401)):
            connection.request("GET", "/api/v1/session", headers={"Authorization": f"Bearer {secret}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()
        # None was made, and programs that it runs are not told of one.
        assert not (tmp_path / "state" / "secret").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0


def test_what_is_taken_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (taken,) = opened([Place("127.0.0.1", 0)])
    with taken:
        code, told = refusal(capsys, "--listen", str(place_of(taken)), "-d", str(tmp_path))
    assert code == 2
    assert "another program listens there" in told
    with started(command(tmp_path)) as process:
        told_port(process)
        code, told = refusal(capsys, "--listen", "127.0.0.1:0", "-d", str(tmp_path))
    assert code == 11
    assert "another daemon" in told


@pytest.mark.parametrize("words", [("--listen", "example.org:80"), ("--secret-file", "/nonexistent")])
def test_a_mistake_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, told = refusal(capsys, *words)
    assert code == 2
    assert words[1] in told


def test_a_queue_of_a_newer_version_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "state" / "queue.sqlite"
    database.parent.mkdir()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=99; CREATE TABLE x (y);")
    held = database.read_bytes()
    code, told = refusal(capsys, "--listen", "127.0.0.1:0", "-d", str(tmp_path))
    assert code == 2
    assert "newer thunderdl" in told
    assert database.read_bytes() == held


def test_systemd_hands_over_its_socket_and_is_told_when_it_is_ready(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "os.dup2(int(sys.argv[1]), 3)\n"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
    )
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waiting, opened([Place("127.0.0.1", 0)])[0] as listening:
        waiting.bind(path)
        waiting.settimeout(END_S)
        argv = [sys.executable, "-c", program, str(listening.fileno()), *command(tmp_path)[1:]]
        environment = {**os.environ, "NOTIFY_SOCKET": path}
        with started(argv, env=environment, pass_fds=[listening.fileno()]) as process:
            assert waiting.recv(100) == b"READY=1"
            assert told_port(process) == listening.getsockname()[1]
            process.send_signal(signal.SIGTERM)
            assert waiting.recv(100) == b"STOPPING=1"
            assert process.wait(END_S) == 0
