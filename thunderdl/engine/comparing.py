"""Asks mirrors for the places that :mod:`thunderdl.core.hunting` wants compared, each of them for one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from thunderdl.core.hunting import CHUNK_BYTES, Hunt, Place
from thunderdl.engine.opening import First, Opening, release
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError
from thunderdl.formats.fast_digest import fast_hasher
from thunderdl.sources.http.transfer import COLLECT_BYTES

# Who has not sent a place by then is not asked any more: the others are as good.
PATIENCE_S = 10.0

# Asks a source for a range. Raises ThunderdlError.
AskSource = Callable[[int, First], Awaitable[Opening]]


async def compare(session: Session, hunt: Hunt, sources: Iterable[int], ask: AskSource) -> dict[int, int]:
    """Until nothing is left to ask; how many bytes each source sent for it."""
    sent: dict[int, int] = {}
    news = asyncio.Condition()

    async def ask_all(source: int) -> None:
        while True:
            async with news:
                if (place := hunt.next_for(source)) is None:
                    if not hunt.is_asking:
                        return
                    await news.wait()
                    continue
            digest = None
            try:
                digest = await _digest_of(session, source, place, ask)
            finally:
                hunt.answer(source, place, digest)
                async with news:
                    news.notify_all()
            if digest is None:
                return
            sent[source] = sent.get(source, 0) + place.end - place.start

    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(ask_all(source))
    return sent


async def _digest_of(session: Session, source: int, place: Place, ask: AskSource) -> bytes | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            opening = await ask(source, First(place.start, place.end - place.start))
    except (ThunderdlError, TimeoutError):
        return None
    try:
        body = opening.transfer.body
        if body is None or opening.head.status != 206 or len(body) != place.end - place.start:
            return None
        hasher = fast_hasher()
        hasher.update(bytes(body))
        return hasher.digest()
    finally:
        release(session, opening)


assert CHUNK_BYTES <= COLLECT_BYTES
