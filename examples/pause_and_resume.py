"""Pause in the middle, then go on: ``python examples/pause_and_resume.py URL [FOLDER]``.

Between pause and resume nothing runs: the program could as well end here and ask for the same URL tomorrow.
"""

from __future__ import annotations

import asyncio
import sys

from thunderdl import Client, Options, Result, Status


async def download(url: str, folder: str) -> Result:
    """Pause once, at a quarter of the way."""
    async with Client(Options(dir=folder)) as client:
        task = client.add(url)
        was_paused = False
        async for now in task:
            if now.status is Status.PAUSED:
                print(f"paused at {now.done_bytes} of {now.size_bytes} bytes; going on")
                task.resume()
            elif not was_paused and now.size_bytes and now.done_bytes >= now.size_bytes // 4:
                was_paused = True
                task.pause()
        return await task


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ended = asyncio.run(download(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "."))
    print(f"{ended.path}: {ended.bytes} bytes, {ended.resumed_bytes} of them from before the pause")
