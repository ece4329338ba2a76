"""What the methods of aria2's RPC work on: the queue, and what aria2 calls a session."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Awaitable, Callable

from thunderdl.daemon.jobs import Job
from thunderdl.daemon.queue import NoSuchTask, Queue
from thunderdl.errors import UsageError, printable
from thunderdl.rpc.aria2.contents import Contents
from thunderdl.rpc.aria2.params import Refused

#: What writes a session file; None where every answer is on the disk anyway.
Save = Callable[[Queue], Awaitable[None]]
_GID = re.compile(r"[0-9A-Fa-f]{1,16}")


class Session:
    """``stop``: ends the daemon, soon; told whether in a hurry. ``stopped``: how many tasks ended in it; ``save``:
    raises UsageError where it cannot be done; ``slow``: those whose stop was waited for long enough;
    ``port``: where it is asked, None for no port."""

    def __init__(
        self, queue: Queue, stop: Callable[[bool], None], save: Save | None = None, *, port: int | None = None
    ) -> None:  # fmt: skip
        self.queue, self.stop, self.save, self.port = queue, stop, save, port
        self.id = secrets.token_hex(20)
        self.contents = Contents(queue)
        self.stopped = len(queue.ended())
        self.slow: set[Job] = set()
        self._folder = (queue.rules, os.path.abspath(queue.rules.options.dir))

    @property
    def folder(self) -> str:
        """Where tasks are saved that say nothing else, absolute."""
        rules = self.queue.rules
        if self._folder[0] is not rules:
            self._folder = (rules, os.path.abspath(rules.options.dir))
        return self._folder[1]

    def job(self, gid: str) -> Job:
        """The task of that gid, or of which it is the beginning. Raises Refused in aria2's words."""
        try:
            return self.queue.find(gid)
        except NoSuchTask:
            told = "GID {} is not found" if _GID.fullmatch(gid) else "Invalid GID {}"
        except UsageError:
            told = "GID {} is not unique"
        raise Refused(told.format(printable(gid)[:80]))
