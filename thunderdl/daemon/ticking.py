"""What the daemon does by the clock, again and again, whatever one time of it meets.

An exception that nobody had foreseen ended the task that did it, and nobody heard: until the next restart nothing came
due, began or ended at its hour, or was taken from a watch folder, while all else went on as if nothing were wrong.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence

from thunderdl.errors import foreseen

Work = Callable[[], Awaitable[None] | None]


async def every(
    seconds: float, works: Sequence[Work], tell: Callable[[str], None], *, at_once: bool = False
) -> None:  # fmt: skip
    """Do them all in order every so many ``seconds``, until cancelled; ``at_once``: for the first time now. What one of
    them raises is told, once while it is the same, and holds up none of the others."""
    told = [""] * len(works)
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        for number, work in enumerate(works):
            failed = await _failed(work)
            if failed and failed != told[number]:
                tell(failed)
            told[number] = failed
        await asyncio.sleep(seconds)


async def _failed(work: Work) -> str:
    """Do it: what went wrong, in a sentence; "" where nothing did."""
    try:
        if (waited_for := work()) is not None:
            await waited_for
    except Exception as error:
        return unforeseen(error)
    return ""


def unforeseen(error: Exception) -> str:
    """What is told of it, in a sentence."""
    if os.environ.get("THUNDERDL_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    return f"the daemon goes on, but it met what it should not: {foreseen(error)}"
