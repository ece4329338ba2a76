"""Hooks: programs get what happened as arguments and variables, addresses as JSON; one that fails costs a note."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.daemon.runs import running as daemon
from tests.daemon.runs import until
from tests.engine.runs import LIMIT_S
from tests.stopwatch import Stopwatch
from thunderdl.daemon import hooks as module
from thunderdl.daemon.documents import wishes_of
from thunderdl.daemon.events import Bus, What
from thunderdl.daemon.hooks import Hooks
from thunderdl.daemon.jobs import Job, Outcome, State, Wish

GID = "0123456789abcdef"
JOB = Job(
    GID, Wish(urls=("http://user:pw@h/f; touch x",)), State.COMPLETE,
    outcome=Outcome(name="f", path="/d/$(id) f", size_bytes=3),
)  # fmt: skip
TWO_FILES = (
    b"d4:infod5:filesld6:lengthi6e4:pathl5:a.txteed6:lengthi20000e4:pathl5:b.bineee4:name2:dd12:piece lengthi16384e"
    b"6:pieces40:" + b"a" * 40 + b"ee"
)
METALINK = (
    b'<metalink xmlns="urn:ietf:params:xml:ns:metalink">'
    b'<file name="first.bin"><url>http://127.0.0.1:1/a</url></file></metalink>'
)
SAVES = "import json, os, sys; json.dump([sys.argv[2:], dict(os.environ)], open(sys.argv[1], 'w'))"


def attended(hooks: Hooks, *what: What, notes: list[str] | None = None, done: object = None) -> list[str]:
    """The notes once ``done`` is true, or without it once there is one."""
    notes = [] if notes is None else notes

    async def run() -> None:
        bus = Bus()
        async with asyncio.timeout(LIMIT_S):
            with bus.listening() as heard:
                task = asyncio.create_task(hooks.attend(heard, notes))
                for each in what:
                    bus.publish(each, JOB)
                await until(done if callable(done) else lambda: notes)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(run())
    return notes


def test_what_nobody_foresaw_in_one_event_leaves_the_others_their_hooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    out, facts_of = tmp_path / "out", module.facts_of

    def facts(what: What, job: Job) -> dict[str, str]:
        if what is What.STARTED:
            raise RuntimeError("what nobody foresaw")
        return facts_of(what, job)

    monkeypatch.setattr(module, "facts_of", facts)
    hooks = Hooks(dict.fromkeys((What.STARTED, What.COMPLETED), (sys.executable, "-c", SAVES, str(out))))
    (note,) = attended(hooks, What.STARTED, What.COMPLETED, done=out.exists)
    assert "RuntimeError: what nobody foresaw" in note


def test_a_program_gets_aria2s_arguments_and_the_rest_in_variables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    hooks = Hooks({What.COMPLETED: (sys.executable, "-c", SAVES, str(out))})
    attended(hooks, What.ADDED, What.STARTED, What.COMPLETED, done=lambda: out.exists() and out.read_text()[-1:] == "]")
    arguments, variables = json.loads(out.read_text())
    assert arguments == [GID, "1", "/d/$(id) f"]
    assert variables["THUNDERDL_EVENT"] == "completed"
    assert variables["THUNDERDL_PATH"] == "/d/$(id) f"
    assert "pw" not in variables["THUNDERDL_URL"]


@pytest.mark.parametrize(
    ("argv", "limit_s", "told"),
    [
        (("/nonexistent/program",), LIMIT_S, "could not be run: No such file"),
        ((sys.executable, "-c", "raise SystemExit(3)"), LIMIT_S, "failed with exit code 3"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), 0.5, "was ended: it ran for more than"),
    ],
)
def test_one_that_fails_costs_a_note(
    argv: tuple[str, ...], limit_s: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRAM_S", limit_s)
    (note,) = attended(Hooks({What.FAILED: argv}), What.FAILED)
    assert told in note


def test_no_more_than_some_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, over = 0, 0, []

    async def program(argv: object, facts: object, notes: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        over.append(1)

    monkeypatch.setattr(module, "_run_program", program)
    attended(Hooks({What.STARTED: ("x",)}), *[What.STARTED] * 20, done=lambda: len(over) == 20)
    assert most == module.MOST_AT_ONCE


@pytest.mark.filterwarnings("always:coroutine:RuntimeWarning")
def test_what_waits_for_its_turn_at_the_end_is_dropped_without_a_word(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    begun = []

    async def hangs(*_: object) -> None:
        begun.append(1)
        await asyncio.sleep(60)

    monkeypatch.setattr(module, "LAST_S", 0.01)
    monkeypatch.setattr(module, "_run_program", hangs)
    monkeypatch.setattr(module, "_tell", hangs)
    hooks = Hooks({What.STARTED: ("x",)}, webhook="http://127.0.0.1:1/")
    attended(hooks, *[What.STARTED] * 20, done=lambda: len(begun) == module.MOST_AT_ONCE)
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_what_no_hook_is_told_of_pushes_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 tasks are added while one program runs: the end of a task that came before is still told."""
    monkeypatch.setattr("thunderdl.daemon.events.MOST_BEHIND", 3)
    bus = Bus()
    with bus.listening(module.TOLD) as heard:
        bus.publish(What.COMPLETED, JOB)
        for _ in range(10):
            bus.publish(What.ADDED, JOB)
        assert [event.what for event in heard.waiting()] == [What.COMPLETED]
        assert not heard.lost


