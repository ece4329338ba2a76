"""What FTP servers list of a folder: MLSD (RFC 3659 section 7), and what ``ls -l`` or DOS print, where that is unknown.

Pure: bytes in, values out. Links are left out: what they lead to may be above. A line that tells nothing is None, for
whoever counts those; no name is checked here, :class:`thunderdl.formats.listings.Place` does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from thunderdl.formats.listings import Entry

_UNIX = re.compile(
    rb"([-dlbcpsD])[-rwxsStTlL]{9}[+.@]? +\d+ +\S+(?: +\S+)? +(\d{1,19}) +"
    rb"([A-Z][a-z]{2} +\d{1,2} +[\d:]{4,5}|\d{4}-\d\d-\d\d +\d\d:\d\d) (.+)"
)
_DOS = re.compile(rb"(\d\d-\d\d-(?:\d\d){1,2} +\d\d:\d\d(?: *[AP]M)?) +(<DIR>|\d{1,19}) +(\S.*)")
# A name is at most 255 bytes in what most servers have, a path 4096; facts take a few hundred.
_LONGEST_LINE_BYTES = 8192
_SIZE = re.compile(rb"\d{1,19}")
_MODIFIED = re.compile(rb"\d{14}(?:\.\d{1,9})?")
_FILE, _FOLDER = b"file", b"dir"
# The folder itself, and the one above it.
_NO_ENTRIES = (b"cdir", b"pdir")


def parse_mlsd(raw: bytes) -> Iterator[Entry | None]:
    """Each file and folder of an answer to MLSD; None for each line that is none of its."""
    for line in _lines(raw):
        facts, space, name = line.partition(b" ")
        if not space or not name:
            yield None
            continue
        told = {key.lower(): value for key, _, value in (fact.partition(b"=") for fact in facts.split(b";"))}
        kind = told.get(b"type", b"").lower()
        if kind in _NO_ENTRIES or (kind and kind not in (_FILE, _FOLDER)):
            continue
        if not kind:
            yield None
            continue
        size, modified = told.get(b"size", b""), told.get(b"modify", b"")
        words = modified.decode() if _MODIFIED.fullmatch(modified) else ""
        known = int(size) if kind == _FILE and _SIZE.fullmatch(size) else None
        yield Entry(name, is_folder=kind == _FOLDER, size_bytes=known, modified=words)


def parse_list(raw: bytes) -> Iterator[Entry | None]:
    """The same of an answer to LIST."""
    for line in _lines(raw):
        if found := _UNIX.fullmatch(line):
            if found[1] in b"-d":
                yield _entry(found[4], is_folder=found[1] == b"d", size=found[2], words=found[3])
        elif found := _DOS.fullmatch(line):
            yield _entry(found[3], is_folder=found[2] == b"<DIR>", size=found[2], words=found[1])
        elif not re.fullmatch(rb"total \d+", line):
            yield None


def _entry(name: bytes, *, is_folder: bool, size: bytes, words: bytes) -> Entry:
    told = " ".join(words.decode("ascii", "replace").split())
    return Entry(name, is_folder=is_folder, size_bytes=None if is_folder else int(size), modified=told)


def _lines(raw: bytes) -> Iterator[bytes]:
    """The lines that are not empty; one that is too long to be looked at as a line that tells nothing."""
    stripped = (line.rstrip(b"\r") for line in raw.split(b"\n"))
    return (line if len(line) <= _LONGEST_LINE_BYTES else b"?" for line in stripped if line)
