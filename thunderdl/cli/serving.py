"""The queue and its interfaces, run until SIGTERM, Ctrl-C or a client ends it: for ``thunderdl daemon`` and for
``aria2c --enable-rpc``.

Invariants: the secret is on no command line of ours, in no log and in no process list; a terminal alone is shown it, as
a link that logs in. It stops within two seconds, and what ran goes on next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from socket import socket
from typing import TYPE_CHECKING, NamedTuple

from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.options import Exists, Options

if TYPE_CHECKING:
    from thunderdl.daemon.events import What
    from thunderdl.daemon.jobs import Text
    from thunderdl.daemon.queue import Queue
    from thunderdl.rpc.access import Access
    from thunderdl.rpc.aria2.session import Save
    from thunderdl.rpc.listening import Place

SECRET_VARIABLE = "THUNDERDL_RPC_SECRET"
# aria2 takes three seconds.
_ANSWERED_S = 0.5


class Serving(NamedTuple):
    """What is served, judged. ``secret``: None for the one in the folder ``secret_folder``; ``where_possible``: places
    that are done without where they cannot be had; ``programs``: what is run on what; ``foreign``: options of aria2's
    that were given for all tasks, to be told again; ``tells_whole``: as of :class:`thunderdl.daemon.hooks.Hooks`."""

    options: Options
    state: str
    secret_folder: str
    places: Sequence[Place]
    roots: tuple[str, ...]
    secret: str | None = None
    host_names: Sequence[str] = ()
    origins: Sequence[str] = ()
    is_quiet: bool = False
    programs: Mapping[What, Sequence[str]] = {}
    webhook: str | None = None
    watched: Sequence[str] = ()
    where_possible: Sequence[Place] = ()
    foreign: Mapping[str, Text] = {}
    tells_whole: bool = False


class Company:
    """What a command does beside, each of it nothing here. ``is_open``: aria2's calls need no secret; ``save``: what
    aria2.saveSession does, None for nothing."""

    is_open = False
    save: Save | None = None

    def listens(self, sockets: Sequence[socket]) -> None:
        """Nothing can be refused any more, and nothing runs yet."""

    def at_work(self, queue: Queue, stopped: asyncio.Event) -> AbstractAsyncContextManager[None]:
        """Entered when the queue runs and nobody is answered yet, left when nobody is any more and the queue still
        runs. ``stopped``: to be set to end it."""
        return contextlib.nullcontext()


def serve(serving: Serving, company: Company) -> int:
    """Until it is told to stop; the exit status. Raises UsageError, StorageError, TargetLocked."""
    with _sockets(serving) as sockets:
        company.listens(sockets)
        return asyncio.run(_run(serving, company, sockets))


async def _run(serving: Serving, company: Company, sockets: Sequence[socket]) -> int:
    from thunderdl.daemon.queue import Queue
    from thunderdl.daemon.rules import Rules
    from thunderdl.rpc.aria2.routes import Aria2
    from thunderdl.rpc.listening import tell_systemd
    from thunderdl.rpc.secret import Secret
    from thunderdl.rpc.server import Server

    rules = Rules(base=serving.options, roots=serving.roots, foreign=serving.foreign)
    # What is loaded stays: to look through 100,000 tasks for garbage takes 0.4 s of a start, and stops everything for a
    # tenth of a second later on.
    gc.disable()
    async with Queue(serving.state, rules, _Told()).running() as queue:
        gc.freeze()
        gc.enable()
        secret = await asyncio.to_thread(_secret, serving)
        for note in queue.store.notes:
            write_line(sys.stderr, f"thunderdl: {printable(note)}")
        stopped = _stopped_by_signals()
        proof = Secret(secret)
        proven, port = _anyone if company.is_open else proof.is_proven, _port(sockets)
        aria2 = Aria2(queue, proven, lambda _: _soon(stopped), company.save, port=port)
        server = Server(queue, sockets, _access(serving, sockets), proof, aria2.services)
        async with _attended(queue, serving), company.at_work(queue, stopped), aria2.running(), server.running():
            await asyncio.to_thread(_keep_address, serving.state, sockets)
            tell_systemd("READY=1", os.environ)
            _say(serving, sockets, secret)
            await stopped.wait()
            tell_systemd("STOPPING=1", os.environ)
    return 0


def _secret(serving: Serving) -> str:
    from thunderdl.rpc.secret import kept_secret

    if serving.secret is not None:
        return serving.secret
    os.makedirs(serving.secret_folder, mode=0o700, exist_ok=True)
    return kept_secret(serving.secret_folder)


def _port(sockets: Sequence[socket]) -> int | None:
    from thunderdl.rpc.listening import place_of

    place = next(filter(None, map(place_of, sockets)), None)
    return place.port if place is not None else None


async def _anyone(_: str) -> bool:
    return True


def _soon(stopped: asyncio.Event) -> None:
    """Whoever asked for it by RPC gets an answer first."""
    asyncio.get_running_loop().call_later(_ANSWERED_S, stopped.set)


@contextlib.contextmanager
def _sockets(serving: Serving) -> Iterator[list[socket]]:
    """Those that systemd has opened, else those that were asked for. Raises UsageError."""
    from thunderdl.rpc.listening import from_systemd, opened, place_of

    sockets = from_systemd(os.environ, os.getpid()) or opened(serving.places)
    for place in serving.where_possible:
        with contextlib.suppress(UsageError):
            sockets += opened([place])
    try:
        for place in filter(None, map(place_of, sockets)):
            if not place.is_loopback and serving.secret is None:
                raise UsageError(
                    f"{place} can be reached from other machines: choose a secret for it, in a file that --secret-file "
                    f"names or in {SECRET_VARIABLE}."
                )
        yield sockets
    finally:
        for each in sockets:
            each.close()


def _access(serving: Serving, sockets: Sequence[socket]) -> Access:
    from thunderdl.rpc.access import made
    from thunderdl.rpc.listening import place_of

    hosts = [place.host for place in map(place_of, sockets) if place is not None]
    is_any = bool({"0.0.0.0", "::"} & set(hosts))
    bracketed = (f"[{host}]" if ":" in host else host for host in hosts)
    return made((*bracketed, *serving.host_names), serving.origins, any_address=is_any)


def _say(serving: Serving, sockets: Sequence[socket], secret: str) -> None:
    """The page's address, one line."""
    from thunderdl.rpc.listening import place_of

    if serving.is_quiet:
        return
    place = next(filter(None, map(place_of, sockets)), None)
    if place is not None:
        from urllib.parse import quote

        # As the page reads it: what begins with a slash is a route there.
        fragment = f"#{quote(secret, safe='')}" if sys.stdout.isatty() else ""
        write_line(sys.stdout, f"thunderdl listens at http://{_called(place)}/{fragment}")


