"""Links of the old download managers: ``thunder://``, ``flashget://``, ``qqdl://``, and ``ed2k://`` file links.

Pure: text in, values out. The first three are a URL in Base64, two of them in a frame; the fourth names a file by
size and hash and no place to fetch it from. None was ever specified: the rules are those that the tools kept to.
What is inside a link may hold a password, and so may its Base64: no message here repeats more of it than a scheme.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from thunderdl.errors import InvalidUrl, shown_url
from thunderdl.formats.links import FOREIGN_SCHEMES

MAX_NESTING = 4
MAX_ED2K_SOURCES = 64
_MAX_SIZE_BYTES = 2**63 - 1

_WRAPPED = re.compile(r"(thunder|flashget|qqdl)://(.*)", re.IGNORECASE | re.DOTALL)
_ED2K = re.compile(r"ed2k://", re.IGNORECASE)
_FRAMES = {"thunder": ("AA", "ZZ"), "flashget": ("[FLASHGET]", "[FLASHGET]"), "qqdl": ("", "")}
_PAYLOAD = re.compile(r"[A-Za-z0-9+/_-]+")
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
# What a link from anyone may lead to. No file: and no data:, as after a redirect (bad-inputs C12).
_INSIDE = re.compile(rf"(?:{'|'.join(FOREIGN_SCHEMES)}|sftp)://[^/?#]|ed2k://\||magnet:\?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Browsers keep these as they are in what is typed; the rest of what a URL cannot hold comes from plain file names.
_UNQUOTED = re.compile(r'[ "<>\\^`{|}]')
_SIZE = re.compile(r"[0-9]{1,19}")
_HEX16 = re.compile(r"[0-9A-Fa-f]{32}")
_AICH = re.compile(r"[A-Za-z2-7]{32}")
_HTTP = re.compile(r"https?://[^\s/?#|]", re.IGNORECASE)
_SHOWN_OF_PAYLOAD = 8


class Ed2kLink(NamedTuple):
    """A file by eMule's naming: ``name`` as sent (not made safe), ``root``: the ed2k hash, 16 bytes; ``aich``: eMule's
    own SHA-1 tree, 20 bytes, where given; ``urls``: where it also lies over HTTP."""

    name: str
    size_bytes: int
    root: bytes
    aich: bytes | None = None
    urls: tuple[str, ...] = ()


def is_wrapped(link: str) -> bool:
    """Whether it is a thunder, flashget or qqdl link, good or bad."""
    return _WRAPPED.match(link) is not None


def is_ed2k(link: str) -> bool:
    """Whether it is an ed2k link, good or bad."""
    return _ED2K.match(link) is not None


def unwrapped(link: str) -> str:
    """The URL, ed2k or magnet link inside a thunder, flashget or qqdl link, as it was put in; another link as it is.

    Base64 may lack its padding, be of the URL-safe alphabet, and have a stray slash or an ``&…`` tail; text is
    UTF-8, else GB18030, which GBK is a part of. Raises InvalidUrl for rubbish, a wrong frame, a scheme that no link
    may lead to, and more than four links in each other.
    """
    for _ in range(MAX_NESTING + 1):
        found = _WRAPPED.fullmatch(link)
        if found is None:
            return link
        link = _inside(found[1].lower(), found[2], _shown(found[1], found[2]))
    raise InvalidUrl(_shown(*_WRAPPED.fullmatch(link).groups()), "too many links are packed into each other")  # type: ignore[union-attr]  # the loop ends with one


def opened(link: str) -> str:
    """The same, and a URL from inside as one can be asked for: what none may hold is percent-encoded. Raises as
    :func:`unwrapped`."""
    if not is_wrapped(link):
        return link
    inner = unwrapped(link)
    return inner if is_ed2k(inner) else quoted(inner)


def quoted(url: str) -> str:
    """The URL with what no URL may hold percent-encoded, as browsers do with what is typed; non-ASCII stays."""
    return _UNQUOTED.sub(lambda found: f"%{ord(found[0]):02X}", url)


def parse_ed2k(link: str) -> Ed2kLink:
    """The facts of ``ed2k://|file|NAME|SIZE|HASH|…|/``; InvalidUrl with what is wrong otherwise.

    Fields after the hash are optional and in any order; those not known here (hashes of chunks, eDonkey sources)
    are passed over.
    """
    kind, *fields = re.sub("(?i)%7c", "|", link).partition("://")[2].strip("/").strip("|").split("|")
    if kind.lower() != "file" or len(fields) < 3:
        raise InvalidUrl(link, "only ed2k://|file|NAME|SIZE|HASH|/ links name a file")
    name, size, root, *rest = fields
    if not _SIZE.fullmatch(size) or int(size) > _MAX_SIZE_BYTES:
        raise InvalidUrl(link, "the size in it is no number of bytes")
    if not _HEX16.fullmatch(root):
        raise InvalidUrl(link, "the hash in it is not 32 hex digits")
    aich = next((field[2:] for field in rest if field[:2].lower() == "h="), "")
    urls = (part.strip() for field in rest if field[:2].lower() == "s=" for part in field[2:].split(","))
    return Ed2kLink(
        name=_percent_decoded(name), size_bytes=int(size), root=bytes.fromhex(root), aich=_aich(aich),
        urls=tuple(dict.fromkeys(quoted(url) for url in urls if _HTTP.match(url) and not _CONTROL.search(url)))[
            :MAX_ED2K_SOURCES
        ],
    )  # fmt: skip


def _inside(scheme: str, raw: str, shown: str) -> str:
    """What the payload of one link holds. Raises InvalidUrl, in which the link is ``shown``."""
    reason = "what is inside is not Base64"
    for payload in _payloads(raw):
        octets = _decoded(payload)
        if octets is None:
            continue
        text = _text(octets)
        if text is None:
            reason = "what is inside is neither UTF-8 nor GBK text"
            continue
        opening, closing = _FRAMES[scheme]
        if len(text) < len(opening + closing) or not (text.startswith(opening) and text.endswith(closing)):
            reason = f"what is inside is not between {opening} and {closing}"
            continue
        return _checked(text[len(opening) : len(text) - len(closing)].strip(" "), shown)
    raise InvalidUrl(shown, reason)


def _payloads(raw: str) -> tuple[str, ...]:
    """What may be the Base64 in the part behind ``://``: without tail and padding; then without a stray slash."""
    if "%" in raw:
        raw = _percent_decoded(raw)
    payload = re.split(r"[&?#=]", raw, maxsplit=1)[0]
    if not payload.endswith("/"):
        return (payload,)
    # A slash is a digit of Base64; browsers also put one behind what looks like a host alone. It is such a stray one
    # where the rest is complete by itself: its last digit then leaves no bits over.
    rest = payload[:-1]
    is_complete = (octets := _decoded(rest)) is not None and _encoded(octets) == rest.translate(_STANDARD_ALPHABET)
    return (rest, payload) if is_complete else (payload, rest)


