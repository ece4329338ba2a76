"""``aria2c --enable-rpc``: started as people start it, driven by aria2p; what it refuses, and what its session says."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.aria2c import link_in, run
from tests.daemon.runs import ended, hold, running
from tests.rpc.aria2.test_adding import METALINK, TORRENT
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import stall_after
from thunderdl.aria2.command_line import read_command_line
from thunderdl.cli.aria2c.given import Given, load
from thunderdl.cli.aria2c.jobs import Jobs
from thunderdl.cli.aria2c.queued import queue_all, session_text
from thunderdl.cli.aria2c.rpc import Aria2c, _serving
from thunderdl.daemon.jobs import State, Wish
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.rules import Rules
from thunderdl.options import Exists, Options
from thunderdl.rpc.aria2.adding import add_torrent, add_uri
from thunderdl.rpc.aria2.session import Session

LIMIT_S = 30.0


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("THUNDERDL_STATE", str(tmp_path / "kept"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@contextlib.contextmanager
def started(folder: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """It, through a link named aria2c; ended if it still runs."""
    command = [
        str(link_in(folder / "bin")), "--enable-rpc", f"--rpc-listen-port={port}", "-d", "out", "--enable-dht=false",
        *arguments,
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(port: int, body: object = None, path: str = "/jsonrpc", **headers: str) -> tuple[int, bytes]:
    """Status and body, waited for until somebody answers."""

    def once() -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)) as connection:
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
            with connection.getresponse() as found:
                return found.status, found.read()

    return tuple(until_it_can(once))


def call(method: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": []}


def until_it_can(do: Any) -> Any:
    over = time.monotonic() + LIMIT_S
    while True:
        try:
            return do()
        except OSError:
            assert time.monotonic() < over, "nobody listens"
            time.sleep(0.02)


def test_aria2p_drives_it_and_the_session_brings_it_back(tmp_path: Path, port: int) -> None:
    aria2p = pytest.importorskip("aria2p")
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\necho "$@" > "$0.told.new"; mv "$0.told.new" "$0.told"\n')
    hook.chmod(0o755)
    api = aria2p.API(aria2p.Client(host="http://127.0.0.1", port=port, secret="s3cret"))
    session = tmp_path / "session"
    session.touch()
    lasting = ("--rpc-secret=s3cret", "--save-session=session", "--input-file=session")
    with LoopbackServer() as server:
        server.resources["/f"] = Resource(body=b"x" * 1000)
        server.resources["/s"] = Resource(body=bytes(3_000_000), behaviour=stall_after(1_500_000))
        with started(tmp_path, port, *lasting, "--on-download-complete", str(hook), server.url("/f")) as process:
            until_it_can(lambda: (tmp_path / "hook.told").read_text())
            done = api.get_downloads()[0]
            assert (done.status, done.name) == ("complete", "f")
            assert (tmp_path / "hook.told").read_text() == f"{done.gid} 1 {tmp_path / 'out' / 'f'}\n"
            waits = api.add_uris([server.url("/f")], options={"pause": "true", "out": "later", "header": ["A: b"]})
            runs = api.add_uris([server.url("/s")])
            while not runs.completed_length:
                runs.update()
            assert api.get_global_options().dir == str(tmp_path / "out")
            # Where to is for the command line alone to say.
            assert api.set_global_options({"save-session": str(tmp_path / "other")})
            assert api.client.save_session() == "OK"
            folder = f" dir={tmp_path / 'out'}\n"
            assert session.read_text() == (
                f"{server.url('/s')}\t\n gid={runs.gid}\n{folder}"
                f"{server.url('/f')}\t\n gid={waits.gid}\n out=later\n header=A: b\n{folder} pause=true\n"
            )
            api.client.shutdown()
            assert process.wait(LIMIT_S) == 0
        assert not list(tmp_path.glob("thunderdl-aria2c-*"))
        assert not (tmp_path / "other").exists()
        assert stat.S_IMODE(session.stat().st_mode) == 0o600
        with started(tmp_path, port, *lasting) as process:
            back = {one.gid: one for one in until_it_can(api.get_downloads)}
            assert {gid: one.status for gid, one in back.items()} == {runs.gid: "active", waits.gid: "paused"}
            process.terminate()
            assert process.wait(LIMIT_S) == 0
        assert session.read_text().count("gid=") == 2


def test_without_a_secret_in_the_background(tmp_path: Path, port: int) -> None:
    with started(tmp_path, port, "--rpc-secret=", "-D", "-q") as process:
        assert process.wait(LIMIT_S) == 0
        gone = process.communicate()
    assert gone == ("", "")
    asked = call("aria2.getVersion")
    assert b'"version":"1.37.0"' in answer(port, asked)[1]
    assert answer(port, asked, Host="evil.example")[0] == 421
    assert answer(port, asked, Origin="https://evil.example")[0] == 403
    # The page and its API keep to the secret of the state folder.
    assert answer(port, path="/api/v1/tasks")[0] == 401
    assert answer(port, call("aria2.shutdown"))[0] == 200
    until_it_can(lambda: _nobody_at(port))


def _nobody_at(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise OSError


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rpc-listen-all"], "--rpc-listen-all lets other machines in: choose a secret for them with --rpc-secret."),
        (["--rpc-listen-all", "--rpc-secret="], "--rpc-listen-all lets other machines in"),
        (["--rpc-allow-origin-all", "--rpc-secret="], "--rpc-allow-origin-all lets any web page in"),
        (["--rpc-secure"], "--rpc-secure: not served here; put a server that speaks TLS before it"),
        (["--rpc-user=me"], "--rpc-user: not served here; choose --rpc-secret"),
        (["--rpc-passwd=me"], "--rpc-passwd: not served here; choose --rpc-secret"),
        (["--rpc-secret=a b"], "--rpc-secret: a secret is at least one ASCII character, without spaces."),
        (["-i", "missing"], "missing: No such file"),
    ],
)
def test_what_it_refuses(tmp_path: Path, arguments: list[str], told: str) -> None:
    ran = run(tmp_path, "--enable-rpc", *arguments)
    assert ran.code == 1
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert not list(tmp_path.glob("thunderdl-aria2c-*"))


def test_a_file_that_is_there_is_not_done_because_it_may_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Exists, bool]] = []

    def serve(given: Given, options: Options) -> int:
        seen.append((options.exists, given.is_on("continue")))
        return 0

    monkeypatch.setattr("thunderdl.cli.aria2c.rpc.serve", serve)
    assert run(tmp_path, "--enable-rpc", "--continue").code == 0
    assert seen == [(Exists.RENAME, True)]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run(tmp_path, "--enable-rpc", "--rpc-listen-port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "another program listens there (another daemon, or aria2?)" in ran.err
    assert "choose another port with --rpc-listen-port." in ran.err


def test_where_the_secret_is_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ([], ["--rpc-secret=s"], ["--rpc-secret="], ["-q"]):
        given = load(read_command_line(["--no-conf", "--enable-rpc", *arguments]), os.environ)
        Aria2c(given, []).listens([])
        told = f"aria2c: the secret of the RPC is in {tmp_path / 'kept' / 'secret'}; --rpc-secret sets another.\n"
        assert capsys.readouterr().err == ("" if arguments else told)


def test_no_seed_time_at_all_holds_for_what_comes_later_too(tmp_path: Path) -> None:
    """Else what is added by RPC would be shared until the daemon's own ratio is reached."""
    given = load(read_command_line(["--no-conf", "--enable-rpc", "--seed-time=0"]), os.environ)
    serving = _serving(given, Options(dir=str(tmp_path)), str(tmp_path), ())
    assert Rules(base=serving.options, roots=()).options.ratio == 0


