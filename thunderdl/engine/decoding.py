"""A body that comes by httpx, whole and in order, with its coding undone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from thunderdl.engine.opening import Opening, release
from thunderdl.engine.pacing import Pace
from thunderdl.engine.proxies import policy_of
from thunderdl.engine.session import Session
from thunderdl.errors import BadResponse
from thunderdl.options import Options

if TYPE_CHECKING:
    from thunderdl.sources.http.decoding import Decoder


async def decoded_body(session: Session, options: Options, opening: Opening, pace: Pace) -> AsyncGenerator[bytes, None]:
    """What the opening is the beginning of, asked for once more. Gives its slot and connection back. Raises
    BadResponse for a coding that cannot be undone, SourceError."""
    release(session, opening)
    coding = opening.head.get("content-encoding") if opening.head.coded else None
    policy = policy_of(session, options)
    raw_body = policy.raw_body(
        opening.url, opening.final_url, opening.request.fields(), coding, outside=opening.endpoint.outside
    )  # fmt: skip
    try:
        decoder = _decoder(coding)
        # Left to the collector it is closed while httpx is at work in it, which asyncio tells the user of.
        async with contextlib.aclosing(raw_body):
            async for raw in raw_body:
                await pace.passed(len(raw))
                for part in decoder.feed(raw) if decoder else (raw,):
                    yield part
        if decoder is not None:
            decoder.finish()
    except ValueError as error:
        raise BadResponse(opening.url, f"its compressed body cannot be read ({error})") from None


def _decoder(coding: str | None) -> Decoder | None:
    if coding is None:
        return None
    from thunderdl.sources.http.decoding import Decoder

    return Decoder(coding)
