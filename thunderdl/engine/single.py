"""Files that need no scheduler: whole in one answer, or of unknown length on one connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from thunderdl.engine.decoding import decoded_body
from thunderdl.engine.naming import Target
from thunderdl.engine.opening import Opening, located, release
from thunderdl.engine.pacing import Pace
from thunderdl.engine.session import Session
from thunderdl.engine.sharing_names import is_part_of, opened_at_a_name
from thunderdl.errors import BadContent, Cancelled, ConnectionLost, SourceError, StorageError, TimedOut
from thunderdl.formats.content_key import LEAF_BYTES, content_key, granule_root, leaf_digests
from thunderdl.formats.hashes import new_hasher
from thunderdl.model import ContentKey, Digest, PieceHashes
from thunderdl.options import Options
from thunderdl.sources.http.events import Broke, Finished
from thunderdl.sources.http.head import Body
from thunderdl.storage.files import storage_fault, write_at, write_small
from thunderdl.storage.marks import Mark

POLL_S = 0.1
if TYPE_CHECKING:
    from thunderdl.engine.ledger import Ledger

# Where a body without a length is told to end.
_ENDLESS = 1 << 62


def whole_body(opening: Opening) -> bytes | None:
    """The file, where the first answer held all of it; None where there is more to fetch."""
    transfer, head = opening.transfer, opening.head
    if transfer.body is None or not transfer.whole or transfer.start != 0 or head.coded:
        return None
    if head.status == 206 and head.total_bytes != len(transfer.body):
        return None
    return bytes(transfer.body)


async def save_small(
    session: Session, options: Options, target: Target, body: bytes, mark: Mark | None = None, *,
    named: Callable[[str, tuple[str, ...]], None], begun_as: Iterable[str] = (), waits: bool = False,
) -> tuple[str, tuple[str, ...], ContentKey | None]:  # fmt: skip
    """Check and save a file that lies in memory: path, what was verified, content key. ``named``: told of path and
    verified as soon as it has its name, also where nobody waits any more; ``begun_as``: what an earlier run of it may
    be called in its journal; ``waits``: ``mark`` waits for somebody, so that the loop must not. Raises
    BadContent."""
    verified = check_small(options, target.path, body)

    def write() -> str:
        path = _write(target, body, options, mark, begun_as)
        named(path, verified)
        return path

    path = await (session.to_its_end if waits else session.on_quick_disk)(write)
    session.unsynced_folders.add(os.path.dirname(path))
    return path, verified, small_key(body) if options.key else None


def check_small(options: Options, where: str, body: bytes) -> tuple[str, ...]:
    """Compare a body with the hashes that were given: what was verified. Raises BadContent."""
    verified: tuple[str, ...] = ()
    if (expected := options.checksum) is not None:
        found = _digest(expected.algorithm, body)
        if not expected.covers(found):
            raise BadContent(where, str(expected), str(found))
        verified = (str(expected),)
    if (pieces := options.piece_hashes) is not None:
        check_count(pieces, where, len(body))
        for index, digest in enumerate(pieces.digests):
            part = body[index * pieces.piece_length : (index + 1) * pieces.piece_length]
            found = _digest(pieces.algorithm, part)
            if found.value != digest:
                raise BadContent(f"{where}, piece {index}", f"{pieces.algorithm}={digest.hex()}", str(found))
        verified += (f"pieces:{pieces.algorithm}",)
    return verified


def check_count(pieces: PieceHashes, where: str, size: int) -> None:
    """Raise BadContent where a file of ``size`` bytes has another number of pieces than there are hashes."""
    if not pieces.fits(size):
        expected = f"{len(pieces.digests)} pieces of {pieces.piece_length} bytes"
        raise BadContent(where, expected, f"a file of {size} bytes")


def small_key(body: bytes) -> ContentKey:
    """The content key of a body in memory."""
    per_granule = 1 << max(0, (-(-len(body) // LEAF_BYTES) - 1).bit_length())
    roots = granule_root(leaf_digests(memoryview(body)), len(body), per_granule) if body else b""
    return content_key(len(body), roots, per_granule)


def _digest(algorithm: str, body: bytes) -> Digest:
    hasher = new_hasher(algorithm)
    hasher.update(memoryview(body))
    return Digest(algorithm, hasher.digest())


def _write(
    target: Target, body: bytes, options: Options, mark: Mark | None = None, begun_as: Iterable[str] = ()
) -> str:
    def write() -> str:
        return opened_at_a_name(
            lambda path: write_small(path, body, options.exists, mark), target.path, options.exists,
            lambda path: is_part_of(begun_as, path), goes_on=False,
        )  # fmt: skip

    # Looked at before: after a failure another download of the session may just have made it.
    had_folder = os.path.isdir(os.path.dirname(target.path) or ".")
    try:
        return write()
    except StorageError:
        if had_folder:
            raise
        target.make_folder()
        return write()


async def save_stream(
    session: Session, options: Options, ledger: Ledger, opening: Opening, count: Callable[[int], None], pace: Pace
) -> int:
    """Save a body of unknown length to the ledger's file: its length. Raises a SourceError or StorageError."""
    if opening.head.coded:
        return await _save_coded(session, options, ledger, opening, count, pace)
    transfer, connection = opening.transfer, opening.connection
    if connection is None or transfer.body is not None:
        release(session, opening)
        raise ConnectionLost(opening.url, "closed before its body came")
    try:
        event = await _proceeded(session, options, ledger, opening, count)
        if isinstance(event, Finished) and event.reusable:
            session.pool.keep(opening.endpoint, connection)
    finally:
        session.pool.free_slot(opening.endpoint)
        opening.connection = None
    if isinstance(event, Finished):
        return _note_whole(ledger, transfer.position)
    if isinstance(event.error, SourceError):
        raise located(event.error, opening.url)
    if isinstance(event.error, OSError):
        raise storage_fault(ledger.part.path, event.error)
    raise event.error


