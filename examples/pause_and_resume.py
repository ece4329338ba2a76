"""Pause in the middle, then go on: ``python examples/pause_and_resume.py URL [FOLDER]``.

Between pause and resume nothing runs: the program could as well end here and ask for the same URL tomorrow.
"""

from __future__ import annotations

import asyncio
import sys

from thunderdl import Client, Options, Result, Status, Task


async def download(url: str, folder: str) -> Result:
    async with Client(Options(dir=folder)) as client:
        task = client.add(url)
        paused = False
        async for now in task:
            if not paused and now.size_bytes and now.done_bytes >= now.size_bytes // 4:
                paused = True
                await pause(task)
                task.resume()
        return await task


async def pause(task: Task) -> None:
    """Stop it, and return when it has stopped; it may have ended before."""
    task.pause()
    while task.progress().status in (Status.ACTIVE, Status.VERIFYING):
        await asyncio.sleep(0.01)
    now = task.progress()
    print(f"{now.status.value} at {now.done_bytes} of {now.size_bytes} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ended = asyncio.run(download(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "."))
    print(f"{ended.path}: {ended.bytes} bytes, {ended.resumed_bytes} of them from before the pause")
