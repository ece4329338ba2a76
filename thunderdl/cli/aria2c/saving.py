"""What a run of ``thunderdl aria2c`` leaves for others: its session file, and commands that hear of each download."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable

from thunderdl.aria2.exit_codes import exit_code
from thunderdl.aria2.files import session_entry
from thunderdl.cli.aria2c.given import Given
from thunderdl.cli.aria2c.jobs import Job
from thunderdl.errors import printable
from thunderdl.model import Status

_NOT_FOUND = 3


def save_session(path: str, jobs: Iterable[Job]) -> str | None:
    """Write what did not end well, as aria2 reads it; why it could not be done, as one clause."""
    return write_session(path, "".join(session_entry(job.gid, _uris(job), job.raw) for job in jobs if is_saved(job)))


def _uris(job: Job) -> tuple[str, ...]:
    """Of a document it alone: a list knows no URIs beside one, each would come back as a download of its own."""
    document = job.options.torrent or job.options.metalink
    return (document,) if document else job.uris


def write_session(path: str, text: str) -> str | None:
    """Write it; why it could not be done, as one clause.

    In place of the old one by a rename: whoever is killed while writing still has the one before. One that is called
    ``….gz`` is gzip, as aria2's.
    """
    fresh, octets = f"{path}~", text.encode("utf-8", "surrogateescape")
    if path.endswith(".gz"):
        import gzip

        octets = gzip.compress(octets, mtime=0)
    try:
        # What is in it may be passwords.
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb"
        ) as s:
            s.write(octets)
            s.flush()
            os.fsync(s.fileno())
        os.replace(fresh, path)
    except OSError as error:
        return printable(error.strerror or str(error))
    return None


def is_saved(job: Job) -> bool:
    """Whether it belongs into the session file."""
    if job.result is None or job.raw.get("force-save") == "true" or job.result.status is Status.CANCELLED:
        return True
    code = exit_code(job.result.error)
    return code != 0 and not (code == _NOT_FOUND and job.raw.get("save-not-found") == "false")


class Hooks:
    """Runs the commands that were given for events; they are not waited for, and what they do is theirs."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, event: str, job: Job, files: tuple[int, str]) -> None:
        """``event``: ``start``, ``complete``, ``error``, ``stop``, ``shared`` of a whole torrent; ``files``: how many
        are wanted, and the path of the first, where it is known."""
        command = self._given.text("on-bt-download-complete" if event == "shared" else f"on-download-{event}")
        if not command:
            return
        self._running = [each for each in self._running if each.poll() is None]
        count, path = files
        with contextlib.suppress(OSError):
            # No shell: a file's name is never a command.
            self._running.append(
                subprocess.Popen([command, job.gid, str(count), path], stdin=subprocess.DEVNULL, start_new_session=True)
            )

    def leave(self) -> None:
        """Let go of those that still run: they may outlive this process, of which Popen would warn."""
        for each in self._running:
            if each.poll() is None:
                each.returncode = 0
