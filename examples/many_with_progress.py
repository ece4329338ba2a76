"""Many files, some at once, with their progress: ``python examples/many_with_progress.py FOLDER URL…``.

The list may be as long as you like, or a generator: the next request is taken when there is room for it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from thunderdl import Client, Options, Request


async def show(client: Client) -> None:
    """A line for each file under way, twice a second; what is shown is asked for, nothing is called back."""
    while True:
        await asyncio.sleep(0.5)
        for task in client.tasks():
            now = task.progress()
            print(f"  {now.name}: {now.done_bytes} of {now.size_bytes or '?'} bytes", file=sys.stderr)


async def download_all(folder: str, urls: Sequence[str]) -> int:
    """How many failed."""
    failed = 0
    async with Client(Options(dir=folder, jobs=4)) as client:
        showing = asyncio.create_task(show(client))
        async for result in client.run(Request(url) for url in urls):
            if result.error is not None:
                failed += 1
                print(f"failed  {result.error}")
            else:
                print(f"saved   {result.path}  {result.bytes} bytes")
        showing.cancel()
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(min(1, asyncio.run(download_all(sys.argv[1], sys.argv[2:]))))
