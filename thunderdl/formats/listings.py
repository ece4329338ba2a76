"""What a list of files names, as relative names and URLs below one address. Pure: text in, values out.

Used by every kind of list that :mod:`thunderdl.engine.walking` reads. A list comes from anyone. What holds:

1. a name is relative, has no empty, ``.`` or ``..`` part, no separator inside a part, no control character, and each
   part went through the caller's ``safe_component``; what cannot be named so is refused and counted;
2. a URL is the base and what the list says below it, on the same origin: nothing leads elsewhere;
3. sizes and dates are words to compare with those of another day, never numbers to count with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from thunderdl.model import Digest

MAX_PAGE_BYTES = 32 * 2**20
MAX_DEPTH = 32
#: Of one page; more is left out, and the page counts as cut.
MAX_ENTRIES = 2**18
_LONGEST_REFERENCE = 8192
_LONGEST_NAME_BYTES = 3072
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SEPARATOR = re.compile(r"[/\\]")
# Most links of an index: a name right here, or a folder's. Three times faster than the long way.
_PLAIN = re.compile(r"[A-Za-z0-9_~%+,=@()-][A-Za-z0-9._~%+,=@()-]{0,254}/?")
_PORTS = {"http": ":80", "https": ":443"}
# Made with the names of a download that runs: a file of that name would be taken for one that was left.
_OURS = (".part", ".part.journal")

SafeComponent = Callable[[str], str]


class Entry(NamedTuple):
    """What a file server lists of one file or folder. ``name``: as its bytes are there; ``modified``: when it was, in
    words that change with it, "" where it does not say."""

    name: bytes
    is_folder: bool
    size_bytes: int | None = None
    modified: str = ""


class ListedFile(NamedTuple):
    """``name``: safe, relative. ``stated``: the list's own words on date and size, "" where it says nothing usable;
    ``size_bytes``: where the list vouches for it."""

    name: str
    url: str
    stated: str = ""
    size_bytes: int | None = None
    digest: Digest | None = None


class ListedFolder(NamedTuple):
    """``url`` ends in a slash, ``name`` does not."""

    name: str
    url: str
    stated: str = ""


@dataclass(slots=True)
class Page:
    """``refused``: entries that no file can be made of; ``unread``: those of them of which nobody can tell what file
    they mean, or what of it; ``renamed``: whose names had to be made safe; ``is_cut``: whether there were more, or
    deeper ones, than are taken; ``is_open``: whether it stops where a whole one of its kind does not."""

    files: list[ListedFile] = field(default_factory=list)
    folders: list[ListedFolder] = field(default_factory=list)
    refused: int = 0
    unread: int = 0
    renamed: int = 0
    is_cut: bool = False
    is_open: bool = False

    def __len__(self) -> int:
        return len(self.files) + len(self.folders)

    def leave_unread(self, count: int = 1) -> None:
        """Refuse so many entries that may be about any file."""
        self.refused, self.unread = self.refused + count, self.unread + count


class Place:
    """Where a list stands: ``url`` up to its last slash is its base; ``name``: of that folder below the root, "" for
    the root itself."""

    def __init__(self, url: str, name: str, safe_component: SafeComponent) -> None:
        self.base = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[0] + "/"
        self._name, self._safe = name, safe_component
        parts = urlsplit(self.base)
        self._origin, self._segments = page_origin(self.base), [_decoded(one) for one in parts.path.split("/")[:-1]]
        self._plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def below(self, reference: str) -> list[str] | None:
        """The segments below the base that a link leads to, as written, the last one empty for a folder; None for what
        is elsewhere, is this place itself, or has a query (orders of sorting)."""
        if _PLAIN.fullmatch(reference):
            return reference.split("/")
        reference = reference.strip(" \t\r\n\f").partition("#")[0]
        if not reference or "?" in reference or len(reference) > _LONGEST_REFERENCE:
            return None
        try:
            joined = urljoin(self._plain, reference)
            if page_origin(joined) != self._origin:
                return None
            segments = urlsplit(joined).path.split("/")
        except ValueError:
            return None
        above = len(self._segments)
        if [_decoded(one) for one in segments[:above]] != self._segments:
            return None
        rest = segments[above:]
        return None if rest in ([], [""]) else rest

    def named(self, parts: list[str], page: Page) -> str | None:
        """The name for decoded ``parts``; None, and counted, for what is no name."""
        if any(part in ("", ".", "..") or _SEPARATOR.search(part) or _CONTROL.search(part) for part in parts):
            page.refused += 1
            return None
        safe = [self._safe(part) for part in parts]
        name = "/".join([self._name, *safe] if self._name else safe)
        if name.count("/") >= MAX_DEPTH or len(name.encode()) > _LONGEST_NAME_BYTES:
            page.is_cut = True
            return None
        if parts[-1].lower().endswith(_OURS):
            page.refused += 1
            return None
        page.renamed += safe != parts
        return name

    def add_link(self, reference: str, stated: str, page: Page) -> None:
        """Put what a link names on the page, where it is below."""
        segments = self.below(reference)
        if segments is None:
            return
        if len(page) >= MAX_ENTRIES:
            page.is_cut = True
            return
        is_folder = segments[-1] == ""
        parts = [_decoded(one) for one in (segments[:-1] if is_folder else segments)]
        if (name := self.named(parts, page)) is None:
            return
        url = self.base + "/".join(map(_quoted, segments))
        if is_folder:
            page.folders.append(ListedFolder(name, url, stated))
        else:
            page.files.append(ListedFile(name, url, stated))

    def add_entry(self, entry: Entry, page: Page) -> None:
        """Put on the page what a file server lists of this very place."""
        if entry.name in (b".", b".."):
            return
        if len(page) >= MAX_ENTRIES:
            page.is_cut = True
            return
        # A name, not a link: nothing in it may be read as an escape, a folder or a query.
        url = self.base + quote(entry.name, safe="")
        if (name := self.named([_decoded(quote(entry.name, safe=""))], page)) is None:
            return
        size = "" if entry.size_bytes is None else str(entry.size_bytes)
        stated = f"{entry.modified} {size}".rstrip() if entry.modified else ""
        if entry.is_folder:
            page.folders.append(ListedFolder(name, f"{url}/", stated))
        else:
            page.files.append(ListedFile(name, url, stated, entry.size_bytes))

    def add_path(self, path: str, page: Page, *, size_bytes: int | None, digest: Digest | None) -> None:
        """Put a file on the page that a manifest names by its path from here, not by a URL."""
        if len(page) >= MAX_ENTRIES:
            page.is_cut = True
            return
        parts = path.removeprefix("./").split("/")
        if (name := self.named(parts, page)) is not None:
            url = self.base + "/".join(quote(part, safe="") for part in parts)
            page.files.append(ListedFile(name, url, "", size_bytes, digest))


def page_origin(url: str) -> str:
    """Scheme, host and port, in one form for each origin. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return f"{scheme}://{parts.netloc.rpartition('@')[2].lower().removesuffix(_PORTS.get(scheme, ':'))}"


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    octets = unquote_to_bytes(segment.encode("utf-8", "surrogatepass"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _quoted(segment: str) -> str:
    """As it stands, but for what must not stand in a URL: some lists write spaces and letters as they are."""
    return quote(segment, safe="%!$&'()*+,;=:@~-._", errors="replace")
