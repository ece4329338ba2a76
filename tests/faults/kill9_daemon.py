"""kill -9 of the daemon at random moments under load: is every acknowledged task there, once, and every file right?

``python -m tests.faults.kill9_daemon`` runs the real daemon over and over. While it lives a client adds tasks (small
files, large ones, some that are not there), pauses, resumes, moves and removes them, and files finish; at a random
moment the daemon is killed. What the client knows is what was answered: after each restart every gid that it was told
must be in the queue or in the history, exactly once. In the end all that is left is let go on, and each file is
compared with what the server has; a second copy of any (``name (1)``) is a task that ran twice.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.limits import Limits
from tests.servers.loopback import LoopbackServer, generated
from thunderdl.cli.remote import Daemon, Unreachable
from thunderdl.errors import UsageError

SMALL_BYTES, LARGE_BYTES = 50_000, 3_000_000
LONGEST_LIFE_S = 0.6
START_S = 60.0
FINISH_S = 300.0
_SMALL = 200
_LARGE = 24


class Load:
    """What the client does, and what it was told. ``gids``: by path; ``removed``: gids that were let go."""

    def __init__(self, server: LoopbackServer, seed: int) -> None:
        self._server, self._random = server, random.Random(seed)
        self._number = 0
        self.gids: dict[str, str] = {}
        self.removed: set[str] = set()
        # A removal without an answer may have been carried out or not.
        self.doubtful: set[str] = set()

    def run(self, daemon: Daemon) -> None:
        """Go on until the daemon is gone."""
        try:
            while True:
                self._one(daemon)
        except Unreachable:
            return

    def _one(self, daemon: Daemon) -> None:
        what = self._random.choices(["add", "batch", "pause", "resume", "move", "remove"], [8, 2, 3, 3, 2, 1])[0]
        if what in ("add", "batch") or not self.gids:
            self._add(daemon, 20 if what == "batch" else 1)
            return
        gid = self._random.choice(list(self.gids.values()))
        try:
            if what == "move":
                daemon.ask("POST", f"tasks/{gid}/move", {"to": self._random.choice(["top", "up", "down", "bottom"])})
            elif what == "remove":
                self.doubtful.add(gid)
                daemon.ask("DELETE", f"tasks/{gid}", files=0)
                self.removed.add(gid)
            else:
                daemon.ask("POST", f"tasks/{gid}/{what}")
        except UsageError:
            # It is in a state in which that cannot be done.
            self.doubtful -= {gid} - self.removed

    def _add(self, daemon: Daemon, count: int) -> None:
        paths = [self._path() for _ in range(count)]
        tasks = [{"urls": [self._server.url(path)], "options": {"retries": "1"}} for path in paths]
        told = daemon.ask("POST", "tasks", {"tasks": tasks})["tasks"]
        self.gids.update(zip(paths, (task["gid"] for task in told), strict=True))

    def _path(self) -> str:
        self._number += 1
        size, kind = (LARGE_BYTES, "large") if self._random.random() < 0.2 else (SMALL_BYTES, "small")
        path = f"/{kind}{self._number}" if self._random.random() < 0.95 else f"/gone{self._number}"
        if not path.startswith("/gone"):
            self._server.resources[path] = generated(size, seed=self._number)
        return path


@contextmanager
def served(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Daemon]]:
    """A daemon that answers; killed in the end."""
    state, out = folder / "state", folder / "out"
    (state / "address").unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "thunderdl", "daemon", "-d", str(out), "--state", str(state), "-q",
        "--listen", f"127.0.0.1:{port}", "--no-dht", "--no-lsd", "--no-checksum-files", "-j", "8",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=sys.stderr)
    try:
        with _reached(state, process) as daemon:
            yield process, daemon
    finally:
        process.kill()
        process.wait()


def _reached(state: Path, process: subprocess.Popen[bytes]) -> Daemon:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if (state / "address").exists() and (state / "secret").exists():
            daemon = Daemon((state / "address").read_text().strip(), (state / "secret").read_text().strip())
            with contextlib.suppress(Unreachable):
                daemon.ask("GET", "tasks", limit=1)
                return daemon
        time.sleep(0.01)
    raise SystemExit("the daemon did not come back")


def everything(daemon: Daemon) -> list[dict[str, Any]]:
    """Every task there is, those that ended long ago, too; one that moves on meanwhile may be in it twice or not."""
    tasks: list[dict[str, Any]] = []
    for state in ("active", "waiting"):
        offset = 0
        while page := daemon.ask("GET", "tasks", state=state, offset=offset, limit=1000)["tasks"]:
            tasks += page
            offset += len(page)
    before = None
    while True:
        told = daemon.ask("GET", "history", limit=1000, before=before)
        tasks += told["tasks"]
        if not told["tasks"] or not told["more"]:
            return tasks
        before = told["tasks"][-1]["ended_at"]


def missing(load: Load, daemon: Daemon) -> list[str]:
    """What is wrong with the queue, in words."""
    tasks = everything(daemon)
    listed = {task["gid"]: task["url"] for task in tasks}
    open_states = ("active", "waiting", "paused", "verifying")
    lost = [
        f"{task['url']} was removed, and is {task['state']} again"
        for task in tasks
        if task["gid"] in load.removed and task["state"] in open_states
    ]
    for path, gid in load.gids.items():
        try:
            told = listed.get(gid) or daemon.ask("GET", f"tasks/{gid}")["url"]
        except UsageError:
            if gid not in load.doubtful:
                lost.append(f"{path} ({gid}) is lost")
        else:
            if not told.endswith(path):
                lost.append(f"{path} ({gid}) is {told} now")
    twice = [f"{url} is there {count} times" for url, count in Counter(listed.values()).items() if count > 1]
    return lost + twice


def wrong_files(server: LoopbackServer, out: Path, tasks: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the files, in words."""
    found = []
    for task in tasks:
        path = "/" + task["url"].rpartition("/")[2]
        resource = server.resources.get(path)
        if task["state"] != "complete":
            continue
        if resource is None or task["path"] is None or not os.path.exists(task["path"]):
            found.append(f"{path} is called complete, but there is no file")
        elif (
            hashlib.sha256(Path(task["path"]).read_bytes()).digest()
            != hashlib.sha256(resource.span(0, resource.size)).digest()
        ):
            found.append(f"{task['path']} is not what was served")
    return found + [f"{path.name}: a second copy" for path in out.glob("*(*")]


