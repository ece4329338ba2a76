"""Metalink documents made of files here, for others to download by.

Each file is read once: the whole's digests and those of its pieces come from the same pass. What is no plain file in a
folder is left out and told; a file that changes while it is read is refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from thunderdl.engine.creating import check_folder, settled_path, write_beside
from thunderdl.engine.naming import Skipped
from thunderdl.errors import StorageError, UsageError, printable, shown_url
from thunderdl.formats.links import is_magnet
from thunderdl.formats.metalink_model import TORRENT, MetalinkFile, MetaUrl, Mirror, Publisher
from thunderdl.formats.metalink_writer import write_metalink4
from thunderdl.formats.source_urls import MIRROR_SCHEMES, WEB_SCHEMES, source_url
from thunderdl.model import Digest, PieceHashes
from thunderdl.options import Exists

MIN_PIECE_BYTES, MAX_PIECE_BYTES = 256 * 1024, 64 * 1024 * 1024
# About so many pieces of a large file: a wrong one costs a two thousandth, and the document stays below 200 kB.
PIECES_WANTED = 2048
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to say of the files. ``urls``: mirrors, best first: a folder's URL that ends in ``/``, or that of the only
    file. ``torrents``: URLs and magnet links. ``piece_length``: bytes, a power of two, 0 for one that fits each file.
    ``on_hashed``: called with the bytes done and in all."""

    urls: Sequence[str] = ()
    torrents: Sequence[str] = ()
    piece_length: int = 0
    publisher: str = ""
    publisher_url: str = ""
    description: str = ""
    identity: str = ""
    version: str = ""
    origin: str = ""
    on_hashed: Callable[[int, int], None] = lambda done, whole: None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedMetalink:
    """``left_out``: links and devices in the folders; ``skipped``: it was there, and nothing was made."""

    path: str
    files: int = 0
    size_bytes: int = 0
    mirrors: int = 0
    left_out: tuple[str, ...] = ()
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    name: str
    size: int


def create_metalink(
    paths: Sequence[str], out: str | None = None, *, recipe: Recipe | None = None, exists: Exists = Exists.REFUSE
) -> CreatedMetalink:
    """Make the metalink of files and folders; blocks while it hashes. Raises UsageError, TargetExists, StorageError.

    ``out``: where to write it, None for NAME.meta4 in this folder, where there is one path.
    """
    recipe = recipe or Recipe()
    _check(recipe)
    if out is None and len(paths) != 1:
        raise UsageError("several paths: say with -o what to write.")
    target_name = out if out is not None else f"{os.path.basename(os.path.abspath(paths[0]))}.meta4"
    try:
        target = settled_path(target_name, exists)
    except Skipped as skipped:
        return CreatedMetalink(path=skipped.path, skipped=True)
    check_folder(target)
    left_out: list[str] = []
    entries = list(_entries(paths, os.path.abspath(target), left_out))
    _check_urls(recipe.urls, entries)
    whole, files, done = sum(entry.size for entry in entries), list[MetalinkFile](), 0
    for entry in entries:
        files.append(_described(entry, recipe, done, whole, len(entries)))
        done += entry.size
    document = write_metalink4(files, generator="thunderdl", origin=recipe.origin or None)
    written = write_beside(target, document, exists)
    return CreatedMetalink(
        path=written, files=len(files), size_bytes=whole, mirrors=len(recipe.urls), left_out=tuple(left_out)
    )


