"""Lists of mirrors as projects publish them, and what a file is called under each of them.

Pure; never raises. Read are plain lists, Debian's ``sources.list`` (both forms), pacman's
``Server = …/$repo/os/$arch``, Fedora's mirrorlist and metalink, JSON (MirrorCache, Arch), CSV (CRAN) and pages of
HTML with links to folders. A list is a guess of where a file may be: whether it is the same is proven elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote, urlsplit

from thunderdl.errors import UsageError
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.source_urls import source_url

MAX_BYTES = 16 * 2**20
MAX_BASES = 1000
#: What a mirror list may name; ``rsync`` is left out, since nothing here speaks it.
SCHEMES = frozenset(["http", "https", "ftp", "ftps"])
_MAX_JSON_DEPTH = 16
_MAX_SEGMENTS = 64
_MOST_PER_BASE = 2

_URL = re.compile(r"(?:https?|ftps?)://[^\s\"'<>,;|{}]+", re.IGNORECASE)
_SERVER = re.compile(r"[ \t]*(#?)[ \t]*Server[ \t]*=[ \t]*(\S+)")
_HREF = re.compile(r"""href\s{0,9}=\s{0,9}["']?([^"'\s<>]{1,8192})""", re.IGNORECASE)
_PAGE = re.compile(r"\s*(?:<!doctype html|<html|<!--)|[^\0]{0,4096}<(?:body|table|a)[\s>]", re.IGNORECASE)
_TRAILING = ".)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    url: str
    priority: int = 0


def parse_mirror_list(document: bytes, list_url: str | None = None) -> tuple[str, ...]:
    """The base URLs in the list's own order (by priority where it states one), each once; at most a thousand.

    ``list_url``: where the list came from; in a page of HTML, links to that host are the page's own and no mirrors.
    A base ends where its first variable (``$repo``, ``$arch``) begins. Empty where nothing is a mirror.
    """
    if len(document) > MAX_BYTES:
        return ()
    text = document.decode("utf-8-sig", "replace")
    stripped = text.lstrip()
    if stripped.startswith("<") and "<metalink" in stripped[:4096]:
        found = _of_metalink(document)
    elif stripped[:1] in ("[", "{") and (parsed := _json(stripped)) is not None:
        found = (one.url for one in sorted(_of_json(parsed, 0), key=lambda one: one.priority))
    elif _PAGE.match(text):
        found = _of_page(text, list_url)
    else:
        found = _of_lines(text)
    return tuple(_unique(found))


def _unique(urls: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for raw in urls:
        url = source_url(_without_variables(raw), SCHEMES)
        if url and (key := url.rstrip("/")) not in seen:
            seen.add(key)
            yield url
            if len(seen) == MAX_BASES:
                return


def _without_variables(url: str) -> str:
    """The base of ``https://host/path/$repo/os/$arch``: ``https://host/path/``."""
    fixed = re.split(r"[?#]", url, maxsplit=1)[0]
    before, variable, _ = fixed.partition("$")
    return before[: before.rfind("/") + 1] if variable else fixed


def _of_lines(text: str) -> Iterator[str]:
    servers = [found for line in text.splitlines() if (found := _SERVER.match(line))]
    if servers:
        # Arch publishes its list with every server commented out, for the user to choose.
        active = [found for found in servers if not found[1]]
        yield from (found[2] for found in active or servers)
        return
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", ";", "//")):
            yield from (url.rstrip(_TRAILING) for url in _URL.findall(line))


def _of_metalink(document: bytes) -> Iterator[str]:
    """Fedora's metalink names the mirrors of one file in the tree; the base is what stands before that file."""
    try:
        files = parse_metalink(document, str).files
    except UsageError:
        return
    for file in files[:1]:
        tail = "repodata/repomd.xml" if file.name == "repomd.xml" else file.name
        yield from (mirror.url.removesuffix(tail) for mirror in file.mirrors)


def _json(text: str) -> object | None:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def _of_json(value: object, depth: int) -> Iterator[_Found]:
    if depth > _MAX_JSON_DEPTH:
        return
    if isinstance(value, str):
        yield _Found(url=value)
    elif isinstance(value, list):
        for one in value:
            yield from _of_json(one, depth + 1)
    elif isinstance(value, dict):
        url, rank = value.get("url"), value.get("prio", value.get("priority"))
        if isinstance(url, str):
            # Arch's list of all mirrors says which of them are in service.
            if value.get("active") is not False:
                yield _Found(url=url, priority=rank if isinstance(rank, int) else 0)
            return
        for one in value.values():
            if isinstance(one, list | dict):
                yield from _of_json(one, depth + 1)


def _of_page(text: str, list_url: str | None) -> Iterator[str]:
    """Links to folders on other hosts; a page's own navigation mostly stays at home or leads to pages."""
    home = _host(list_url) if list_url else ""
    for raw in _HREF.findall(text):
        url = html.unescape(raw)
        if _URL.match(url) and url.endswith("/") and _host(url) != home:
            yield url


def mirror_guesses(original: str, bases: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Where the file at ``original`` may be found under each base, in the order of the bases: the best guess, and the
    next best for where it is not there.

    If one base is itself the beginning of ``original``, what follows it is the path below each base, and the only
    guess. Else the longest run of folders in which a base ends and which ``original`` has, too, tells where they
    meet; else the whole path of ``original`` is tried below the base, then the same without its first folder.
    """
    every = list(bases)
    segments = _segments(original)
    if not segments or segments[-1] == "" or len(segments) > _MAX_SEGMENTS:
        return ()
    suffix = _known_suffix(original, every)
    guesses: list[list[str]] = [list(islice(_guesses(base, segments, suffix), _MOST_PER_BASE)) for base in every]
    seen = {_bare(original)}
    # Each file once, the original not at all; what is the best guess of one base is no second one of another.
    firsts = [_unseen(each[:1], seen) for each in guesses]
    return tuple(
        found for first, each in zip(firsts, guesses, strict=True) if (found := (*first, *_unseen(each[1:], seen)))
    )  # fmt: skip


def _unseen(urls: Iterable[str], seen: set[str]) -> tuple[str, ...]:
    """Those of them that are new; they are seen from now on."""
    found = {bare: url for url in urls if (bare := _bare(url)) not in seen}
    seen.update(found)
    return tuple(found.values())


def _known_suffix(original: str, bases: Iterable[str]) -> str:
    """What follows the longest base that ``original`` begins with; empty where none is its beginning."""
    mine = _bare(original)
    tails = [mine.removeprefix(base) for raw in bases if mine.startswith(base := _bare(raw).rstrip("/") + "/")]
    return min(tails, key=len, default="")


def _guesses(base: str, segments: list[str], suffix: str) -> Iterator[str]:
    """Most likely first; ``suffix``: where it is known for certain."""
    folders, inner = _segments(base), segments[:-1]
    if folders and unquote(folders[-1]) == unquote(segments[-1]):
        yield base  # the list names the file itself
        return
    if suffix:
        yield _joined(base, suffix)
        return
    folders = [folder for folder in folders if folder][-_MAX_SEGMENTS:]
    meeting = _meeting(folders, inner)
    starts = ([meeting] if meeting else []) + [at for at in (0, 1) if at < len(segments)]
    for start in dict.fromkeys(starts):
        yield _joined(base, "/".join(segments[start:]))


def _meeting(folders: list[str], inner: list[str]) -> int:
    """Where in ``inner`` the longest run ends that is also the end of ``folders``; 0 where there is none."""
    best, length = 0, 0
    for end in range(1, len(inner) + 1):
        run = 0
        while run < min(end, len(folders)) and inner[end - 1 - run] == folders[-1 - run]:
            run += 1
        if run > length:
            best, length = end, run
    return best


def _joined(base: str, suffix: str) -> str:
    return f"{base.rstrip('/')}/{suffix}"


def _segments(url: str) -> list[str]:
    """The path's segments; none where it leads upwards or there is no path."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return []
    segments = path.split("/")[1:]
    return [] if any(unquote(segment) in (".", "..") for segment in segments) else segments


def _bare(url: str) -> str:
    """Without scheme, user, query and fragment: http and https of one host are one mirror."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.netloc.rpartition('@')[2].lower()}{parts.path}"


def _host(url: str) -> str:
    return _bare(url).partition("/")[0]