def _decoded(payload: str) -> bytes | None:
    import base64
    import binascii

    if not _PAYLOAD.fullmatch(payload):
        return None
    digits = payload.translate(_STANDARD_ALPHABET)
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        return None


def _encoded(octets: bytes) -> str:
    import base64

    return base64.b64encode(octets).decode("ascii").rstrip("=")


def _text(octets: bytes) -> str | None:
    for charset in ("utf-8", "gb18030"):
        try:
            return octets.decode(charset)
        except UnicodeDecodeError:
            continue
    return None


def _checked(inner: str, shown: str) -> str:
    if _CONTROL.search(inner):
        raise InvalidUrl(shown, "what is inside holds a newline or another control character")
    if not _INSIDE.match(inner) and not is_wrapped(inner):
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,20}:", inner)
        raise InvalidUrl(shown, f"inside is a {scheme[0]!r} link, no URL" if scheme else "what is inside is no URL")
    return inner


def _shown(scheme: str, payload: str) -> str:
    return shown_url(f"{scheme.lower()}://{payload[:_SHOWN_OF_PAYLOAD]}…")


def _aich(text: str) -> bytes | None:
    import base64

    return base64.b32decode(text.upper()) if _AICH.fullmatch(text) else None


def _percent_decoded(text: str) -> str:
    """UTF-8 percent-encoding undone; as it is where that gives no text."""
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda hit: bytes.fromhex(hit[1].decode()), text.encode("utf-8", "ignore"))
    return _text(octets) or text
