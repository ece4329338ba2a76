"""Response header values: file name, range, length, dates, digests.

Pure: text in, values out; no clock, no I/O, no policy. Header values come from anyone on the network, so:

- every parser is linear in its input and never raises for rubbish, but for the one whose summary says so;
- a number is ASCII digits alone (no sign, space, underscore) and at most 2^63 - 1;
- a file name is handed on as sent: making it safe is the task of ``storage/paths.py``;
- a digest is reported only where it covers the whole representation as it will be saved.
"""

from __future__ import annotations

import binascii
import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thunderdl.model import Digest

MAX_LENGTH_BYTES = 2**63 - 1
MAX_RETRY_AFTER_S = 86_400.0

# --- Content-Disposition -------------------------------------------------------------------------------------

# A parameter ends at a semicolon outside quotes; an unclosed quote runs to the end, as in Chromium.
_PARAMETER = re.compile(r'(?:[^";]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_EXTENDED = re.compile(r"([^'\"]+)'[^'\"]*'(.*)", re.DOTALL)  # RFC 8187 section 3.2.1
_ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([BbQq])\?([^?\s]*)\?=")  # RFC 2047 section 2
# Only true character sets: Python's idna, unicode_escape and the like are slow or give surprising text.
_CHARSET = re.compile(
    r"(?:utf-?8|us-ascii|latin-?1|iso-?8859-?\d{1,2}|(?:windows|cp)-?\d{3,5}|koi8-?[rut]|euc-?(?:jp|kr|cn)"
    r"|gbk|gb2312|gb18030|big5(?:-?hkscs)?|shift[-_]?jis|iso-2022-jp|tis-?620)",
    re.IGNORECASE,
)
# GB 2312 level 1 (the 3755 commonest characters) and its symbols, in pairs; two at least, for a single pair
# is more often two accented letters of Latin-1.
_CHINESE_RUNS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xa9\xb0-\xd7][\xa1-\xfe])*+")


def disposition_name(value: bytes) -> str | None:
    """The file name of a Content-Disposition value as browsers read it (RFC 6266), None where it gives none.

    ``filename*`` wins over ``filename``, the first of each counts, the disposition type does not matter.
    The result may hold anything, path separators included.
    """
    plain: str | None = None
    extended: str | None = None
    for name, raw in _parameters(value.decode("latin-1")):
        if name == "filename*" and extended is None:
            extended = _extended_name(raw)
        elif name == "filename" and plain is None:
            plain = raw
    return extended or (_plain_name(plain) if plain else None) or None


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    for part in _PARAMETER.findall(text):
        name, equals, raw = part.partition("=")
        if equals:
            yield name.strip().lower(), raw.strip()


def _extended_name(raw: str) -> str | None:
    """RFC 8187 ``charset'language'percent-coded``; one bad byte or escape makes the whole value void."""
    found = _EXTENDED.fullmatch(raw)
    if not found or not raw.isascii():
        return None
    coded = found[2].encode("ascii")
    if coded.count(b"%") != len(_PERCENT.findall(coded)):
        return None
    return _decoded(_percent_decoded(coded), found[1])


def _plain_name(raw: str) -> str | None:
    is_quoted = raw.startswith('"')
    text = _without_quotes(raw) if is_quoted else raw
    text = re.sub(r"[\t\r\n]", " ", text)
    octets = text.encode("latin-1")
    if not octets.isascii():
        return _guessed(octets)
    # RFC 2047 section 5 forbids encoded words inside quotes, and most clients keep them there as they are.
    if not is_quoted and text.startswith("=?"):
        return _encoded_words(text)
    # Chromium undoes percent-encoding here, though RFC 6266 does not ask for it; many servers rely on it.
    return _decoded(_percent_decoded(octets), "utf-8")


def _without_quotes(raw: str) -> str:
    whole = _QUOTED.fullmatch(raw)
    return _ESCAPE.sub(r"\1", whole[1] if whole else raw[1:])


def _percent_decoded(octets: bytes) -> bytes:
    return _PERCENT.sub(lambda hit: bytes.fromhex(hit[1].decode("ascii")), octets)


def _decoded(octets: bytes, charset: str) -> str | None:
    if not _CHARSET.fullmatch(charset):
        return None
    try:
        # Python knows iso-8859-1 in many spellings, but not iso88591.
        return octets.decode(re.sub(r"(?i)^iso-?8859-?", "iso-8859-", charset))
    except (UnicodeDecodeError, LookupError):
        return None