def fitting_piece_length(size: int) -> int:
    """A power of two from 256 KiB to 64 MiB that makes about two thousand pieces."""
    wanted = max(MIN_PIECE_BYTES, size // PIECES_WANTED)
    return min(MAX_PIECE_BYTES, 1 << (wanted - 1).bit_length())


def _check(recipe: Recipe) -> None:
    length = recipe.piece_length
    if length and not (16 * 1024 <= length <= MAX_PIECE_BYTES and length & (length - 1) == 0):
        raise UsageError(f"a piece length of {length} bytes: give a power of two from 16K to 64M.")
    for url in recipe.torrents:
        if not is_magnet(url) and source_url(url, WEB_SCHEMES) is None:
            raise UsageError(f"--torrent {printable(url)[:200]!r}: write the URL of a torrent, or a magnet link.")
    for flag, url in (("--publisher-url", recipe.publisher_url), ("--origin", recipe.origin)):
        if url and source_url(url, WEB_SCHEMES) is None:
            raise UsageError(f"{flag} {printable(url)[:200]!r}: write its URL, https:// or http://.")
    if recipe.publisher_url and not recipe.publisher:
        raise UsageError("--publisher-url belongs to --publisher; name that, too.")


def _check_urls(urls: Sequence[str], entries: Sequence[_Entry]) -> None:
    for url in urls:
        if source_url(url) is None:
            known = ", ".join(sorted(MIRROR_SCHEMES))
            raise UsageError(f"--url {printable(url)[:200]!r} is no URL of a mirror; its scheme may be one of {known}.")
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise UsageError(f"--url {shown_url(url)}: it holds a user name or password, which would be published.")
        if not url.endswith("/") and len(entries) != 1:
            raise UsageError(f"--url {shown_url(url)}: of several files give the folder, with a slash at its end.")


def _entries(paths: Sequence[str], target: str, left_out: list[str]) -> Iterator[_Entry]:
    seen: dict[str, str] = {}
    for path in paths:
        for found, name in _files_of(path, left_out):
            if os.path.abspath(found) in (target, f"{target}.part"):
                continue
            if (other := seen.setdefault(name.casefold(), found)) is not found:
                raise UsageError(f"{printable(other)} and {printable(found)} would both be called {printable(name)}.")
            yield _Entry(found, name, _size_of(found))
    if not seen:
        raise UsageError("there is no file to describe.")


def _files_of(path: str, left_out: list[str]) -> Iterator[tuple[str, str]]:
    """Path and name of each file; what the user named itself may be a link."""
    root = os.path.basename(os.path.abspath(path))
    if not os.path.isdir(path):
        yield path, root
        return
    for folder, folders, names in os.walk(path, onerror=_fail):
        left_out += [each for name in folders if os.path.islink(each := os.path.join(folder, name))]
        folders.sort()
        inner = os.path.relpath(folder, path)
        for name in sorted(names):
            found = os.path.join(folder, name)
            if not stat.S_ISREG(os.lstat(found).st_mode):
                left_out.append(found)
                continue
            parts = [root, *(() if inner == "." else inner.split(os.sep)), name]
            yield found, "/".join(parts)


def _fail(error: OSError) -> None:
    raise StorageError(error.filename or "", error.strerror or "cannot be read")


def _size_of(path: str) -> int:
    try:
        found = os.stat(path)
    except OSError as error:
        raise StorageError(path, error.strerror or "cannot be read") from None
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{printable(path)} is no file.")
    return found.st_size


def _described(entry: _Entry, recipe: Recipe, done: int, whole: int, count: int) -> MetalinkFile:
    length = recipe.piece_length or fitting_piece_length(entry.size)
    digests, pieces = _hashed(entry, length, lambda read: recipe.on_hashed(done + read, whole))
    metas = [
        MetaUrl(url=url, mediatype=TORRENT, priority=at, name=entry.name if count > 1 else None)
        for at, url in enumerate(recipe.torrents, 1)
    ]
    file = MetalinkFile(
        name=entry.name, size=entry.size, digests=digests, pieces=pieces, mirrors=tuple(_mirrors(entry, recipe.urls)),
        metaurls=tuple(metas), description=recipe.description or None, identity=recipe.identity or None,
        version=recipe.version or None,
    )  # fmt: skip
    if recipe.publisher:
        file = replace(file, publisher=Publisher(name=recipe.publisher, url=recipe.publisher_url or None))
    return file


def _mirrors(entry: _Entry, urls: Sequence[str]) -> Iterator[Mirror]:
    for at, url in enumerate(urls, 1):
        name = quote(os.fsencode(entry.name)) if url.endswith("/") else ""
        yield Mirror(url=url + name, priority=at)


def _hashed(
    entry: _Entry, piece_length: int, on_read: Callable[[int], None]
) -> tuple[tuple[Digest, ...], PieceHashes | None]:
    """The digests of the whole and of its pieces; none of pieces where there would be one."""
    whole = (hashlib.sha512(), hashlib.sha256())
    pieces, piece, read = list[bytes](), hashlib.sha256(), 0
    try:
        with open(entry.path, "rb", buffering=0) as stream:
            while part := stream.read(min(_READ_BYTES, piece_length)):
                # A short read must not carry a part over the end of a piece.
                for some in _cut(part, piece_length - read % piece_length):
                    piece.update(some)
                    read += len(some)
                    if read % piece_length == 0:
                        pieces.append(piece.digest())
                        piece = hashlib.sha256()
                for each in whole:
                    each.update(part)
                on_read(read)
    except OSError as error:
        raise StorageError(entry.path, error.strerror or "cannot be read") from None
    if read != entry.size:
        raise StorageError(entry.path, "it changed while it was read", "try again when it is finished")
    if read % piece_length:
        pieces.append(piece.digest())
    digests = tuple(Digest(each.name, each.digest()) for each in whole)
    found = PieceHashes(algorithm="sha256", piece_length=piece_length, digests=tuple(pieces))
    return digests, found if len(pieces) > 1 else None


def _cut(part: bytes, at: int) -> tuple[bytes, ...]:
    return (part,) if len(part) <= at else (part[:at], part[at:])
