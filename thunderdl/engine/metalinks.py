"""From what the user named to the files of a metalink: a path, a URL, the document itself."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.engine.documents import fetched, read
from thunderdl.engine.offers import NamesSeveral, Offer
from thunderdl.errors import UsageError, shown_url
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import FOREIGN_SCHEMES, scheme_of
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.metalink_model import MAX_DOCUMENT_BYTES, Metalink, MetalinkFile
from thunderdl.options import Options
from thunderdl.storage.folders import check_name
from thunderdl.storage.paths import safe_name

if TYPE_CHECKING:
    from thunderdl.engine.session import Session


async def metalink_of(session: Session, reference: str, options: Options, told_by: str = "") -> Metalink:
    """The metalink that ``reference`` names. ``told_by``: who told us, where the user did not. Raises UsageError for
    what is none, ThunderdlError."""
    if "://" in reference:
        document = await fetched(session, reference, options, most_bytes=MAX_DOCUMENT_BYTES, told_by=told_by)
    else:
        document = await session.on_disk(read, reference, MAX_DOCUMENT_BYTES)
    return await session.on_disk(parsed, document, reference)


def parsed(document: bytes, told_by: str) -> Metalink:
    """What is in a document, or in the gzip of one. Raises UsageError of one sentence, which calls it ``told_by``."""
    return parse_metalink(unpacked(document, told_by), safe_name, shown_url(told_by))


def unpacked(document: bytes, told_by: str) -> bytes:
    """The document itself where it is gzip, one octet more than it may have at most: a few may stand for any number."""
    if not document.startswith(b"\x1f\x8b"):
        return document
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(document)) as packed:
            return packed.read(MAX_DOCUMENT_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(f"{shown_url(told_by)}: its gzip is damaged or ends early; fetch it again.") from None


def offers_of(metalink: Metalink, told_by: str, options: Options) -> list[Offer]:
    """What it says of each file that ``options.files`` selects, all without it. Raises UsageError for a bad choice."""
    files: Sequence[MetalinkFile] = metalink.files
    if options.files is not None:
        try:
            files = [files[at] for at in sorted(selected(options.files, [file.name for file in files]))]
        except ValueError as error:
            raise UsageError(f"--files: {error}.") from None
    offers = [_offer(file, told_by) for file in files]
    # Told once, with the first: whoever reads "saved" for the others takes the set for complete.
    lost = (note for note in metalink.notes if note.startswith("a file "))
    left_out = tuple(f"{shown_url(told_by)}: {note}" for note in (*lost, *_passed_over(files)))
    return [replace(offers[0], left_out=left_out), *offers[1:]] if left_out and offers else offers


def _passed_over(files: Sequence[MetalinkFile]) -> Iterator[str]:
    """A clause for mirrors that nobody asks and the user could name. Of rsync, which fills the metalinks of some
    distributions, there is nothing that he could do."""
    # ssh offers the user's keys to whomever it connects to, and asks about unknown hosts: not on a stranger's word.
    if count := len({mirror.url for file in files for mirror in file.mirrors if scheme_of(mirror.url) == "sftp"}):
        are, one = ("mirror is", "it") if count == 1 else ("mirrors are", "one")
        why = "your SSH keys are offered to nobody whom you have not named"
        yield f"{count} sftp:// {are} not used, for {why}; name {one} with -m if you trust it"


def sole(offers: Sequence[Offer], told_by: str) -> Offer:
    """The only one. Raises NamesSeveral."""
    if len(offers) > 1:
        raise NamesSeveral(told_by, offers)
    return offers[0]


async def sole_offer(session: Session, reference: str, options: Options) -> Offer:
    """What a metalink of one file says, or of the one that is selected. Raises NamesSeveral; UsageError for what is no
    metalink; ThunderdlError."""
    offer = sole(offers_of(await metalink_of(session, reference, options), reference, options), reference)
    await check_place(session, offer, options)
    return offer


async def check_place(session: Session, offer: Offer, options: Options) -> None:
    """Raise StorageError where the name that the offer gives the file leads through a link: a stranger chose it, and
    must not choose where the user's links lead."""
    if "/" in offer.name and options.out is None:
        await session.on_disk(check_name, options.dir, offer.name)


def _offer(file: MetalinkFile, told_by: str) -> Offer:
    urls = tuple(mirror.url for mirror in file.mirrors if scheme_of(mirror.url) in FOREIGN_SCHEMES)
    return Offer(
        told_by=told_by, name=file.name, size=file.size, urls=urls, checksum=next(iter(file.digests), None),
        piece_hashes=file.pieces, torrents=file.torrents, held_signatures=file.signatures, is_authentic=True,
    )  # fmt: skip