def test_what_is_lost_after_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.daemon.events.MOST_BEHIND", 3)
    (note,) = attended(Hooks(), *[What.FAILED] * 5)
    assert "told to none" in note


class _Listener(BaseHTTPRequestHandler):
    bodies: list[bytes]
    answers: list[int]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.answers.pop(0))
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("answers", "told"), [([200], 0), ([500, 200], 0), ([500, 500, 500], 1), ([302, 302, 302], 1)])
def test_a_webhook_is_told_again_after_a_fault_and_nowhere_else(
    answers: list[int], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)

    class Handler(_Listener):
        pass

    handler = Handler
    handler.bodies, handler.answers = [], list(answers)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        notes: list[str] = []
        address = f"http://127.0.0.1:{server.server_port}/hook?token=secret"

        def is_done() -> bool:
            return len(handler.bodies) == len(answers) and len(notes) == told

        attended(Hooks(webhook=address), What.COMPLETED, notes=notes, done=is_done)
        server.shutdown()
        thread.join()
    assert {json.loads(body)["gid"] for body in handler.bodies} == {GID}
    assert not any("secret" in note for note in notes)


def test_the_end_waits_for_no_webhook_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setblocking(False)
        accepted: list[socket.socket] = []

        def is_asked() -> bool:
            with contextlib.suppress(BlockingIOError):
                accepted.append(deaf.accept()[0])
            return bool(accepted)

        watch = Stopwatch()
        attended(Hooks(webhook=f"http://127.0.0.1:{deaf.getsockname()[1]}/"), What.COMPLETED, done=is_asked)
        assert watch.took_s < module.WEBHOOK_S / 2
        for each in accepted:
            each.close()


def test_a_webhook_that_does_not_speak_http_costs_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIES", 1)

    def answer(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        with connection:
            connection.recv(65536)
            connection.sendall(b"\x1b[31mgarbage\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=answer, args=(listening,))
        thread.start()
        (note,) = attended(Hooks(webhook=f"http://127.0.0.1:{listening.getsockname()[1]}/"), What.COMPLETED)
        thread.join()
    assert "was not reached" in note
    assert "\x1b" not in note


@pytest.mark.parametrize(("chosen", "count", "first"), [(None, "2", "a.txt"), ("2", "1", "b.bin")])
def test_of_a_torrent_the_files_that_are_wanted_are_counted_from_the_start(
    chosen: str | None, count: str, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 100,000 files a list of them takes seconds, in which nobody else is served.
    monkeypatch.setattr("thunderdl.engine.facts.Facts._files_of", None)
    assert _arguments(tmp_path, TWO_FILES, {"files": chosen} if chosen else {}) == {
        What.STARTED: [count, f"{tmp_path}/out/dd/{first}"], What.STOPPED: [count, f"{tmp_path}/out/dd/{first}"],
    }  # fmt: skip


def test_of_a_metalink_its_name_is_told_and_of_a_url_no_guess(tmp_path: Path) -> None:
    mine, first = f"{tmp_path}/out/mine", f"{tmp_path}/out/first.bin"
    assert _arguments(tmp_path, METALINK, {}) == {What.STARTED: ["1", first], What.FAILED: ["1", first]}
    url = "http://127.0.0.1:1/there.already"
    assert _arguments(tmp_path, url, {"out": "mine"}) == {What.STARTED: ["1", mine], What.FAILED: ["1", mine]}
    assert _arguments(tmp_path, url, {}) == {What.STARTED: ["1", ""], What.FAILED: ["1", ""]}


def _arguments(folder: Path, asked: bytes | str, options: dict[str, str]) -> dict[What, list[str]]:
    """What the programs get behind the gid of one task, stopped once it has a place."""
    out = folder / "told"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    save = "import json, sys; json.dump(sys.argv[3:], open(sys.argv[1], 'w'))"
    hooks = Hooks({what: (sys.executable, "-c", save, str(out / what.value)) for what in module.TOLD})

    async def run() -> dict[What, list[str]]:
        notes: list[str] = []
        async with daemon(folder) as queue:
            with hooks.hearing(queue) as heard:
                task = asyncio.create_task(hooks.attend(heard, notes))
                if isinstance(asked, str):
                    wish = Wish(urls=(asked,), options=options)
                else:
                    (wish,) = await wishes_of(queue, asked, Wish(urls=("-",), options=options))
                (job,) = await queue.add([replace(wish, urls=wish.urls[:1])])
                if asked is TWO_FILES:
                    await until(lambda: (running := queue.task(job)) and running.progress().path)
                    await queue.remove(job)
                await until(lambda: job.state.has_ended)
                await until(lambda: len([each for each in out.iterdir() if each.read_text().endswith("]")]) == 2)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        return {What(each.name): json.loads(each.read_text()) for each in out.iterdir()}

    return asyncio.run(run())


@pytest.mark.parametrize(("tells_whole", "told"), [(True, [What.SHARED, What.COMPLETED]), (False, [What.COMPLETED])])
def test_as_aria2_a_torrent_that_is_not_shared_is_told_twice(
    tells_whole: bool, told: list[What], tmp_path: Path
) -> None:
    async def run() -> list[What]:
        async with daemon(tmp_path) as queue:
            with Hooks(tells_whole=tells_whole).hearing(queue) as heard:
                wish = Wish(urls=("magnet:?xt=urn:btih:" + "a" * 40,))
                queue.events.publish(What.COMPLETED, Job(GID, wish, State.COMPLETE))
                return [event.what for event in heard.waiting()]

    assert asyncio.run(run()) == told
