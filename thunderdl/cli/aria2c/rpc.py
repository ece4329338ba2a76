"""``--enable-rpc``: the queue of :mod:`thunderdl.cli.serving`, with the options of aria2.

aria2 forgets everything but what ``--save-session`` wrote, and scripts rely on it: they start it anew with the session
file as ``--input-file``. So the queue is kept in a folder that is removed in the end. In one that lasts, each task of
the session file would be there twice. Who wants a queue that survives runs ``thunderdl daemon``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import replace
from socket import socket
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.aria2c.background import into_background
from thunderdl.cli.aria2c.console import Console
from thunderdl.cli.aria2c.given import Given, conf_path
from thunderdl.cli.aria2c.jobs import Job as Named
from thunderdl.cli.aria2c.jobs import Jobs
from thunderdl.cli.aria2c.queued import queue_all, session_text
from thunderdl.cli.aria2c.running import EVERY_S, is_running
from thunderdl.cli.aria2c.saving import write_session
from thunderdl.cli.serving import Company, Serving
from thunderdl.cli.serving import serve as serve_queue
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable, shown_url
from thunderdl.options import Options

if TYPE_CHECKING:
    from thunderdl.daemon.events import Subscription
    from thunderdl.daemon.queue import Queue

# aria2's hooks, by what happens in the queue: a torrent is told of when it is whole, and again when sharing is over.
_HOOKS = {
    "on-download-start": "started", "on-download-pause": "paused", "on-download-stop": "stopped",
    "on-bt-download-complete": "shared", "on-download-complete": "completed", "on-download-error": "failed",
}  # fmt: skip
_REFUSED = {
    "rpc-secure": "put a server that speaks TLS before it, as nginx or caddy",
    "rpc-user": "choose --rpc-secret in place of user and password",
    "rpc-passwd": "choose --rpc-secret in place of user and password",
}


def serve(given: Given, options: Options) -> int:
    """Run as aria2's RPC server with everything that was given; the exit status. ``options``: ours for all downloads.
    Raises BadOption, UsageError."""
    check(given)
    named = Jobs(given, options).all()
    options = replace(options, dir=os.path.abspath(options.dir))
    given.options["dir"] = options.dir
    state = tempfile.mkdtemp(prefix="thunderdl-aria2c-")
    try:
        return serve_queue(_serving(given, options, state, named), Aria2c(given, named))
    except UsageError as error:
        # In the words of aria2's option, not of ours.
        raise UsageError(str(error).replace("--listen", "--rpc-listen-port")) from None
    finally:
        shutil.rmtree(state, ignore_errors=True)


def check(given: Given) -> None:
    """Raises UsageError for what would be less safe here than it was asked for."""
    for name, advice in _REFUSED.items():
        if given.text(name) not in ("", "false"):
            raise UsageError(f"--{name}: not served here; {advice}.")
    if given.is_on("rpc-listen-all") and not given.text("rpc-secret"):
        raise UsageError("--rpc-listen-all lets other machines in: choose a secret for them with --rpc-secret.")
    if given.is_on("rpc-allow-origin-all") and given.options.get("rpc-secret") == "":
        raise UsageError("--rpc-allow-origin-all lets any web page in: choose a secret for them with --rpc-secret.")


def _serving(given: Given, options: Options, state: str, named: Sequence[Named]) -> Serving:
    from thunderdl.daemon.events import What
    from thunderdl.rpc.listening import Place
    from thunderdl.rpc.secret import checked_secret

    if given.text("seed-time") and float(given.text("seed-time")) == 0:
        # To us no time and no ratio say nothing; the rules' own ratio would hold for what comes by RPC.
        options = replace(options, ratio=0.0)
    port, is_for_all = given.number("rpc-listen-port"), given.is_on("rpc-listen-all")
    text = given.text("rpc-secret")
    own = settings.daemon_values().get("roots", ())
    # Whoever wrote the list may save where it says.
    folders = [options.dir, *map(os.path.expanduser, own), *(job.options.dir for job in named)]
    # aria2 tells it whether there is one or not, and whether it is read or not.
    told = {"conf-path": conf_path(given.options, os.environ), **given.options}
    return Serving(
        options=options, state=state, secret_folder=settings.state_path(),
        secret=checked_secret(text, "--rpc-secret") if text else None,
        places=(Place("0.0.0.0" if is_for_all else "127.0.0.1", port),),
        where_possible=() if given.is_on("disable-ipv6") else (Place("::" if is_for_all else "::1", port),),
        roots=tuple(dict.fromkeys(map(os.path.abspath, folders))), is_quiet=True,
        origins=("*",) if given.is_on("rpc-allow-origin-all") else (),
        foreign={name: value if isinstance(value, str) else tuple(value) for name, value in told.items()},
        programs={What(what): (given.text(name),) for name, what in _HOOKS.items() if given.text(name)},
        tells_whole=True,
    )  # fmt: skip


class Aria2c(Company):
    """``named``: what was to be downloaded from the start."""

    def __init__(self, given: Given, named: Sequence[Named]) -> None:
        self._given, self._named, self._console = given, named, Console(given)
        self._session = os.path.abspath(given.text("save-session")) if given.text("save-session") else ""
        # Told to have none: whoever is on this machine may ask, but no web page.
        self.is_open = given.options.get("rpc-secret") == ""
        self.save = self._save_asked

    def listens(self, sockets: Sequence[socket]) -> None:
        if not self._given.is_on("quiet") and "rpc-secret" not in self._given.options:
            path = os.path.join(settings.state_path(), "secret")
            write_line(sys.stderr, f"aria2c: the secret of the RPC is in {printable(path)}; --rpc-secret sets another.")
        if self._given.is_on("daemon"):
            into_background()

    @contextlib.asynccontextmanager
    async def at_work(self, queue: Queue, stopped: asyncio.Event) -> AsyncIterator[None]:
        console = self._console
        for warning in self._given.warnings:
            console.warn(warning)
        console.notice(f"IPv4 RPC: listening on TCP port {self._given.number('rpc-listen-port')}")
        with queue.events.listening() as heard:
            tasks = [asyncio.create_task(each) for each in self._beside(queue, stopped)]
            tasks.append(asyncio.create_task(_tell(heard, console)))
            try:
                for told in await queue_all(queue, self._named):
                    console.error(told)
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                # While it still knows what runs.
                await self._save(queue)
                console.close()

    def _beside(self, queue: Queue, stopped: asyncio.Event) -> Iterator[Coroutine[object, object, None]]:
        given = self._given
        if seconds := given.number("stop"):
            yield _after(seconds, stopped)
        if pid := given.number("stop-with-process"):
            yield _with_process(pid, stopped)
        if self._session and (seconds := given.number("save-session-interval")):
            yield self._save_each(seconds, queue)

    async def _save_each(self, seconds: float, queue: Queue) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._save(queue)

    async def _save_asked(self, queue: Queue) -> None:
        """``aria2.saveSession``: only to where the command line said."""
        if not self._session:
            raise UsageError("Filename is not given.")
        if fault := await self._written(queue):
            raise UsageError(f"Failed to serialize session to '{printable(self._session)}': {fault}.")

    async def _save(self, queue: Queue) -> None:
        if self._session and (fault := await self._written(queue)):
            self._console.error(f"Failed to serialize session to '{self._session}': {fault}.")

    async def _written(self, queue: Queue) -> str | None:
        keeps = self._given.is_on("rpc-save-upload-metadata")
        text = await session_text(queue, keeps_documents=keeps)
        return await asyncio.to_thread(write_session, self._session, text)


async def _tell(heard: Subscription, console: Console) -> None:
    """What ends, as aria2 tells it."""
    from thunderdl.daemon.events import What

    async for event in heard:
        job = event.job
        if job is None or job.outcome is None:
            continue
        if event.what is What.COMPLETED:
            console.notice(f"Download complete: {job.outcome.path}")
        elif event.what is What.FAILED:
            told = f"GID#{job.gid} - Download aborted. URI={shown_url(job.wish.url)}"
            console.error(f"{told}\nException: {shown_url(job.outcome.error)}")


async def _after(seconds: float, stopped: asyncio.Event) -> None:
    await asyncio.sleep(seconds)
    stopped.set()


async def _with_process(pid: int, stopped: asyncio.Event) -> None:
    while is_running(pid):  # noqa: ASYNC110  # of a foreign process nobody tells
        await asyncio.sleep(EVERY_S)
    stopped.set()
