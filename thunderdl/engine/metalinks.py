"""From what the user named to the files of a metalink: a path, a URL, the document itself."""

from __future__ import annotations

import os
from collections.abc import Sequence

from thunderdl.engine.documents import fetched
from thunderdl.engine.offers import Offer
from thunderdl.engine.session import Session
from thunderdl.errors import StorageError, UsageError, printable, shown_url
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import FOREIGN_SCHEMES, scheme_of
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.metalink_model import MAX_DOCUMENT_BYTES, Metalink, MetalinkFile
from thunderdl.options import Options
from thunderdl.storage.paths import safe_name


async def metalink_of(session: Session, reference: str, options: Options, told_by: str = "") -> Metalink:
    """The metalink that ``reference`` names. ``told_by``: who told us, where the user did not. Raises UsageError for
    what is none, ThunderdlError."""
    if "://" in reference:
        document = await fetched(session, reference, options, most_bytes=MAX_DOCUMENT_BYTES, told_by=told_by)
    else:
        document = await session.on_disk(_read, reference)
    return await session.on_disk(parse_metalink, document, safe_name, shown_url(reference))


def offers_of(metalink: Metalink, told_by: str, options: Options) -> list[Offer]:
    """What it says of each file that ``options.files`` selects, all without it. Raises UsageError for a bad choice."""
    files: Sequence[MetalinkFile] = metalink.files
    if options.files is not None:
        try:
            files = [files[at] for at in sorted(selected(options.files, [file.name for file in files]))]
        except ValueError as error:
            raise UsageError(f"--files: {error}.") from None
    return [_offer(file, told_by) for file in files]


async def sole_offer(session: Session, reference: str, options: Options) -> Offer:
    """What a metalink of one file says, or of the one that is selected. Raises UsageError where it names several."""
    offers = offers_of(await metalink_of(session, reference, options), reference, options)
    if len(offers) > 1:
        raise UsageError(f"{shown_url(reference)}: it names {len(offers)} files; choose one with --files.")
    return offers[0]


def _offer(file: MetalinkFile, told_by: str) -> Offer:
    urls = tuple(mirror.url for mirror in file.mirrors if scheme_of(mirror.url) in FOREIGN_SCHEMES)
    return Offer(
        told_by=told_by, name=file.name, size=file.size, urls=urls, checksum=next(iter(file.digests), None),
        piece_hashes=file.pieces, torrents=file.torrents,
    )  # fmt: skip


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_DOCUMENT_BYTES:
                raise UsageError(f"{printable(path)}: too large for a metalink.")
            return file.read()
    except OSError as error:
        raise StorageError(path, error.strerror or "cannot be read") from None