def _guessed(octets: bytes) -> str:
    """Raw 8-bit bytes: UTF-8 if they can be, else Chinese if they look it, else Latin-1."""
    utf8 = _decoded(octets, "utf-8")
    if utf8 is not None:
        return utf8
    if _CHINESE_RUNS.fullmatch(octets) and sum(octet > 0x7F for octet in octets) >= 4:
        chinese = _decoded(octets, "gb18030")
        if chinese is not None:
            return chinese
    return octets.decode("latin-1")


def _encoded_words(text: str) -> str | None:
    """RFC 2047 words side by side, white space between them dropped; None if anything else is there."""
    name = ""
    for part in text.split():
        found = _ENCODED_WORD.fullmatch(part)
        if not found:
            return None
        octets = _base64(found[3]) if found[2] in "Bb" else _q_decoded(found[3])
        word = None if octets is None else _decoded(octets, found[1])
        if word is None:
            return None
        name += word
    return name.rstrip("\r\n")


def _q_decoded(coded: str) -> bytes | None:
    octets = coded.replace("_", " ").replace("%", "%25").encode("latin-1")
    percented = re.sub(rb"=(?=[0-9A-Fa-f]{2})", b"%", octets)
    return None if b"=" in percented else _percent_decoded(percented)


# --- ranges and lengths --------------------------------------------------------------------------------------