def test_its_port_and_its_files_are_told_and_no_secret(tmp_path: Path, port: int) -> None:
    """As aria2 tells them: where the configuration would be, even where nobody reads it."""
    given = {"log": tmp_path / "log", "dht-file-path": tmp_path / "dht", "netrc-path": tmp_path / "n"}
    (tmp_path / "n").touch(mode=0o600)
    own = tmp_path / ".config" / "aria2" / "aria2.conf"
    asked = {**call("aria2.getGlobalOption"), "params": ["token:s3cret"]}
    for arguments, conf in ((("--no-conf",), own), ((f"--conf-path={tmp_path / 'c'}",), tmp_path / "c")):
        (tmp_path / "c").touch()
        files = [f"--{name}={path}" for name, path in given.items()]
        with started(tmp_path, port, "--rpc-secret=s3cret", *arguments, *files):
            every = json.loads(answer(port, asked)[1])["result"]
        assert {name: every.get(name) for name in given} == {name: str(path) for name, path in given.items()}
        assert (every["rpc-listen-port"], every["conf-path"]) == (str(port), str(conf))
        assert "s3cret" not in json.dumps(every)


def test_a_daemons_own_port_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thunderdl", "daemon", "--listen", "127.0.0.1:0", "-d", str(tmp_path)]
    environment = {**os.environ, "THUNDERDL_RPC_SECRET": "s3cret-s3cret-s3cret"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":([0-9]+)/", process.stdout.readline())
            assert found is not None
            asked = {**call("aria2.getGlobalOption"), "params": ["token:s3cret-s3cret-s3cret"]}
            every = json.loads(answer(int(found[1]), asked)[1])["result"]
            assert every["rpc-listen-port"] == found[1]
            assert "s3cret" not in json.dumps(every)
        finally:
            process.kill()


