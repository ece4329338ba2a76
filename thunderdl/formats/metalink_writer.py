"""Metalink 4 documents written (RFC 5854), as ``thunderdl create --metalink`` makes them.

Pure: values in, bytes out; the same values give the same bytes, no clock is asked. What
:func:`~thunderdl.formats.metalink.parse_metalink` reads of them equals what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from thunderdl.formats.hashes import common_name
from thunderdl.formats.metalink_model import LOWEST_PRIORITY, MetalinkFile
from thunderdl.model import PieceHashes

# XML 1.0 has no way to write these at all, not even as references (section 2.2).
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_metalink4(
    files: Iterable[MetalinkFile],
    *,
    generator: str | None = None,
    published: str | None = None,
    origin: str | None = None,
    is_dynamic: bool = False,
) -> bytes:
    """The document, UTF-8, one element a line.

    ``published``: RFC 3339, as 2026-11-24T20:00:00Z. ``origin``: where the document itself will be found.
    Characters that XML cannot hold become U+FFFD; ``max_connections`` has no place in version 4.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<metalink xmlns="urn:ietf:params:xml:ns:metalink">']
    lines += _optional("  ", "generator", generator)
    if origin:
        lines.append(_element("  ", "origin", origin, dynamic="true" if is_dynamic else None))
    lines += _optional("  ", "published", published)
    for file in files:
        lines += _file(file)
    return "\n".join([*lines, "</metalink>", ""]).encode()


def _file(file: MetalinkFile) -> Iterator[str]:
    yield f"  <file{_attributes(name=file.name)}>"
    if file.size is not None:
        yield _element("    ", "size", str(file.size))
    for name, text in (
        ("identity", file.identity),
        ("version", file.version),
        ("description", file.description),
        ("copyright", file.copyright),
    ):
        yield from _optional("    ", name, text)
    if file.publisher:
        yield f"    <publisher{_attributes(name=file.publisher.name, url=file.publisher.url)}/>"
    for digest in file.digests:
        yield _element("    ", "hash", digest.value.hex(), type=_hash_name(digest.algorithm))
    if file.pieces:
        yield from _pieces(file.pieces)
    yield from _sources(file)
    for signature in file.signatures:
        yield _element("    ", "signature", signature.text, mediatype=signature.mediatype)
    yield "  </file>"


def _sources(file: MetalinkFile) -> Iterator[str]:
    for mirror in file.mirrors:
        yield _element("    ", "url", mirror.url, location=mirror.location, priority=_priority(mirror.priority))
    for meta in file.metaurls:
        order = _priority(meta.priority)
        yield _element("    ", "metaurl", meta.url, mediatype=meta.mediatype, name=meta.name, priority=order)


def _pieces(pieces: PieceHashes) -> Iterator[str]:
    yield f"    <pieces{_attributes(length=str(pieces.piece_length), type=_hash_name(pieces.algorithm))}>"
    for digest in pieces.digests:
        yield _element("      ", "hash", digest.hex())
    yield "    </pieces>"


def _hash_name(algorithm: str) -> str:
    """IANA's textual name, as section 4.2.4 wants it: sha-1, sha-256, md5."""
    return common_name(algorithm)


def _priority(order: int) -> str | None:
    return None if order == LOWEST_PRIORITY else str(order)


def _optional(indent: str, name: str, text: str | None) -> list[str]:
    return [_element(indent, name, text)] if text else []


def _element(indent: str, tag: str, text: str, /, **attributes: str | None) -> str:
    # A carriage return as such would be read as a line feed (XML section 2.11).
    inner = escape(_NO_XML.sub("\ufffd", text), {"\r": "&#13;"})
    return f"{indent}<{tag}{_attributes(**attributes)}>{inner}</{tag}>"


def _attributes(**attributes: str | None) -> str:
    stated = ((name, value) for name, value in attributes.items() if value is not None)
    return "".join(f" {name}={quoteattr(_NO_XML.sub(chr(0xFFFD), value))}" for name, value in stated)
