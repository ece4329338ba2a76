"""The real daemon under the page: in a thread of its own, quick to start, or as a program that can be killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.daemon.runs import rules_of
from thunderdl.daemon.queue import Queue
from thunderdl.rpc.access import Access
from thunderdl.rpc.listening import Place, opened
from thunderdl.rpc.secret import Secret, kept_secret
from thunderdl.rpc.server import Server

START_S = 20.0


class RealDaemon:
    """Its queue is in ``folder/state``, the one of before where there was one; it saves below ``folder/out``.
    ``changes``: options."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder, self.out = folder, folder / "out"
        self._changes = changes
        self.port, self.secret = 0, ""
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Answers from now on, at the same port as before."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(START_S), "the daemon did not start"

    def stop(self) -> None:
        """As by SIGTERM."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(START_S)

    async def _run(self, ready: threading.Event) -> None:
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        sockets = opened([Place("127.0.0.1", self.port)])
        self.port = sockets[0].getsockname()[1]
        self.secret = kept_secret(str(state))
        async with Queue(str(state), rules_of(self.folder, **self._changes)).running() as queue:
            server = Server(queue, sockets, Access(), Secret(self.secret, delay_s=0.01))
            async with server.running():
                ready.set()
                await self._stop.wait()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """What the API answers to ``path`` below /api/v1, of JSON."""
        headers = {"authorization": f"Bearer {self.secret}"}
        answer = httpx.request(method, f"{self.url}api/v1/{path}", headers=headers, trust_env=False, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def add(self, *urls: str, **more: object) -> dict[str, Any]:
        """A task that was added."""
        (task,) = self.ask("POST", "tasks", json={"urls": urls, **more})["tasks"]
        return dict(task)


class DaemonProgram(RealDaemon):
    """``thunderdl daemon``; ``arguments``: more of its command line."""

    def __init__(self, folder: Path, arguments: Sequence[str] = (), *, out: Path | None = None) -> None:
        super().__init__(folder)
        self.out = out or self.out
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.out.mkdir(exist_ok=True)
        command = [
            sys.executable, "-m", "thunderdl", "daemon", "--listen", f"127.0.0.1:{self.port}",
            "-d", str(self.out), "--no-checksum-files", "--no-dht", "--no-lsd", *self._arguments,
        ]  # fmt: skip
        environment = {**os.environ, "THUNDERDL_STATE": str(self.folder / "state")}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("thunderdl listens at "), line
        self.port = int(line.strip().rstrip("/").rpartition(":")[2])
        self.secret = (self.folder / "state" / "secret").read_text().strip()

    def stop(self) -> None:
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """Nothing is said, nothing is written."""
        self._end(subprocess.Popen.kill)

    def _end(self, end: Any) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process)
            process.communicate(timeout=START_S)