def campaign(kills: int, seed: int, folder: Path) -> list[str]:
    """So many kills; what was found wrong."""
    moments, faults = random.Random(seed), []
    with LoopbackServer(limits=Limits(rate_bytes_per_s=30_000_000)) as server:
        load = Load(server, seed)
        for number in range(kills):
            with served(folder, 0) as (process, daemon):
                faults += missing(load, daemon)
                client = threading.Thread(target=load.run, args=(daemon,))
                client.start()
                time.sleep(moments.uniform(0, LONGEST_LIFE_S))
                process.send_signal(signal.SIGKILL)
                client.join()
            if faults:
                break
            if number % 20 == 19:
                print(f"{number + 1} kills, {len(load.gids)} tasks acknowledged", flush=True)
        faults += _finished(load, server, folder) if not faults else []
    print(f"{kills} kills, {len(load.gids)} tasks acknowledged, {len(load.removed)} removed: {len(faults)} faults")
    return faults


def _finished(load: Load, server: LoopbackServer, folder: Path) -> list[str]:
    with served(folder, 0) as (_, daemon):
        daemon.ask("POST", "queue/resume")
        until = time.monotonic() + FINISH_S
        while time.monotonic() < until:
            counts = [daemon.ask("GET", "tasks", state=state, limit=1)["total"] for state in ("active", "waiting")]
            if not any(counts):
                break
            time.sleep(0.2)
        tasks = everything(daemon)
        left = [task for task in tasks if task["state"] not in ("complete", "failed", "removed")]
        faults = [f"{task['url']} is still {task['state']}" for task in left]
        failed = [task for task in tasks if task["state"] == "failed" and "/gone" not in task["url"]]
        faults += [f"{task['url']} failed: {task['error']}" for task in failed]
        return faults + missing(load, daemon) + wrong_files(server, folder / "out", tasks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        (Path(folder) / "out").mkdir()
        faults = campaign(given.kills, given.seed, Path(folder))
    for fault in faults[:50]:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
