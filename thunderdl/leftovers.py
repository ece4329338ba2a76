"""From what an earlier run left to the request that goes on from there.

What a journal or a part folder says is data: where a file is saved follows from their own place alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from thunderdl.client import Request
from thunderdl.engine.offers import METALINK_PREFIX
from thunderdl.errors import UsageError, printable
from thunderdl.formats.hashes import parse_checksum
from thunderdl.formats.links import LOCAL_SCHEMES, names_metalink, names_torrent, scheme_of
from thunderdl.options import Options
from thunderdl.storage.files import JOURNAL_SUFFIX, PART_SUFFIX
from thunderdl.storage.journal import read_header
from thunderdl.storage.wishes import read_wish


def request_from_journal(path: str, options: Options) -> Request:
    """The request that goes on from the journal at ``path``. Raises JournalUnusable, StorageError, UsageError."""
    header = read_header(path)
    by_torrent = names_torrent(header.url)
    metalink = _metalink_of(header.url, path)
    by_document = by_torrent or metalink is not None
    if header.piece_hash is not None and not by_document and options.piece_hashes is None:
        raise UsageError(f"{printable(path)}: begun with --piece-hashes; run the same command as then.")
    folder, name = os.path.split(path.removesuffix(JOURNAL_SUFFIX).removesuffix(PART_SUFFIX))
    _check_foreign(path, metalink or header.url)
    mirrors = _foreign_ones(header.mirrors)
    if metalink is not None:
        # Which of its files it is; what a pattern would read otherwise stands for any character.
        chosen = re.sub(r"[*?\[,]", "?", header.name) or None
        settled = replace(options, dir=folder or ".", out=name, files=chosen)
        return Request(metalink, mirrors, replace(settled, metalink=metalink))
    checksum = options.checksum or (parse_checksum(header.checksum) if header.checksum else None)
    settled = replace(options, dir=folder or ".", out=name, checksum=checksum)
    return Request(header.url, mirrors, settled, renewed_url=_web_url(header.renewed_url))


def _check_foreign(path: str, url: str) -> None:
    """Raises UsageError. What lies in a folder may be somebody else's, and nobody but the user names a file of this
    machine to be copied."""
    if scheme_of(url) in LOCAL_SCHEMES:
        raise UsageError(f"{printable(path)}: begun from a file of this machine; run the same command as then.")


def _foreign_ones(urls: Sequence[str]) -> tuple[str, ...]:
    return tuple(url for url in urls if scheme_of(url) not in LOCAL_SCHEMES)


def _web_url(url: str | None) -> str | None:
    """The URL where it is one that a link may have been renewed to: no other can come from who is asked for one."""
    return url if url is not None and scheme_of(url) in ("http", "https") else None


def _metalink_of(url: str, path: str) -> str | None:
    """The metalink that a download was begun from, None where it was begun otherwise."""
    if not url.startswith(METALINK_PREFIX):
        return url if names_metalink(url) else None
    if (reference := url.removeprefix(METALINK_PREFIX)) == "-":
        raise UsageError(f"{printable(path)}: begun from a metalink on standard input; run the same command as then.")
    return reference


def request_from_folder(path: str, options: Options) -> Request:
    """The request that goes on from the part folder at ``path``. Raises JournalUnusable, UsageError."""
    wish = read_wish(path)
    folder, name = os.path.split(path.removesuffix(PART_SUFFIX))
    settled = replace(options, dir=folder or ".", out=name, files=wish.files)
    _check_foreign(path, wish.torrent)
    mirrors = _foreign_ones(wish.mirrors)
    if names_torrent(wish.torrent) or not wish.mirrors:
        # Its name alone need not tell what it is.
        return Request(wish.torrent, mirrors, replace(settled, torrent=wish.torrent))
    if not mirrors:
        # Nobody else is left to ask.
        _check_foreign(path, wish.mirrors[0])
    return Request(mirrors[0], mirrors[1:], replace(settled, torrent=wish.torrent))
