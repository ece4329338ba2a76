"""``addUri``, ``addTorrent``, ``addMetalink``: what is asked for, as wishes of the queue.

Asking and doing are apart, so that thousands that are asked for together share one write to the disk.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from thunderdl.daemon.documents import wishes_of
from thunderdl.daemon.jobs import Wish, new_gid
from thunderdl.errors import ThunderdlError, UsageError
from thunderdl.formats.links import LOCAL_SCHEMES, is_magnet, scheme_of
from thunderdl.formats.targets import checked, checked_target
from thunderdl.formats.url_patterns import parse_pattern
from thunderdl.rpc.aria2.contents import is_source, names_something
from thunderdl.rpc.aria2.params import Refused, check_place, texts
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.aria2.settings import Asked, asked

#: Mirrors that a pattern may stand for (parameterized-uri).
MOST_MIRRORS = 1000


class New(NamedTuple):
    """A task to be. ``at``: index in line, None for its end."""

    wish: Wish
    gid: str
    paused: bool
    at: int | None


async def add_uri(session: Session, uris: list[object], options: dict[str, object] | None, at: int | None) -> str:
    """``aria2.addUri``."""
    new = new_of(uris, options, at)
    await add(session, [new])
    return new.gid


def new_of(uris: list[object], options: dict[str, object] | None, at: int | None) -> New:
    """The task that ``addUri`` asks for. Raises Refused."""
    given = texts(uris)
    if not given:
        raise Refused("URI is not provided.")
    check_place(at)
    wanted = _asked(options, given[0])
    if wanted.foreign.get("parameterized-uri") == "true":
        given = [url for pattern in given for url in _expanded(pattern)]
    urls = _usable(given)
    wish = Wish(urls=urls, options=wanted.options, foreign=wanted.foreign)
    return New(wish, wanted.gid or new_gid(), wanted.paused, at)


async def add(session: Session, new: Sequence[New]) -> None:
    """Queue them; all of them go to the same place and wait alike. Raises Refused, and then none is queued."""
    first = new[0]
    try:
        await session.queue.add(
            [each.wish for each in new], at=first.at, paused=first.paused, gids=[each.gid for each in new]
        )
    except ThunderdlError as error:
        raise Refused(str(error)) from None


async def add_torrent(
    session: Session, document: str | bytes, uris: list[object] | None, options: dict[str, object] | None,
    at: int | None,
) -> str:  # fmt: skip
    """``aria2.addTorrent``. ``uris``: web seeds."""
    data = _decoded(document)
    if not data.startswith(b"d"):
        raise Refused("Bencode decoding failed")
    return (await _add_document(session, data, texts(uris), options, at))[0]


async def add_metalink(
    session: Session, document: str | bytes, options: dict[str, object] | None, at: int | None
) -> list[str]:
    """``aria2.addMetalink``."""
    data = _decoded(document)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Refused("Could not parse Metalink XML document.")
    return await _add_document(session, data, [], options, at)


async def _add_document(
    session: Session, data: bytes, uris: Sequence[str], options: dict[str, object] | None, at: int | None
) -> list[str]:
    check_place(at)
    wanted = _asked(options, None)
    mirrors = _usable(uris) if uris else ()
    like = Wish(urls=mirrors or ("-",), options=wanted.options, foreign=wanted.foreign)
    try:
        wishes = await wishes_of(session.queue, data, like)
    except ThunderdlError as error:
        raise Refused(str(error)) from None
    if not mirrors:
        wishes = [replace(wish, urls=wish.urls[:1]) for wish in wishes]
    gids = [wanted.gid, *(new_gid() for _ in wishes[1:])] if wanted.gid else [new_gid() for _ in wishes]
    new = [New(wish, gid, wanted.paused, at) for wish, gid in zip(wishes, gids, strict=True)]
    await add(session, new)
    return gids


def _asked(options: dict[str, object] | None, uri: str | None) -> Asked:
    return asked(options, uri) if options else Asked({}, {})


def _expanded(pattern: str) -> list[str]:
    try:
        found = parse_pattern(pattern)
    except UsageError as error:
        raise Refused(str(error)) from None
    if found.count > MOST_MIRRORS:
        raise Refused(f"The URI stands for {found.count} URIs, and {MOST_MIRRORS} are the most.")
    return [url for url, _ in found]


def _usable(given: Sequence[str]) -> tuple[str, ...]:
    """Those that can be downloaded from: others are passed over, as aria2 does. Raises Refused where none is left."""
    found: list[str] = []
    for text in given:
        try:
            url = checked(text.replace(" ", "%20")) if found else checked_target(_escaped(text))
        except UsageError:
            continue
        # A torrent among mirrors is another download; aria2 takes the first one, too.
        if is_magnet(url):
            usable = not found and names_something(url)
        else:
            usable = is_source(url) and scheme_of(url) not in LOCAL_SCHEMES
        if usable:
            found.append(url)
    if not found:
        raise Refused("No URI to download.")
    return tuple(dict.fromkeys(found))


def _escaped(url: str) -> str:
    return url if url.startswith("ed2k:") else url.replace(" ", "%20")


def _decoded(document: str | bytes) -> bytes:
    if isinstance(document, bytes):
        return document
    try:
        return base64.b64decode(document)
    except (binascii.Error, ValueError):
        return b""
