"""``thunderdl verify``: a file against the digests that are known of it."""

from __future__ import annotations

import sys

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.views import write_line
from thunderdl.errors import BadContent, UsageError, printable
from thunderdl.model import Digest, PieceHashes

# So many bad pieces are named; more say nothing new.
_NAMED = 8


def verify(typed: Typed) -> int:
    """Check the file; BadContent where it is not what was asked for."""
    options = settings.load(typed.settings()).options()
    path, quiet = typed.text("file") or "", typed.is_on("quiet")
    if options.checksum is None and options.piece_hashes is None:
        raise UsageError("nothing to verify against; give --checksum ALGO=HEX or --piece-hashes FILE.")
    told: list[str] = []
    if options.piece_hashes is not None:
        told.append(_pieces(path, options.piece_hashes))
    if options.checksum is not None:
        told.append(_whole(path, options.checksum, shown=not quiet and sys.stderr.isatty()))
    if not quiet:
        write_line(sys.stdout, f"{printable(path)}: verified {', '.join(told)}")
    return 0


def _whole(path: str, expected: Digest, *, shown: bool) -> str:
    from thunderdl.verify import hash_file

    try:
        found = hash_file(path, expected.algorithm, _percent if shown else None)
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
    if not expected.covers(found):
        raise BadContent(path, str(expected), str(found))
    return expected.algorithm


def _percent(done_bytes: int, size_bytes: int) -> None:
    sys.stderr.write(f"\r{done_bytes * 100 // max(size_bytes, 1):3} %")


def _pieces(path: str, expected: PieceHashes) -> str:
    from thunderdl.verify import piece_hashes_of

    found = piece_hashes_of(path, expected.algorithm, expected.piece_length)
    if len(found.digests) != len(expected.digests):
        raise BadContent(path, f"{len(expected.digests)} pieces", f"{len(found.digests)}")
    pairs = zip(expected.digests, found.digests, strict=True)
    bad = [index for index, (wanted, there) in enumerate(pairs) if wanted != there]
    if bad:
        named = ", ".join(map(str, bad[:_NAMED])) + (" …" if len(bad) > _NAMED else "")
        raise BadContent(path, f"{len(expected.digests)} good pieces", f"{len(bad)} bad ones (number {named})")
    return f"{len(expected.digests)} pieces by {expected.algorithm}"
