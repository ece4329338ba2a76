"""The daemon as a process, and the commands that talk to it: what they queue, show, change and say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.cli.app import main
from thunderdl.cli.queueing import table_of

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
METALINK = """<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">
<file name="a"><url>{0}</url></file><file name="b"><url>{0}</url></file></metalink>"""


@dataclass
class Ground:
    folder: Path
    server: LoopbackServer
    process: subprocess.Popen[str]

    def url(self, path: str) -> str:
        return self.server.url(path)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One daemon for all; ``/file`` comes, ``/slow`` never ends."""
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "out").mkdir()
    command = [
        sys.executable, "-m", "thunderdl", "daemon", "-d", str(folder / "out"), "--state", str(folder / "state"),
        "--listen", "127.0.0.1:0", "--no-dht", "--no-lsd", "--no-checksum-files", "--root", str(folder / "root"),
        "--watch", str(folder / "in"), "--on-failed", f"touch {folder}/hooked",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "THUNDERDL_CONFIG": str(folder / "none.toml")}
    with LoopbackServer() as server:
        server.resources["/file"] = Resource(body=b"x" * 1000)
        server.resources["/slow"] = Resource(body=b"x" * 20_000_000, behaviour=stall_after(900_000))
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline().startswith("thunderdl listens at http://127.0.0.1:")
                yield Ground(folder, server, process)
            finally:
                process.kill()


