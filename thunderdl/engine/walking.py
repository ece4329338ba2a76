"""Reads the list of a tree: index pages folder by folder, a metalink, or a manifest. Lives on the event loop.

What it brings are claims. It asks nobody but the origin of the URL, takes no redirect to another place for the list,
and ends: depth, folders, files and the bytes of a page are bounded, and a folder that holds what one above it holds is
a loop. Whether everything was seen is :attr:`Walk.is_whole`; nothing may be deleted by a list that is not, nor by one
that is open at its end or has entries that are unread (:class:`thunderdl.formats.listings.Page`).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from thunderdl.core.mirroring import Facts
from thunderdl.engine.listing import is_listed, listed
from thunderdl.engine.metalinks import metalink_of, offers_of
from thunderdl.engine.offers import Offer
from thunderdl.engine.opening import MIRROR_FIRST, Opening, open_source, release
from thunderdl.engine.resumption import version_of
from thunderdl.engine.session import Session
from thunderdl.engine.streaming import stream
from thunderdl.errors import BadResponse, IsFolder, RedirectRefused, ThunderdlError, UsageError, shown_url
from thunderdl.formats.http_headers import http_date
from thunderdl.formats.index_pages import parse_html, parse_json
from thunderdl.formats.links import names_metalink, scheme_of
from thunderdl.formats.listings import MAX_PAGE_BYTES, ListedFile, ListedFolder, Page, Place, page_origin
from thunderdl.formats.manifests import parse_lines, parse_objects, parse_sums
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.metalink_model import Metalink
from thunderdl.options import Options
from thunderdl.storage.paths import safe_name

# So many folders are asked for at once: a list is small, and the files' connections are at work meanwhile.
FOLDERS_AT_ONCE = 8
MAX_FOLDERS = 2**16
MAX_FILES = 2**19
_WINDOW_BYTES = 4 * 1024 * 1024
_METALINKS = (b"urn:ietf:params:xml:ns:metalink", b"http://www.metalinker.org/")
_SNIFFED_BYTES = 4096


class Found(NamedTuple):
    """A file of the tree. ``offer``: what a metalink says of it, which is then fetched from its own mirrors."""

    file: ListedFile
    offer: Offer | None = None


class _Folder(NamedTuple):
    """``above``: what marks the contents of the folders on the way to it."""

    url: str
    name: str
    above: frozenset[int] = frozenset()


class Walk:
    """``enters``: whether a folder is wanted; ``on_fault``: told of each folder that could not be read."""

    def __init__(
        self, session: Session, options: Options, url: str,
        *, enters: Callable[[str], bool], on_fault: Callable[[ThunderdlError], None],
    ) -> None:  # fmt: skip
        self._session, self._options, self._url = session, options, url
        self._enters, self._on_fault = enters, on_fault
        self._waiting: deque[_Folder] = deque()
        self._known: set[str] = set()
        self._files = 0
        self._reading: dict[asyncio.Task[Page | None], _Folder] = {}
        self.is_whole = True
        self.is_open = False
        self.refused = self.unread = self.renamed = self.loops = 0

    async def files(self) -> AsyncIterator[Found]:
        """Each file of the tree. Raises ThunderdlError where the first page cannot be read or names nothing."""
        if names_metalink(self._url):
            for found in self._of_metalink(await metalink_of(self._session, self._url, self._options)):
                yield found
            return
        try:
            first = await self._listed(self._url)
            url, document = (self._url, b"") if first else await self._fetched(self._url)
        except IsFolder:
            first = await self._listed(f"{self._url}/")
        if first is not None:
            async for found in self._all(first):
                yield found
            return
        if any(mark in document[:_SNIFFED_BYTES] for mark in _METALINKS):
            metalink = await self._session.on_disk(parse_metalink, document, safe_name, shown_url(url))
            for found in self._of_metalink(metalink):
                yield found
            return
        page = await self._session.on_disk(_parsed, url, "", document)
        if page is None:
            raise UsageError(f"{shown_url(url)[:200]} is no index page, metalink or manifest.")
        async for found in self._all(page):
            yield found

    async def _listed(self, url: str) -> Page | None:
        """The first page, where a file server lists it by itself."""
        folder = url if "/" in url.partition("://")[2] else f"{url}/"
        return await listed(self._session, folder, "", self._options) if is_listed(self._session, folder) else None

    async def _all(self, first: Page) -> AsyncIterator[Found]:
        """What the first page names, and all below it."""
        for file in self._taken(first, _Folder("", "")):
            yield Found(file)
        async for file in self._below():
            yield Found(file)

    async def _below(self) -> AsyncIterator[ListedFile]:
        reading = self._reading
        while self._waiting or reading:
            while self._waiting and len(reading) < FOLDERS_AT_ONCE:
                folder = self._waiting.popleft()
                reading[self._session.loop.create_task(self._page(folder))] = folder
            done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                folder, page = reading.pop(task), task.result()
                for file in self._taken(page, folder) if page is not None else ():
                    yield file

    async def close(self) -> None:
        """Read no more."""
        await stopped(self._reading)

    async def _page(self, folder: _Folder) -> Page | None:
        """The page of a folder below the first; None, and told, where there is none."""
        try:
            if is_listed(self._session, folder.url):
                return await listed(self._session, folder.url, folder.name, self._options)
            url, document = await self._fetched(folder.url)
            page = await self._session.on_disk(_parsed, url, folder.name, document)
            if page is None:
                raise BadResponse(folder.url, "it is no index page")
        except ThunderdlError as error:
            self.is_whole = False
            self._on_fault(error)
            return None
        return page

    def _taken(self, page: Page, folder: _Folder) -> Iterator[ListedFile]:
        """Note what a page says, and hand its files on."""
        self.refused, self.renamed = self.refused + page.refused, self.renamed + page.renamed
        self.unread += page.unread
        self.is_whole, self.is_open = self.is_whole and not page.is_cut, self.is_open or page.is_open
        mark = _mark(page, folder)
        if mark in folder.above:
            self.loops, self.is_whole = self.loops + 1, False
            return
        self._enter(page.folders, folder.above | {mark} if mark else folder.above)
        for file in page.files:
            if self._files >= MAX_FILES:
                self.is_whole = False
                return
            self._files += 1
            yield file

    def _enter(self, folders: list[ListedFolder], above: frozenset[int]) -> None:
        for each in folders:
            if each.url in self._known or not self._enters(each.name):
                continue
            if len(self._known) >= MAX_FOLDERS:
                self.is_whole = False
                return
            self._known.add(each.url)
            self._waiting.append(_Folder(each.url, each.name, above))

    async def _fetched(self, url: str) -> tuple[str, bytes]:
        """A page and the URL that its links are relative to. Raises ThunderdlError."""
        parts, total, where = list[bytes](), 0, url

        def look(opening: Opening) -> None:
            nonlocal where
            where = _same_place(url, opening.final_url)
            self.is_open = self.is_open or _ends_by_closing(opening)

        pages = stream(self._session, (url,), self._options, _WINDOW_BYTES, on_open=look)
        try:
            async for part in pages:
                total += len(part)
                if total > MAX_PAGE_BYTES:
                    raise BadResponse(url, f"it is larger than the {MAX_PAGE_BYTES >> 20} MiB that a list may have")
                parts.append(part)
        finally:
            await pages.aclose()
        return where, b"".join(parts)

    def _of_metalink(self, metalink: Metalink) -> Iterator[Found]:
        self.refused += sum(note.startswith("a file ") for note in metalink.notes)
        self.unread += sum(note.startswith("a file has no name") for note in metalink.notes)
        for offer in offers_of(metalink, self._url, self._options):
            # Where it has no digest, its size is all that is said: who has it may be a stranger, and is not asked.
            stated = f"size {offer.size}" if offer.size is not None else ""
            yield Found(ListedFile(offer.name, "", stated, offer.size, offer.checksum), offer)


async def stopped(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel them all, and wait until they have seen it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def facts_of(session: Session, url: str, options: Options) -> Facts:
    """What the server says of a file, without its bytes. Raises ThunderdlError."""
    pace = session.pacing.pace(options)
    try:
        opening = await open_source(session, url, options, MIRROR_FIRST, pace.meter)
    finally:
        pace.close()
    release(session, opening)
    version = version_of(opening)
    modified = version.validators.last_modified
    return Facts(version.size, http_date(modified) if modified else None, version.validators.etag or "")


def _parsed(url: str, name: str, document: bytes) -> Page | None:
    """What a page lists, whatever kind it is of; None where it is no list. Blocking."""
    place = Place(url, name, safe_name)
    head = document[:_SNIFFED_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<"):
        return parse_html(_text(document), place)
    parts = urlsplit(url)
    itself = "" if parts.query else parts.path.rpartition("/")[2]
    if head.startswith(b"["):
        page = _of_json(document, place)
    elif head.startswith(b"{"):
        page = parse_lines(_text(document), place)
    else:
        page = parse_sums(document, unquote(itself), place)
    # Of an empty one nothing is taken: it would be the one file of the list, by which all others may be deleted.
    if page and itself and not any(file.url == place.base + itself for file in page.files):
        # A manifest is a file of its folder: with it the mirror can be checked, and mirrored in turn.
        place.add_link(itself, "", page)
    return page


def _of_json(document: bytes, place: Place) -> Page | None:
    try:
        said: object = json.loads(document)
    except (ValueError, RecursionError):
        return None
    if said == []:
        return Page()
    page = parse_json(said, place)
    return parse_objects(said, place) if page is None else page


def _text(document: bytes) -> str:
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError:
        return document.decode("latin-1")


def _ends_by_closing(opening: Opening) -> bool:
    """Whether a body that is cut off looks as one that is whole (RFC 9112 section 6.3, rule 8)."""
    head = opening.head
    is_framed = head.raw("content-length") is not None or head.raw("transfer-encoding") is not None
    is_by_http = scheme_of(opening.final_url) in ("http", "https") and head.http_version in ("1.0", "1.1")
    return is_by_http and not is_framed


def _same_place(asked: str, answered: str) -> str:
    """The URL that links of an answer are relative to: the one that was asked for, perhaps with a slash behind it."""
    try:
        old, new = urlsplit(asked), urlsplit(answered)
        same = page_origin(asked) == page_origin(answered) and new.path.rstrip("/") == old.path.rstrip("/")
    except ValueError:
        same = False
    if not same:
        advice = f"mirror that one if you trust it: {shown_url(answered)[:200]}"
        raise RedirectRefused(asked, "its list is at another address", advice)
    return old._replace(path=new.path or "/", query=old.query, fragment="").geturl()


def _mark(page: Page, folder: _Folder) -> int:
    """Marks what a page lists, the same for the same names, dates and sizes; 0 where that is too little to tell."""
    if not any(file.stated for file in page.files):
        return 0
    skipped = len(folder.name) + 1 if folder.name else 0
    files = [(file.name[skipped:], file.stated) for file in page.files]
    folders = [(folder.name[skipped:], folder.stated) for folder in page.folders]
    return hash((tuple(sorted(files)), tuple(sorted(folders))))
