"""``thunderdl daemon``: the queue, and its interfaces, until SIGTERM or Ctrl-C.

Invariants: the secret is on no command line, in no log and in no process list; a terminal alone is shown it, as a link
that logs in. It stops within two seconds, and what ran goes on next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from socket import socket
from typing import TYPE_CHECKING, NamedTuple

from thunderdl.cli import settings
from thunderdl.cli.commands import HOOKED
from thunderdl.cli.grammar import Typed
from thunderdl.cli.passwords import with_password
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.options import Exists, Options

if TYPE_CHECKING:
    from thunderdl.daemon.events import What
    from thunderdl.daemon.queue import Queue
    from thunderdl.rpc.access import Access
    from thunderdl.rpc.listening import Place

_SECRET_VARIABLE = "THUNDERDL_RPC_SECRET"
# aria2 takes three seconds.
_ANSWERED_S = 0.5


class _Typed(NamedTuple):
    """What was typed, judged. ``secret``: None for the one in the state folder."""

    options: Options
    state: str
    places: Sequence[Place]
    roots: tuple[str, ...]
    secret: str | None
    host_names: Sequence[str]
    origins: Sequence[str]
    is_quiet: bool
    programs: Mapping[What, Sequence[str]]
    webhook: str | None
    watched: Sequence[str]


def daemon(typed: Typed) -> int:
    """Run until it is told to stop."""
    judged = _judged(typed, os.environ)
    return asyncio.run(_run(judged))


def _judged(typed: Typed, environment: MutableMapping[str, str]) -> _Typed:
    from thunderdl.rpc.listening import LOOPBACK, parse_place

    options = with_password(settings.load(typed.settings()).options())
    base = os.path.abspath(options.dir)
    places = tuple(map(parse_place, typed.texts("listen"))) or (LOOPBACK,)
    return _Typed(
        replace(options, dir=base), typed.text("state") or settings.state_path(), places,
        (base, *(os.path.abspath(os.path.expanduser(root)) for root in typed.texts("roots"))),
        _given_secret(typed.text("secret_file"), environment), typed.texts("host_names"), typed.texts("origins"),
        typed.is_on("quiet"), _programs(typed), _webhook(typed),
        tuple(os.path.abspath(os.path.expanduser(folder)) for folder in typed.texts("watched")),
    )  # fmt: skip


def _programs(typed: Typed) -> dict[What, Sequence[str]]:
    """What is run on what. Raises UsageError for what is no command line."""
    from thunderdl.daemon.events import What
    from thunderdl.reach import parse_command

    found: dict[What, Sequence[str]] = {}
    for what in HOOKED:
        if (command := typed.text(f"on_{what}")) is not None:
            try:
                parse_command(command)
            except ValueError as error:
                raise UsageError(f"--on-{what}: {printable(str(error)).lower()}.") from None
            found[What(what)] = shlex.split(command)
    return found


def _webhook(typed: Typed) -> str | None:
    webhook = typed.text("webhook")
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        raise UsageError("--webhook: write an address that begins with https:// or http://.")
    return webhook


def _given_secret(path: str | None, environment: MutableMapping[str, str]) -> str | None:
    """The secret that the user has set, from a file or from a variable, which programs that are run do not see."""
    from thunderdl.rpc.secret import checked_secret, secret_in

    text = environment.pop(_SECRET_VARIABLE, None)
    if path is not None:
        return secret_in(path)
    return checked_secret(text, _SECRET_VARIABLE) if text is not None else None


async def _run(typed: _Typed) -> int:
    from thunderdl.daemon.queue import Queue
    from thunderdl.daemon.rules import Rules
    from thunderdl.rpc.aria2.routes import Aria2
    from thunderdl.rpc.listening import tell_systemd
    from thunderdl.rpc.secret import Secret, kept_secret
    from thunderdl.rpc.server import Server

    rules = Rules(base=typed.options, roots=typed.roots)
    with _sockets(typed) as sockets:
        async with Queue(typed.state, rules).running() as queue:
            secret = await asyncio.to_thread(kept_secret, typed.state) if typed.secret is None else typed.secret
            for note in queue.store.notes:
                write_line(sys.stderr, f"thunderdl: {printable(note)}")
            stopped = _stopped_by_signals()
            proof = Secret(secret)
            aria2 = Aria2(queue, proof.is_proven, lambda _: _soon(stopped))
            server = Server(queue, sockets, _access(typed, sockets), proof, aria2.services)
            async with aria2.running(), server.running():
                await asyncio.to_thread(_keep_address, typed.state, sockets)
                tell_systemd("READY=1", os.environ)
                _say(typed, sockets, secret)
                async with _attended(queue, typed):
                    await stopped.wait()
                tell_systemd("STOPPING=1", os.environ)
    return 0


def _soon(stopped: asyncio.Event) -> None:
    """Whoever asked for it by RPC gets an answer first."""
    asyncio.get_running_loop().call_later(_ANSWERED_S, stopped.set)


@contextlib.contextmanager
def _sockets(typed: _Typed) -> Iterator[list[socket]]:
    """Those that systemd has opened, else those of --listen. Raises UsageError."""
    from thunderdl.rpc.listening import from_systemd, opened, place_of

    sockets = from_systemd(os.environ, os.getpid()) or opened(typed.places)
    try:
        for place in map(place_of, sockets):
            if place is not None and not place.is_loopback and typed.secret is None:
                raise UsageError(
                    f"{place} can be reached from other machines: choose a secret for it, in a file that --secret-file "
                    f"names or in {_SECRET_VARIABLE}."
                )
        yield sockets
    finally:
        for each in sockets:
            each.close()


def _access(typed: _Typed, sockets: Sequence[socket]) -> Access:
    from thunderdl.rpc.access import made
    from thunderdl.rpc.listening import place_of

    hosts = [place.host for place in map(place_of, sockets) if place is not None]
    is_any = bool({"0.0.0.0", "::"} & set(hosts))
    bracketed = (f"[{host}]" if ":" in host else host for host in hosts)
    return made((*bracketed, *typed.host_names), typed.origins, any_address=is_any)


def _say(typed: _Typed, sockets: Sequence[socket], secret: str) -> None:
    """The page's address, one line."""
    from thunderdl.rpc.listening import place_of

    if typed.is_quiet:
        return
    place = next(filter(None, map(place_of, sockets)), None)
    if place is not None:
        fragment = f"#{secret}" if sys.stdout.isatty() else ""
        write_line(sys.stdout, f"thunderdl listens at http://{_called(place)}/{fragment}")


def _keep_address(state: str, sockets: Sequence[socket]) -> None:
    """Where the commands find it."""
    from thunderdl.rpc.listening import place_of
    from thunderdl.storage.files import write_small

    if (place := next(filter(None, map(place_of, sockets)), None)) is not None:
        write_small(os.path.join(state, "address"), f"http://{_called(place)}\n".encode(), Exists.OVERWRITE)


@contextlib.asynccontextmanager
async def _attended(queue: Queue, typed: _Typed) -> AsyncIterator[None]:
    """Hooks are run and folders watched meanwhile; what goes wrong with them is told on stderr."""
    from thunderdl.daemon.hooks import Hooks
    from thunderdl.daemon.watching import Watcher

    notes, hooks = _Told(), Hooks(typed.programs, typed.webhook)
    with queue.events.listening() as heard:
        tasks = [asyncio.create_task(hooks.attend(heard, notes))]
        if typed.watched:
            tasks.append(asyncio.create_task(Watcher(typed.watched).watch(queue, notes)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Told(list[str]):
    """Notes that are told at once."""

    def append(self, note: str) -> None:
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
