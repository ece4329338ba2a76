"""Small documents that tell of a download: fetched into memory, never longer than they may be."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.engine.session import Session
from thunderdl.errors import BadResponse
from thunderdl.options import Options

_WINDOW_BYTES = 4 * 1024 * 1024


async def fetched(session: Session, url: str, options: Options, *, most_bytes: int) -> bytes:
    """What is at ``url``. Raises BadResponse for more than ``most_bytes``, ThunderdlError."""
    from thunderdl.engine.streaming import stream

    # What the user gave to check the file with is not for what tells of it.
    plain = replace(options, torrent=None, checksum=None, piece_hashes=None, out=None, files=None)
    parts, total = list[bytes](), 0
    async for part in stream(session, (url,), plain, _WINDOW_BYTES):
        total += len(part)
        if total > most_bytes:
            raise BadResponse(url, f"it is larger than the {most_bytes} bytes that it may have")
        parts.append(part)
    return b"".join(parts)
