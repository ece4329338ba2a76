"""The live view: plain lines above, a picture of what is running below, on a terminal.

rich is loaded only once a download has lasted :data:`PATIENCE_S`: its import (45 ms) would be most of the time of a
small file. Invariant: after :meth:`LiveView.close` the picture is gone, the cursor is back, every line is written.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from thunderdl.cli.plain import PlainView
from thunderdl.cli.views import Loudness, View, Watched
from thunderdl.errors import ThunderdlError
from thunderdl.model import Result

if TYPE_CHECKING:
    from thunderdl.cli.display import Board

PATIENCE_S = 0.3
FRAME_S = 0.1
EVENTS_EVERY_S = 0.5
# What a line begins with decides its colour; the rest of a line may come from outside and is never styled.
COLOURS = {"saved": "green", "skipped": "yellow", "stopped": "yellow", "failed": "red"}
_ANSI = {"green": "\x1b[32m", "yellow": "\x1b[33m", "red": "\x1b[31m"}


def choose_view(loudness: Loudness, *, as_json: bool = False) -> View:
    """The live view on a terminal that can show it, else plain lines."""
    if as_json or loudness.quiet or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainView(loudness, as_json=as_json)
    return LiveView(loudness)


async def follow(client: Watched) -> None:
    """Show the tasks that are active now until none of them is left."""
    view = choose_view(Loudness())
    watching = asyncio.create_task(view.watch(client))
    followed = set(client.tasks())
    try:
        while followed & set(client.tasks()):  # noqa: ASYNC110  # progress is polled, never pushed
            await asyncio.sleep(FRAME_S)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        view.close()


class LiveView:
    """See :class:`thunderdl.cli.views.View`."""

    def __init__(self, loudness: Loudness) -> None:
        self._loudness = loudness
        self._board: Board | None = None
        self._waiting: list[str] = []
        self._plain = PlainView(loudness, stdout=_Above(self, sys.stdout), stderr=_Above(self, sys.stderr))

    async def watch(self, client: Watched) -> None:
        await asyncio.sleep(PATIENCE_S)
        from thunderdl.cli import display

        self._board = display.Board()
        next_events = time.monotonic()
        while True:
            if self._loudness.verbose and time.monotonic() >= next_events:
                next_events += EVENTS_EVERY_S
                self._plain.tell_events(client)
            self._board.draw(display.look(client, self._board.height), self._taken())
            await asyncio.sleep(FRAME_S)

    def finished(self, result: Result) -> None:
        self._plain.finished(result)

    def problem(self, error: ThunderdlError) -> None:
        self._plain.problem(error)

    def close(self) -> None:
        if self._board is not None:
            self._board.close(self._taken())
            self._board = None

    def line(self, text: str, stream: TextIO) -> None:
        """Above the picture where there is one; a stream that is no terminal gets its lines directly."""
        if not stream.isatty():
            stream.write(text + "\n")
        elif self._board is not None:
            self._waiting.append(text)
        else:
            stream.write(_coloured(text) + "\n")
            stream.flush()

    def _taken(self) -> list[str]:
        # A batch of small files ends hundreds of lines a frame; one print for all of them keeps up.
        taken, self._waiting = self._waiting, []
        return taken


def _coloured(text: str) -> str:
    word, space, rest = text.partition(" ")
    if word not in COLOURS or os.environ.get("NO_COLOR"):
        return text
    return f"{_ANSI[COLOURS[word]]}{word}\x1b[0m{space}{rest}"


class _Above:
    """What PlainView writes to: each line goes to the view."""

    def __init__(self, view: LiveView, stream: TextIO) -> None:
        self._view, self._stream = view, stream

    def write(self, text: str, /) -> int:
        self._view.line(text.removesuffix("\n"), self._stream)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
