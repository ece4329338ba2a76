"""``--show-files``: what is in torrents and metalinks, as aria2 lists it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING

from thunderdl.aria2.console import short_size
from thunderdl.cli import settings
from thunderdl.cli.aria2c.given import Given
from thunderdl.cli.aria2c.told_apart import Kind, kind_of
from thunderdl.cli.views import write_line
from thunderdl.errors import ThunderdlError, UsageError, printable, shown_url

if TYPE_CHECKING:
    from thunderdl.sources.swarm.torrent import Torrent


def show_files(given: Given) -> int:
    """List each document that was named; exit status 0, or 1 where one of them cannot be read."""
    named = [(given.text("torrent-file"), Kind.TORRENT), (given.text("metalink-file"), Kind.METALINK)]
    documents = [each for each in named if each[0]]
    documents += ((uri, kind_of(uri) if _is_here(uri) else Kind.OTHER) for uri in given.uris)
    if not documents:
        raise UsageError("Specify at least one torrent or metalink to show.")
    return max([_shown(document, kind) for document, kind in documents])


def _is_here(uri: str) -> bool:
    return "://" not in uri and os.path.isfile(uri)


def _shown(document: str, kind: Kind) -> int:
    write_line(sys.stdout, f">>> Printing the contents of file '{shown_url(document)}'...")
    if kind is Kind.OTHER:
        write_line(sys.stdout, "This file is neither Torrent nor Metalink file. Skipping.\n")
        return 0
    try:
        lines = asyncio.run(_lines_of(document, kind))
    except ThunderdlError as error:
        # aria2 has 25 for what is no bencode where it downloads it, and 26 here (1.36.0).
        write_line(sys.stderr, f"Exception: errorCode={26 if kind is Kind.TORRENT else 20} {error}")
        return 1
    write_line(sys.stdout, "\n".join(lines) + "\n")
    return 0


async def _lines_of(document: str, kind: Kind) -> list[str]:
    from thunderdl.client import Client

    async with Client(settings.load({}).options()) as client:
        if kind is Kind.TORRENT:
            return list(_of_torrent(await client.torrent(document)))
        found = await client.metalink(document)
        return list(_files([(file.name, file.size) for file in found.files]))


def _of_torrent(torrent: Torrent) -> Iterator[str]:
    whole = sum(file.size_bytes for file in torrent.files)
    yield "*** BitTorrent File Information ***"
    if torrent.comment:
        yield f"Comment: {printable(torrent.comment)}"
    if torrent.created is not None:
        yield f"Creation Date: {formatdate(torrent.created, usegmt=True)}"
    yield f"Mode: {'single' if torrent.is_single else 'multi'}"
    yield "Announce:"
    yield from (f" {shown_url(tracker)}" for tracker in torrent.trackers)
    yield f"Info Hash: {torrent.info_hash_v1 or torrent.info_hash_v2}"
    yield f"Piece Length: {short_size(torrent.piece_length)}B"
    yield f"The Number of Pieces: {torrent.piece_count}"
    yield f"Total Length: {short_size(whole)}B ({whole:,})"
    if torrent.web_seeds:
        yield "URL List:"
        yield from (f" {shown_url(url)}" for url in torrent.web_seeds)
    yield f"Name: {printable(torrent.name)}"
    yield f"Magnet URI: {torrent.magnet}"
    yield from _files([(f"./{file.path}", file.size_bytes) for file in torrent.files])


def _files(files: Sequence[tuple[str, int | None]]) -> Iterator[str]:
    yield "Files:"
    yield "idx|path/length"
    yield "===+" + "=" * 75
    for number, (path, size) in enumerate(files, 1):
        yield f"{number:>3}|{printable(path)}"
        yield f"   |{'unknown' if size is None else f'{short_size(size)}B ({size:,})'}"
        yield "---+" + "-" * 75
