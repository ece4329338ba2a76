"""Manifests: lists of files that say what is in them. Checksum files (SHA256SUMS), and JSON of name, size, digest.

Pure; never raises. JSON is one object a line (``{"name": "a/b", "size": 3, "sha256": "…"}``), or a list of such
objects. Names are paths from the manifest's own folder; a digest may stand under the name of any algorithm that
:mod:`thunderdl.formats.hashes` knows. Two entries of one name that contradict each other are both refused: nobody can
tell which is meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from thunderdl.formats.checksum_files import parse_checksum_file
from thunderdl.formats.digest_fields import hex_digest
from thunderdl.formats.http_headers import MAX_LENGTH_BYTES
from thunderdl.formats.listings import MAX_ENTRIES, Page, Place
from thunderdl.formats.strength import strongest_first
from thunderdl.model import Digest

_LONGEST_LINE = 65536

Row = tuple[str, int | None, Digest | None]


def parse_lines(text: str, place: Place) -> Page:
    """A manifest of JSON objects, one a line; a line that is none is refused and counted."""
    page = Page()
    _put(_rows(_objects(text, page), page), place, page)
    return page


def parse_objects(document: object, place: Place) -> Page | None:
    """A manifest that is one list of objects, once read as JSON; None where it is something else."""
    if not isinstance(document, list) or not any(isinstance(each, dict) and "name" in each for each in document):
        return None
    page = Page()
    _put(_rows(document, page), place, page)
    return page


def parse_sums(document: bytes, sidecar: str, place: Place) -> Page | None:
    """A checksum file of several names; ``sidecar``: its own name. None where no line of it names a file."""
    parsed = parse_checksum_file(document, sidecar)
    entries = [each for each in parsed.entries if each.name is not None]
    if not entries:
        return None
    # Each line of one ends; where the last does not, a part of it may be missing, and of the list. The NUL: UTF-16.
    page = Page(is_open=parsed.signature is None and not document.rstrip(b"\0").endswith((b"\n", b"\r")))
    _put(((each.name or "", None, each.digest) for each in entries), place, page)
    return page


def _objects(text: str, page: Page) -> Iterator[object]:
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            yield json.loads(line) if len(line) <= _LONGEST_LINE else None
        except (ValueError, RecursionError):
            page.leave_unread()


def _rows(objects: Iterable[object], page: Page) -> Iterator[Row]:
    for each in objects:
        row = _row(each) if isinstance(each, dict) else None
        if row is None:
            page.leave_unread()
        else:
            yield row


def _row(each: dict[str, object]) -> Row | None:
    name, size = each.get("name"), each.get("size")
    if not isinstance(name, str):
        return None
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_LENGTH_BYTES):
        return None
    named = [(key, value) for key, value in each.items() if key not in ("name", "size") and isinstance(value, str)]
    digests = [digest for key, value in named if (digest := hex_digest(key, value)) is not None]
    return name, size, next(iter(strongest_first(digests)), None)


def _put(rows: Iterable[Row], place: Place, page: Page) -> None:
    """Each name once; of two that differ none."""
    told: dict[str, Row] = {}
    disputed: set[str] = set()
    for row in rows:
        name = row[0]
        if told.get(name, row) != row:
            disputed.add(name)
        elif len(told) >= MAX_ENTRIES:
            page.is_cut = True
            break
        told[name] = row
    page.leave_unread(len(disputed))
    for name, size, digest in told.values():
        if name not in disputed:
            place.add_path(name, page, size_bytes=size, digest=digest)