async def _proceeded(
    session: Session, options: Options, ledger: Ledger, opening: Opening, count: Callable[[int], None]
) -> Finished | Broke:
    """Let the mover write the parked body until it ends, breaks, or falls silent."""
    transfer, connection = opening.transfer, opening.connection
    assert connection is not None
    ended: asyncio.Future[Finished | Broke] = session.loop.create_future()

    def notify(event: object) -> None:
        if isinstance(event, Finished | Broke) and not ended.done():
            ended.set_result(event)

    transfer.notify, transfer.end = notify, _ENDLESS
    connection.proceed(transfer, Body(0, None, opening.head.chunked), ledger.store)
    seen, moved_at = 0, session.loop.time()
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=POLL_S)
            if transfer.position > seen:
                seen, moved_at = transfer.position, session.loop.time()
            elif session.loop.time() - moved_at > options.timeout:
                connection.close(TimedOut(opening.url, "silent for too long"))
            # Also where nothing came: its rate falls.
            count(seen)
    except asyncio.CancelledError:
        # Until the mover has ended it writes to this descriptor, which would soon be another file's.
        connection.close(Cancelled())
        await asyncio.wait({ended})
        raise
    return ended.result()


def _note_whole(ledger: Ledger, size: int) -> int:
    """The body ended by itself: now its size is known."""
    ledger.grew_to(size)
    return size


async def _save_coded(
    session: Session, options: Options, ledger: Ledger, opening: Opening, count: Callable[[int], None], pace: Pace
) -> int:  # fmt: skip
    """A body that is compressed although identity was asked for: asked for once more, whole, and decoded here."""
    done = 0
    try:
        async with contextlib.aclosing(decoded_body(session, options, opening, pace)) as parts:
            async for part in parts:
                await session.on_disk(write_at, ledger.part.fd, part, done)
                done += len(part)
                count(done)
    except OSError as error:
        raise storage_fault(ledger.part.path, error) from error
    return _note_whole(ledger, done)