def _keep_address(state: str, sockets: Sequence[socket]) -> None:
    """Where the commands find it."""
    from thunderdl.rpc.listening import place_of
    from thunderdl.storage.files import write_small

    if (place := next(filter(None, map(place_of, sockets)), None)) is not None:
        write_small(os.path.join(state, "address"), f"http://{_called(place)}\n".encode(), Exists.OVERWRITE)


@contextlib.asynccontextmanager
async def _attended(queue: Queue, serving: Serving) -> AsyncIterator[None]:
    """Hooks are run and folders watched meanwhile; what goes wrong with them is told on stderr."""
    from thunderdl.daemon.hooks import Hooks
    from thunderdl.daemon.watching import Watcher

    notes, hooks = _Told(), Hooks(serving.programs, serving.webhook, serving.tells_whole)
    with hooks.hearing(queue) as heard:
        tasks = [asyncio.create_task(hooks.attend(heard, notes))]
        if serving.watched:
            tasks.append(asyncio.create_task(Watcher(serving.watched).watch(queue, notes)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Told(list[str]):
    """Notes that are told at once."""

    def append(self, note: str) -> None:
        # Of a log on a full disk nobody hears; who tells goes on.
        with contextlib.suppress(OSError):
            write_line(sys.stderr, f"thunderdl: {printable(note).rstrip('.')}.")


def _called(place: Place) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)
    return str(place._replace(host=host))


def _stopped_by_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; who asks twice does not want to wait."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        if stopped.is_set():
            os._exit(130)
        stopped.set()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop)
    with contextlib.suppress(ValueError):
        # The terminal that it was started from has closed: that is no reason to stop.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return stopped
