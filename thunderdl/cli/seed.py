"""``thunderdl seed``: what is there is shared until it is enough, with a line on how it goes.

Ctrl-C is how sharing without a goal ends, so that is no failure: exit code 0; where --ratio or --seed-time was given
and not reached, 130. Invariant: with ``--json`` stdout holds one object a line and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thunderdl.cli import exit_codes, settings
from thunderdl.cli.get import open_client
from thunderdl.cli.grammar import Typed
from thunderdl.cli.progress import Gauge
from thunderdl.cli.sentences import complaint, shared
from thunderdl.cli.session import STOPPED
from thunderdl.cli.views import Paper, write_line
from thunderdl.errors import Cancelled, UsageError, printable
from thunderdl.options import Options
from thunderdl.quantities import rate

if TYPE_CHECKING:
    from thunderdl.client import Client
    from thunderdl.engine.seeding import Seeding, SeedProgress

LINE_EVERY_S = 5.0
LIVE_EVERY_S = 0.5


def seed(typed: Typed) -> int:
    """Share each of the paths."""
    # What is said goes by the path: one that is named twice is shared once.
    options, paths = settings.load(typed.settings()).options(), tuple(dict.fromkeys(typed.texts("paths")))
    if options.torrent is not None and len(paths) > 1:
        raise UsageError("--torrent belongs to one path, but there are several; give one.")
    return asyncio.run(_Seeder(options, quiet=typed.is_on("quiet"), as_json=typed.is_on("json")).run(paths))


class _Seeder:
    """Several seeds of one process, and what is said of them."""

    def __init__(self, options: Options, *, quiet: bool, as_json: bool) -> None:
        self._options, self._quiet, self._json = options, quiet, as_json
        self._live = not quiet and not as_json and sys.stderr.isatty()
        self._stopped = asyncio.Event()
        self._codes: list[int] = []
        self._running: dict[str, Seeding] = {}

    async def run(self, paths: Sequence[str]) -> int:
        with _on_signals(self._stop):
            async with open_client(self._options) as client:
                showing = asyncio.create_task(self._show())
                await asyncio.gather(*(self._one(client, path) for path in paths))
                showing.cancel()
                await asyncio.wait({showing})
        return exit_codes.worst(self._codes)

    async def _one(self, client: Client, path: str) -> None:
        """From the path to the end of its sharing."""
        try:
            with Gauge("checking", shown=self._live) as gauge:
                seeding = await self._begun(client, path, gauge)
            self._running[path] = seeding
            self._tell_start(path, seeding)
            why = await self._until_enough(seeding)
        except Exception as error:
            self._failed(path, error)
            return
        self._running.pop(path)
        self._tell_end(path, seeding.progress(), why)
        has_goal = self._options.ratio is not None or self._options.seed_time is not None
        self._codes.append(STOPPED if why == "stopped" and has_goal else 0)

    async def _begun(self, client: Client, path: str, gauge: Gauge) -> Seeding:
        def on_read(done_bytes: int, whole_bytes: int) -> None:
            # Also the way out for a thread that hashes.
            if self._stopped.is_set():
                raise Cancelled
            gauge.show(done_bytes, whole_bytes)

        return await client.seed(path, on_read=on_read)

    async def _until_enough(self, seeding: Seeding) -> str:
        enough, stopped = asyncio.ensure_future(seeding.outcome()), asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((enough, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended = enough.done()
        enough.cancel()
        try:
            return enough.result() if ended else "stopped"
        finally:
            await seeding.stop()

    def _stop(self) -> None:
        if self._stopped.is_set():
            os._exit(STOPPED)
        self._stopped.set()

    # -- what is said

    def _failed(self, path: str, error: Exception) -> None:
        self._running.pop(path, None)
        code = exit_codes.of_error(error)
        if isinstance(error, Cancelled):
            self._codes.append(STOPPED)
        elif self._json:
            told = {"code": code, "kind": type(error).__name__, "message": complaint(error)}
            self._say_json({"event": "failed", "path": path, "error": told})
        else:
            self._above(f"thunderdl: {complaint(error)}", sys.stderr)
        self._codes.append(code)

    def _tell_start(self, path: str, seeding: Seeding) -> None:
        if seeding.note:
            self._above(f"thunderdl: {seeding.note}.", sys.stderr)
        if self._json:
            self._say_json({
                "event": "seeding", "path": path, "name": seeding.name, "info_hash_v1": seeding.info_hash_v1,
                "info_hash_v2": seeding.info_hash_v2, "magnet": seeding.magnet, "port": seeding.port,
            })  # fmt: skip
        elif not self._quiet:
            self._above(f"seeding {printable(path)}  at port {seeding.port}\n{seeding.magnet}", sys.stdout)

    def _tell_end(self, path: str, last: SeedProgress, why: str) -> None:
        if self._json:
            self._say_json({"event": "ended", "why": why, "path": path, **_facts(last)})
        elif not self._quiet:
            reason = {"ratio": "the ratio is reached", "time": "the time is over"}.get(why, "stopped")
            self._above(f"shared {printable(path)}  {shared(last.sent_bytes, last.size_bytes)}, {reason}", sys.stdout)

    async def _show(self) -> None:
        last = time.monotonic()
        while not self._quiet:
            await asyncio.sleep(LIVE_EVERY_S)
            if self._live and self._running:
                sys.stderr.write(f"\r\x1b[K{_line([each.progress() for each in self._running.values()])}")
                sys.stderr.flush()
            elif self._running and time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self._tell_all()

    def _tell_all(self) -> None:
        for path, seeding in self._running.items():
            if self._json:
                self._say_json({"event": "progress", "path": path, **_facts(seeding.progress())})
            else:
                write_line(sys.stderr, f"{printable(path)}  {_line([seeding.progress()])}")

    def _above(self, text: str, stream: Paper) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        write_line(stream, text)

    def _say_json(self, facts: dict[str, object]) -> None:
        import json

        write_line(sys.stdout, json.dumps(facts))


def _line(seeds: Sequence[SeedProgress]) -> str:
    """``2 peers  1.20 MiB/s  12.0 MiB (ratio 0.50)``, over all of them."""
    peers = sum(len(each.peers) for each in seeds)
    sent, whole = sum(each.sent_bytes for each in seeds), sum(each.size_bytes for each in seeds)
    count = "1 peer" if peers == 1 else f"{peers} peers"
    return f"{count}  {rate(sum(each.rate_bytes_per_s for each in seeds))}  {shared(sent, whole)}"


def _facts(seen: SeedProgress) -> dict[str, object]:
    return {
        "peers": len(seen.peers), "rate_bytes_per_s": seen.rate_bytes_per_s, "uploaded_bytes": seen.sent_bytes,
        "size_bytes": seen.size_bytes, "ratio": round(seen.ratio, 4),
    }  # fmt: skip


@contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
