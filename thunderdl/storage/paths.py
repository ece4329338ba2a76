"""File names: from the network made safe, from the user checked, and a free one beside a taken one.

No file is touched here. What holds for every name that comes out of :func:`safe_name` and :func:`name_from_url`:

1. it is one component: no ``/``, no ``\\``, never empty, ``.`` or ``..``, no drive prefix;
2. it is never hidden (no leading dot), no option (no leading ``-``), no home folder (no leading ``~``);
3. it holds no control, bidi or zero-width character and no lone surrogate, and is in Unicode form NFC;
4. it is at most 240 bytes of UTF-8: ``NAME.part.journal`` still fits into the 255 that file systems allow;
5. it is no device name of Windows and ends in neither dot nor space, so that folders can be shared with it;
6. made safe once more it does not change.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from thunderdl.errors import TargetExists, UsageError, printable

MAX_NAME_BYTES = 240
MAX_FOLDER_BYTES = 255
FALLBACK = "download"
INDEX = "index.html"
_MAX_EXTENSION_BYTES = 32
_MAX_RENAMES = 2**20
_NO_QUERY = ("ftp", "file")

# Most names of large batches: judged by one match and one look-up, not by the long way (measured 4 times faster).
_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .,+=@()\[\]-]{0,238}[A-Za-z0-9_,+=@()\[\]-])?")
# Microsoft, "Naming Files, Paths, and Namespaces"; the superscript digits count as digits there.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [port + digit for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_BREAK = re.compile(r"[\t-\r\x85\u2028\u2029]+")
# Control, bidi (trojan-source), zero-width and otherwise invisible characters, surrogates, non-characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Who saved a file under such a name would find it taken for the rest of another download.
_UNDER_WAY = (".part", ".part.journal")
_DEVICE_PART = re.compile(r"[.:]")
_SEPARATOR = re.compile(r"[/\\]")
_EDGES = " .\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LEAD = re.compile(rf"(?:[A-Za-z]:|[{_EDGES}])+")
_DOUBLE_EXTENSION = re.compile(
    r"(?:\.pkg)?\.(?:tar|cpio|sql|csv|tsv|json|jsonl|xml|txt|log|img|iso|raw|vcf|fastq|fasta|fa|nii|warc)"
    r"\.(?:gz|bz2|xz|zst|lz|lz4|lzma|lzo|br|z)",
    re.IGNORECASE,
)


def safe_name(raw: str, *, fallback: str = FALLBACK) -> str:
    """One plain file name from anything the network says; ``fallback`` (a safe name) where nothing is left of it.

    Of a path the last component counts: that is what a server means that sends ``C:\\dir\\a.txt``, and what
    browsers mostly do. A URL's segment is another matter, see :func:`name_from_url`.
    """
    if _PLAIN.fullmatch(raw) and raw.partition(".")[0].rstrip().lower() not in _DEVICES:
        return _told_apart(raw)
    # Unseen characters go first: they must not part two dots, or a separator's escape, from each other.
    name = unicodedata.normalize("NFC", _UNSEEN.sub("", _BREAK.sub(" ", raw)))
    name = _SEPARATOR.split(name.rstrip("/\\"))[-1]
    return _told_apart(_tamed(name) or fallback)


def _told_apart(name: str) -> str:
    return _cut(name + "_") if name.lower().endswith(_UNDER_WAY) else name


def name_from_url(url: str) -> str:
    """The file name that a URL suggests: its last path segment, decoded; ``index.html`` where that is empty.

    Query and fragment do not count. ``%2F`` and ``%5C`` become ``_``: data, not separators (wcurl's
    CVE-2025-11563). Bytes that are not UTF-8 are read as Latin-1.
    """
    scheme, scheme_ends, rest = url.partition("://")
    if not scheme_ends:
        scheme, _, rest = url.partition(":")
        if scheme.lower() != "file":
            return FALLBACK
    rest = rest.partition("#")[0]
    if scheme.lower().startswith(_NO_QUERY):
        # There a ? is a part of the name (RFC 1738 section 3.2), and ;type= is none (section 3.2.2).
        rest = re.sub(r";type=[A-Za-z]$", "", rest)
    else:
        rest = rest.partition("?")[0]
    path = rest.partition("/")[2]
    segment = path[path.rfind("/") + 1 :]
    if not segment:
        return INDEX
    if "%" in segment:
        segment = _percent_decoded(segment)
    return safe_name(_SEPARATOR.sub("_", segment))


def user_name(out: str) -> str:
    """The user's own ``--out``, as a relative path inside the folder; UsageError where it leads elsewhere.

    Folders and dot files are the user's right; absolute paths, ``..``, ``~/``, control characters and names
    too long for ``.part.journal`` are refused.
    """
    if out.startswith(("/", "\\", "~/")) or re.match(r"[A-Za-z]:[/\\]", out) or out == "~":
        raise UsageError(f"--out {_shown(out)} must be a relative name; give the folder with --dir.")
    if ".." in _SEPARATOR.split(out):
        raise UsageError(f"--out {_shown(out)} must stay inside the folder; give another folder with --dir.")
    if _CONTROL.search(out):
        raise UsageError(f"--out {_shown(out)} holds a control character.")
    folders = [part for part in out.split("/") if part not in ("", ".")]
    if not folders or out.endswith(("/", "/.")):
        raise UsageError(f"--out {_shown(out)} must end in a file name.")
    for part, most in [(folders[-1], MAX_NAME_BYTES), *((folder, MAX_FOLDER_BYTES) for folder in folders[:-1])]:
        if _length_bytes(part) > most:
            raise UsageError(f"--out {_shown(part)} is longer than {most} bytes.")
    return "/".join(folders)


def free_name(path: str, taken: Callable[[str], bool]) -> str:
    """``path``, or the first of ``name (1).ext``, ``name (2).ext`` … that is not ``taken``.

    Asks ``taken`` about log2(n) times for n taken names: steps double, then halve. Where the numbers have gaps
    it may be a later free one. Raises TargetExists after about a million.
    """
    if not taken(path):
        return path
    folder, base = os.path.split(path)
    stem, extension = split_extension(base)

    def numbered(number: int) -> str:
        return os.path.join(folder, _fitted(stem, f" ({number}){extension}"))

    low, high = 0, 1
    while taken(numbered(high)):
        low, high = high, high * 2
        if high > _MAX_RENAMES:
            raise TargetExists(path)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(numbered(middle)) else (low, middle)
    return numbered(high)


def split_extension(name: str) -> tuple[str, str]:
    """Stem and extension of a file name; ``.tar.gz`` and its like count as one, a leading dot as part of the stem."""
    stem, extension = os.path.splitext(name)
    inner = os.path.splitext(stem)[1]
    if inner and _DOUBLE_EXTENSION.fullmatch(inner + extension):
        stem, extension = stem[: -len(inner)], inner + extension
    outer = os.path.splitext(stem)[1]
    if outer.lower() == ".pkg" and inner.lower() == ".tar":
        stem, extension = stem[: -len(outer)], outer + extension
    if " " in extension or len(extension.encode("utf-8", "surrogateescape")) > _MAX_EXTENSION_BYTES:
        return name, ""
    return stem, extension


def _tamed(name: str) -> str:
    """One component without drive, leading or trailing dots and spaces, option or device meaning; cut to length."""
    lead = _LEAD.match(name)
    name = (name[lead.end() :] if lead else name).rstrip(_EDGES)
    if name.startswith(("-", "~")):
        name = "_" + name[1:]
    name = _cut(name)
    # After the cut, which can leave "con" of a long name; a device's name with an underscore may want a cut anew.
    return _cut("_" + name) if _DEVICE_PART.split(name, 1)[0].rstrip(_EDGES).lower() in _DEVICES else name


def _cut(name: str) -> str:
    return name if len(name.encode()) <= MAX_NAME_BYTES else _fitted(*split_extension(name)).rstrip(_EDGES)


def _fitted(stem: str, ending: str) -> str:
    """``stem`` cut on a character's border so that it and ``ending`` are at most 240 bytes."""
    room = MAX_NAME_BYTES - _length_bytes(ending)
    if _length_bytes(stem) > room:
        stem = stem.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore").rstrip(_EDGES)
    return stem + ending


def _length_bytes(text: str) -> int:
    """Length on disk. Arguments that are not UTF-8 hold surrogates for their bytes (PEP 383)."""
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise UsageError(f"{_shown(text)} cannot be written as a file name.") from None


def _percent_decoded(segment: str) -> str:
    octets = unquote_to_bytes(segment.encode("utf-8", "ignore"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _shown(text: str) -> str:
    return repr(printable(text if len(text) <= 80 else text[:77] + "..."))
