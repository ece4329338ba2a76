"""File names in Content-Disposition, as browsers read them (RFC 6266, RFC 8187, RFC 2047).

Pure and linear in its input; the value comes from anyone on the network. A name is handed on as sent: making it
safe is the task of ``storage/paths.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from thunderdl.formats.digest_fields import base64_octets

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
        octets = base64_octets(found[3]) if found[2] in "Bb" else _q_decoded(found[3])
        word = None if octets is None else _decoded(octets, found[1])
        if word is None:
            return None
        name += word
    return name.rstrip("\r\n")


def _q_decoded(coded: str) -> bytes | None:
    octets = coded.replace("_", " ").replace("%", "%25").encode("latin-1")
    percented = re.sub(rb"=(?=[0-9A-Fa-f]{2})", b"%", octets)
    return None if b"=" in percented else _percent_decoded(percented)