# -- what was named into the queue, and the queue into the session


async def add_all(queue: Queue, folder: Path, *arguments: str) -> list[str]:
    """As if the command had been called with them."""
    given = load(read_command_line(["--no-conf", *arguments]), os.environ)
    named = Jobs(given, Options(dir=str(folder / "out"), dht=False)).all()
    return await queue_all(queue, named)


def _brief(wish: Wish) -> tuple[str, object]:
    return wish.name, wish.options.get("files")


def test_a_uri_beside_a_metalink_of_several_files_is_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as queue:
            hold(queue)
            (tmp_path / "two").write_bytes(METALINK)
            uri = "http://127.0.0.1:1/a"
            notes = await add_all(queue, tmp_path, "-d", str(tmp_path / "out"), "-M", str(tmp_path / "two"), uri)
            assert notes == []
            assert [len(job.wish.urls) for job in queue.waiting()] == [1, 1]

    asyncio.run(main())


def test_documents_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as queue:
            hold(queue)
            seeds: list[object] = ["http://127.0.0.1:9/seed/"]
            await add_torrent(Session(queue, lambda _: None), TORRENT, seeds, {"gid": "00000000000000aa"}, None)
            (tmp_path / "two.meta4").write_bytes(METALINK)
            notes = await add_all(queue, tmp_path, "-d", str(tmp_path / "out"), str(tmp_path / "two.meta4"))
            assert notes == []
            before = [job.wish for job in queue.waiting()]
            text = await session_text(queue, keeps_documents=True)
            assert await session_text(queue, keeps_documents=False) == ""
        assert text.count(f"{tmp_path / 'out'}/") == len(before)
        (tmp_path / "session").write_text(text)
        (tmp_path / "again").mkdir()
        (tmp_path / "again" / "out").symlink_to(tmp_path / "out")
        async with running(tmp_path / "again") as queue:
            hold(queue)
            assert await add_all(queue, tmp_path, "-i", str(tmp_path / "session")) == []
            assert queue.waiting()[0].gid == "00000000000000aa"
            after = [job.wish for job in queue.waiting()]
        assert [_brief(wish) for wish in after] == [_brief(wish) for wish in before]

    asyncio.run(main())


def test_what_the_session_leaves_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as queue:
            session = Session(queue, lambda _: None)
            for path, options in (
                ("f", {}), ("f", {"force-save": "true"}), ("no", {}), ("no", {"save-not-found": "false"}),
            ):  # fmt: skip
                await add_uri(session, [server.url(f"/{path}")], dict(options), None)
            jobs = [*queue.active(), *queue.waiting(), *queue.ended()]
            await ended(*jobs)
            states = {job.gid: job.state for job in jobs}
            text = await session_text(queue, keeps_documents=True)
            lines = [line for line in text.splitlines() if not line.startswith(" ")]
            assert sorted(lines) == [f"{server.url('/f')}\t", f"{server.url('/no')}\t"]
            assert "force-save=true" in text
            assert "save-not-found" not in text
            assert sorted(state.value for state in states.values()) == ["complete", "complete", "failed", "failed"]

    with LoopbackServer() as server:
        server.resources["/f"] = Resource(body=b"x")
        asyncio.run(main())


def test_one_that_cannot_be_queued_costs_a_sentence_and_the_others_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as queue:
            hold(queue)
            listed = (
                "http://127.0.0.1:9/a\n dir=/elsewhere\nhttp://127.0.0.1:9/b\n\nhttp://127.0.0.1:9/c\n pause=true\n"
            )
            (tmp_path / "list").write_text(listed)
            (note,) = await add_all(queue, tmp_path, "-d", str(tmp_path / "out"), "-i", str(tmp_path / "list"))
            assert "/elsewhere is outside of the folders" in note
            assert [(job.wish.url[-1], job.state) for job in queue.waiting()] == [
                ("b", State.WAITING), ("c", State.PAUSED)
            ]  # fmt: skip

    asyncio.run(main())