_CONTENT_RANGE = re.compile(r"bytes +([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes +\*/([0-9]{1,19})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """The part that a 206 holds: half-open ``[start, end)`` in bytes; ``total``: None where sent as ``*``."""

    start: int
    end: int
    total: int | None


def parse_content_range(value: str) -> ContentRange | None:
    """Content-Range of a 206 (RFC 9110 section 14.4); None for rubbish, other units and the form of a 416."""
    found = _CONTENT_RANGE.fullmatch(value.strip(" \t"))
    if not found:
        return None
    start, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    highest = MAX_LENGTH_BYTES if total is None else min(total, MAX_LENGTH_BYTES)
    if (total or 0) > MAX_LENGTH_BYTES or not start < end <= highest:
        return None
    return ContentRange(start=start, end=end, total=total)


def parse_unsatisfied_range(value: str) -> int | None:
    """The length in bytes that a 416 gives as ``bytes */N``; None for anything else."""
    found = _UNSATISFIED.fullmatch(value.strip(" \t"))
    total = int(found[1]) if found else None
    return total if total is not None and total <= MAX_LENGTH_BYTES else None


def parse_content_length(values: Iterable[str]) -> int | None:
    """The length that all Content-Length lines agree on, in bytes; None where there is no line.

    Equal values may be repeated, over lines or commas (RFC 9110 section 8.6). Raises ValueError for
    rubbish, a sign, more than 2^63 - 1, and values that differ: the body's end is then unknowable.
    """
    lengths: set[int] = set()
    for value in values:
        for member in value.split(","):
            digits = member.strip(" \t")
            if not _DIGITS.fullmatch(digits) or len(digits.lstrip("0")) > 19:
                raise ValueError(f"Content-Length is not a length: {value[:40]!r}")
            lengths.add(int(digits))
    if len(lengths) > 1:
        raise ValueError(f"Content-Length lines differ: {sorted(lengths)[:4]}")
    length = lengths.pop() if lengths else None
    if length is not None and length > MAX_LENGTH_BYTES:
        raise ValueError(f"Content-Length is beyond 2^63 - 1: {length}")
    return length


# --- dates ---------------------------------------------------------------------------------------------------

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# IMF-fixdate and RFC 850 (RFC 9110 section 5.6.7), then asctime.
_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"[A-Za-z]{{3,9}}, ?(?P<day>\d\d?)[ -](?P<month>[A-Za-z]{{3}})[ -](?P<year>\d{{4}}|\d\d) {_CLOCK} (?:GMT|UTC)",
        rf"[A-Za-z]{{3}} (?P<month>[A-Za-z]{{3}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    )
)


def http_date(value: str) -> float | None:
    """An HTTP-date in Unix seconds, None for rubbish. A two-digit year is 1970 … 2069: no clock is asked."""
    found = next(filter(None, (pattern.fullmatch(value.strip(" \t")) for pattern in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    second = min(int(found["second"]), 59) if found["second"] == "60" else int(found["second"])
    try:
        moment = datetime.datetime(
            year, _MONTHS[found["month"].lower()], int(found["day"]), int(found["hour"]), int(found["minute"]), second,
            tzinfo=datetime.UTC,
        )  # fmt: skip
    except (ValueError, KeyError):
        return None
    return moment.timestamp()


def retry_after_s(value: str, date_now: float) -> float | None:
    """Seconds to wait by a Retry-After of seconds or of a date, kept within 0 … 86400; None for rubbish.

    ``date_now``: Unix seconds, by the server's Date header where there is one, as its clock may be wrong.
    """
    text = value.strip(" \t")
    if _DIGITS.fullmatch(text):
        digits = text.lstrip("0")
        return MAX_RETRY_AFTER_S if len(digits) > 6 else min(float(digits or 0), MAX_RETRY_AFTER_S)
    date = http_date(text)
    return None if date is None else min(max(date - date_now, 0.0), MAX_RETRY_AFTER_S)


# --- digests -------------------------------------------------------------------------------------------------

# Header name (lower case, no hyphens) -> hashlib name and digest length, strongest first. Checksums that are
# no hash (adler, crc32c, unixsum) are left out.
_DIGEST_NAMES = {
    "sha512": ("sha512", 64),
    "sha384": ("sha384", 48),
    "sha256": ("sha256", 32),
    "sha224": ("sha224", 28),
    "sha1": ("sha1", 20),
    "sha": ("sha1", 20),
    "md5": ("md5", 16),
}
_STRENGTH = [algorithm for algorithm, _ in _DIGEST_NAMES.values()]
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
# A member of a structured dictionary (RFC 9651 section 3.2) that is a byte sequence, perhaps with parameters;
# keys are lower case there. A quoted parameter may hold a comma.
_SF_MEMBER = re.compile(r'(?:[^",]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))+')
_SF_BYTES = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([^:]*):[ \t]*(?:;.*)?")


def repr_digests(headers: Iterable[tuple[str, str]]) -> tuple[Digest, ...]:
    """The digests of the whole representation that a response gives, strongest first; empty where none is usable.

    Reads Repr-Digest (RFC 9530), else Digest (RFC 3230), else Content-MD5, for each algorithm. Malformed
    members and unknown algorithms are passed over. Nothing is reported for a content-coded response: its
    digests cover the coded bytes. Content-MD5 is ignored beside Content-Range: it may cover the part alone
    (RFC 7231 appendix B). Content-Digest always covers the part sent and is never read.
    """
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value)
    if any(value.strip().lower() not in ("", "identity") for value in lines.get("content-encoding", ())):
        return ()
    found = dict(_structured_digests(lines.get("repr-digest", ())))
    found = _instance_digests(lines.get("digest", ())) | found
    md5_lines = {value.strip() for value in lines.get("content-md5", ())}
    if len(md5_lines) == 1 and "content-range" not in lines and "md5" not in found:
        found.update(_digest_member("md5", md5_lines.pop()))
    return tuple(Digest(name, found[name]) for name in sorted(found, key=_STRENGTH.index))


def _structured_digests(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for member in _SF_MEMBER.findall(", ".join(lines)):
        parts = _SF_BYTES.fullmatch(member)
        if parts:
            yield from _digest_member(parts[1], parts[2]).items()


def _instance_digests(lines: Iterable[str]) -> dict[str, bytes]:
    """RFC 3230 ``SHA-256=base64,…``; two different values of one algorithm cancel each other out."""
    seen: dict[str, set[bytes]] = {}
    for member in ",".join(lines).split(","):
        name, _, coded = member.partition("=")
        for algorithm, value in _digest_member(name.strip(), coded.strip()).items():
            seen.setdefault(algorithm, set()).add(value)
    return {algorithm: values.pop() for algorithm, values in seen.items() if len(values) == 1}


def _digest_member(name: str, coded: str) -> dict[str, bytes]:
    """One digest, or nothing where the name is unknown or the value is not base64 of the right length."""
    algorithm, length = _DIGEST_NAMES.get(name.lower().replace("-", ""), ("", 0))
    value = _base64(coded)
    return {algorithm: value} if algorithm and value is not None and len(value) == length else {}


def _base64(coded: str) -> bytes | None:
    """Base64 with right, missing or surplus padding (RFC 9530 itself prints surplus in B.5), None for rubbish."""
    if not _BASE64.fullmatch(coded):
        return None
    digits = coded.rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return None