@pytest.fixture(autouse=True)
def _here(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUNDERDL_STATE", str(ground.folder / "state"))
    monkeypatch.setenv("THUNDERDL_CONFIG", str(ground.folder / "none.toml"))
    monkeypatch.delenv("THUNDERDL_RPC_SECRET", raising=False)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> object:
    """Run a command: its exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def good(say: object, *words: str) -> str:
    code, out, err = say(*words)  # type: ignore[operator]
    assert (code, err) == (0, "")
    return str(out)


def bad(say: object, *words: str) -> str:
    code, out, err = say(*words)  # type: ignore[operator]
    assert (code, out) == (2, ""), (code, out, err)
    assert len(err.splitlines()) == 1
    return str(err)


def gid(line: str) -> str:
    return line.split()[0]


def state_of(say: object, name: str) -> str:
    tasks = map(json.loads, good(say, "list", "--all", "--json").splitlines())
    return next((str(task["state"]) for task in tasks if task["gid"] == name), "")


def until(say: object, name: str, *states: str) -> None:
    end = time.monotonic() + LIMIT_S
    while state_of(say, name) not in states:
        assert time.monotonic() < end, state_of(say, name)
        time.sleep(0.02)


def test_what_is_added_is_downloaded_listed_found_and_forgotten(ground: Ground, say: object) -> None:
    line = good(say, "add", ground.url("/file"), "-o", "mine")
    name = gid(line)
    assert line == f"{name}  mine\n"
    until(say, name, "complete")
    assert (ground.folder / "out" / "mine").read_bytes() == b"x" * 1000
    assert f"{name}  complete   100 %" in good(say, "list", "--ended")
    assert name in good(say, "list", "--search", "min")
    assert good(say, "list", "--search", "no such thing") == ""
    good(say, "remove", name[:8])
    assert name not in good(say, "list", "--all")
    assert (ground.folder / "out" / "mine").exists()


def test_pause_resume_move_priority_and_remove(ground: Ground, say: object) -> None:
    running = gid(good(say, "add", ground.url("/slow"), "-o", "slow1"))
    until(say, running, "active")
    good(say, "pause", running)
    until(say, running, "paused")
    assert "stopped" not in good(say, "list")
    first, second = (gid(good(say, "add", ground.url("/slow"), "--paused", "-o", f"w{number}")) for number in "12")
    high = gid(good(say, "add", ground.url("/slow"), "--paused", "--priority", "high"))
    top = gid(good(say, "add", ground.url("/slow"), "--paused", "--top"))
    good(say, "move", second, "up")
    order = [gid(line) for line in good(say, "list").splitlines() if "paused" in line]
    assert order == [top, high, running, second, first]
    good(say, "resume", running)
    until(say, running, "active")
    for name in (running, first, second, high, top):
        good(say, "remove", name)
    until(say, running, "removed")
    assert good(say, "list") == ""


def test_a_list_and_documents_of_this_machine_go_there(ground: Ground, say: object, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{ground.url('/slow')}\t{ground.url('/file')}\n{ground.url('/gone')}\n")
    (tmp_path / "x.meta4").write_text(METALINK.format(ground.url("/file")))
    told = good(say, "add", "-i", str(tmp_path / "list"), "--paused", "--json")
    assert [json.loads(line)["state"] for line in told.splitlines()] == ["paused", "paused"]
    names = good(say, "add", str(tmp_path / "x.meta4"), "--paused").splitlines()
    assert len(names) == 2
    for line in (*names, *(json.loads(each)["gid"] for each in told.splitlines())):
        good(say, "remove", gid(line))


def test_what_a_list_says_of_a_file_holds_in_the_queue_too(ground: Ground, say: object, tmp_path: Path) -> None:
    url, wrong = ground.url("/file"), "0" * 64
    (tmp_path / "list").write_text(
        f"{url}\n  out=sub/named.bin\n  priority=high\n  header=X-A: 1\n  max-tries=3\n  split=4\n"
        f'{{"url": "{url}", "dir": "{ground.folder}/root", "checksum": "sha-256={wrong}"}}\n{url}\n'
    )
    code, out, err = say("add", "-i", str(tmp_path / "list"), "--json", "-H", "X-B: 2", "--paused")  # type: ignore[operator]
    told = [json.loads(line) for line in out.splitlines()]
    assert (code, len(told)) == (0, 3)
    assert "list:1: 'split' is nothing that a list sets" in err
    assert [one["priority"] for one in told] == ["high", "normal", "normal"]
    for each in told[:2]:
        good(say, "resume", each["gid"])
    until(say, told[0]["gid"], "complete")
    assert (ground.folder / "out" / "sub" / "named.bin").read_bytes() == b"x" * 1000
    assert any({("X-A", "1"), ("X-B", "2")} <= set(one.headers) for one in ground.server.requests)
    until(say, told[1]["gid"], "failed")
    assert not (ground.folder / "root" / "file").exists()
    for each in told:
        good(say, "remove", each["gid"])


def test_a_wrong_option_of_a_list_refuses_all_of_it(ground: Ground, say: object, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{ground.url('/file')}\n{ground.url('/file')}\n  checksum=sha-256=12\n")
    assert "list:2" in bad(say, "add", "--paused", "-i", str(tmp_path / "list"))
    assert good(say, "list") == ""


def test_a_list_that_names_nothing_is_told(ground: Ground, say: object, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n\n")
    told = say("add", "-i", str(tmp_path / "empty"))  # type: ignore[operator]
    assert told == (0, "", f"{tmp_path}/empty names nothing to download.\n")


def test_a_bad_list_refuses_what_stands_beside_it_too(ground: Ground, say: object, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("http://\n")
    bad(say, "add", ground.url("/slow"), "--paused", "-i", str(tmp_path / "bad"))
    assert good(say, "list") == ""


def test_get_hands_over_to_the_folder_where_it_would_have_saved(ground: Ground, say: object) -> None:
    (ground.folder / "root").mkdir(exist_ok=True)
    os.chdir(ground.folder / "root")
    name = gid(good(say, "get", "--daemon", ground.url("/file")))
    until(say, name, "complete")
    assert (ground.folder / "root" / "file").exists()
    os.chdir("/")
    assert "--root" in bad(say, "get", "--daemon", ground.url("/file"))


def test_a_watch_folder_and_a_hook(ground: Ground, say: object) -> None:
    watched, hooked = ground.folder / "in", ground.folder / "hooked"
    watched.mkdir(exist_ok=True)
    # Other tests have tasks that fail.
    hooked.unlink(missing_ok=True)
    (watched / "x.magnet").write_text(ground.url("/nowhere"))
    end = time.monotonic() + LIMIT_S
    while not hooked.exists() or os.listdir(watched) != ["x.magnet.added"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "not found (the server answered 404)" in good(say, "list", "--ended")


def test_settings_of_all_and_of_one(ground: Ground, say: object) -> None:
    good(say, "set", "limit=2M", "active=3")
    shown = good(say, "set")
    assert "limit = 2M\n" in shown
    good(say, "set", "limit=", "active=5")
    good(say, "set", "categories=isos=isos, films=films")
    assert "categories = isos=isos, films=films" in good(say, "set")
    good(say, "set", "categories=")
    assert "categories = –" in good(say, "set")
    assert "limit = 2M" not in good(say, "set")
    name = gid(good(say, "add", ground.url("/slow"), "--paused"))
    good(say, "set", "--task", name, "task-limit=1K")
    assert good(say, "set", "--task", name) == "task_limit = 1K\n"
    (task,) = [json.loads(line) for line in good(say, "list", "--json").splitlines()]
    assert task["limit"] == "1K"
    good(say, "remove", name)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add",), "no URL was given"),
        (("add", "http://h/f", "-d", "/etc"), "outside of the folders"),
        (("add", "file:///etc/passwd"), "no files of its own machine"),
        (("add", "http://h/f", "--refresh-cmd", "touch x"), "refresh_cmd cannot be set here"),
        (("add", "http://h/f", "http://h/g", "-m", "http://h/h"), "belongs to one file"),
        (("add", "/nonexistent/x.torrent"), "No such file"),
        (("add", "http://h/f", "--at", "noon"), "write 22:30"),
        (("get", "--daemon", "http://h/f", "--limit", "1M"), "give it to thunderdl daemon"),
        (("pause",), "takes gids"),
        (("pause", "ffffffffffffffff"), "no such task"),
        (("pause", "ffff", "--all"), "takes gids"),
        (("move", "ffff", "sideways"), "top, up, down, bottom"),
        (("set", "limit"), "write NAME=VALUE"),
        (("set", "categories=isos"), "categories: write NAME=FOLDER"),
        (("set", "nonsense=1"), "nonsense"),
        (("set", "dir=/etc"), "outside of the folders"),
        (("set", "trace=/tmp/x"), "is no field"),
        (("resume", "aaaa", "bbbb.part"), "no such task"),
    ],
)
def test_what_is_refused_is_told_in_one_sentence(say: object, words: tuple[str, ...], told: str) -> None:
    assert told in bad(say, *words)


def test_without_a_daemon_or_its_secret(ground: Ground, say: object, tmp_path: Path) -> None:
    code, _, err = say("list", "--state", str(tmp_path))  # type: ignore[operator]
    assert (code, "start one with thunderdl daemon" in err) == (4, True)
    (tmp_path / "address").write_text("http://127.0.0.1:1")
    assert "its secret is not there" in bad(say, "list", "--state", str(tmp_path))
    (tmp_path / "secret").write_text("x")
    code, _, err = say("list", "--state", str(tmp_path))  # type: ignore[operator]
    assert (code, "no daemon answers at http://127.0.0.1:1" in err) == (4, True)
    (tmp_path / "address").write_text((ground.folder / "state" / "address").read_text())
    assert "has another secret" in bad(say, "list", "--state", str(tmp_path))


def test_a_second_daemon_of_the_same_folder_is_refused(ground: Ground) -> None:
    command = [
        sys.executable,
        "-m",
        "thunderdl",
        "daemon",
        "--state",
        str(ground.folder / "state"),
        "--listen",
        "127.0.0.1:0",
    ]
    found = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=ground.folder, check=False)
    assert found.returncode == 11
    assert "nother" in found.stderr


def test_watch_tells_what_happens_and_it_stops_when_told(ground: Ground, say: object, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thunderdl", "watch"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (
        (tmp_path / "out").open("w") as out,
        (tmp_path / "err").open("w") as err,
        subprocess.Popen(command, env=environment, stdout=out, stderr=err) as watch,
    ):
        try:
            end = time.monotonic() + LIMIT_S
            while "failed" not in (tmp_path / "out").read_text():
                # It may not listen yet when the first ones fail.
                assert time.monotonic() < end
                good(say, "add", ground.url("/gone"))
                time.sleep(0.2)
            ground.process.send_signal(signal.SIGTERM)
            assert ground.process.wait(LIMIT_S) == 0
            assert watch.wait(LIMIT_S) == 0
        finally:
            watch.kill()
    assert (tmp_path / "err").read_text() == "thunderdl: the daemon has stopped.\n"


def test_what_waits_says_for_what_once_in_a_row() -> None:
    blank = {"size_bytes": None, "done_bytes": 0, "error": None, "state": "waiting"}
    later, hours = "It is to begin at 2026-11-30 22:30.", "Outside of the hours in which downloads run."
    tasks = [
        blank | {"gid": str(n), "name": str(n), "why": why} for n, why in enumerate([later, later, "", hours, hours])
    ]
    told = [line.strip() for line in table_of(tasks)]
    assert [line for line in told if not line[0].isdecimal()] == [later, hours]
    assert told.index(later) == 1
