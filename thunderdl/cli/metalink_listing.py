"""What is in a metalink, as text: its own facts, then each file with the number that ``--files`` takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.errors import printable, shown_url
from thunderdl.formats.metalink_model import LOWEST_PRIORITY
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.formats.metalink_model import Metalink, MetalinkFile, Mirror

# More mirrors of a file are counted; --json has them all.
MOST_MIRRORS = 20


def rows_of(metalink: Metalink) -> Iterator[str]:
    """``name  value`` lines of the document, then a table of files, then what is known of each."""
    facts = {
        "metalink": f"version {metalink.version}",
        "origin": f"{_url(metalink.origin)}{' (asked again for news)' if metalink.is_dynamic else ''}",
        "generator": metalink.generator or "",
        "published": metalink.published or "",
        "updated": metalink.updated or "",
        "files": str(len(metalink.files)),
    }
    yield from (f"{name:<10} {printable(value)}" for name, value in facts.items() if value)
    yield from (f"{'left out':<10} {printable(note)}" for note in metalink.notes)
    yield ""
    sizes = [_size(file) for file in metalink.files]
    numbers_wide, sizes_wide = len(str(len(sizes))), max(map(len, sizes), default=0)
    for number, (shown, file) in enumerate(zip(sizes, metalink.files, strict=True), start=1):
        yield f"{number:>{numbers_wide}}  {shown:>{sizes_wide}}  {printable(file.name)}"
        yield from (f"{'':{numbers_wide}}  {line}" for line in _of_file(file))


def _of_file(file: MetalinkFile) -> Iterator[str]:
    facts = {
        "publisher": f"{file.publisher.name} {_url(file.publisher.url)}".strip() if file.publisher else "",
        "identity": " ".join(filter(None, (file.identity, file.version))),
        "about": file.description or "",
        "copyright": file.copyright or "",
    }
    yield from (_row(name, value) for name, value in facts.items() if value)
    yield from (_row("hash", str(digest)) for digest in file.digests)
    if file.pieces:
        count, length = len(file.pieces.digests), size(file.pieces.piece_length)
        yield _row("pieces", f"{count} of {length}, {file.pieces.algorithm}")
    tells_more = any(mirror.location or mirror.priority != LOWEST_PRIORITY for mirror in file.mirrors)
    for mirror in file.mirrors[:MOST_MIRRORS]:
        yield _row("mirror", _mirror(mirror) if tells_more else _url(mirror.url))
    if (more := len(file.mirrors) - MOST_MIRRORS) > 0:
        yield _row("mirror", f"and {more} more; --json lists them")
    for meta in file.metaurls:
        inner = f" ({meta.name})" if meta.name else ""
        yield _row(meta.mediatype if meta.mediatype in ("torrent", "magnet") else "metaurl", _url(meta.url) + inner)
    for signature in file.signatures:
        yield _row("signature", f"{signature.mediatype}, {len(signature.text)} characters, not checked here")


def _row(name: str, value: str) -> str:
    return f"{name:<10} {printable(value)}"


def _mirror(mirror: Mirror) -> str:
    order = "–" if mirror.priority == LOWEST_PRIORITY else str(mirror.priority)
    return f"{order:>3}  {mirror.location or '–':<2}  {_url(mirror.url)}"


def _size(file: MetalinkFile) -> str:
    return "unknown" if file.size is None else size(file.size)


def _url(url: str | None) -> str:
    return shown_url(url) if url else ""


def json_of(metalink: Metalink) -> str:
    """The same as one object, with every mirror and the signatures themselves; pure ASCII."""
    import json

    return json.dumps(
        {
            "version": metalink.version,
            "origin": _url(metalink.origin) or None,
            "is_dynamic": metalink.is_dynamic,
            "generator": metalink.generator,
            "published": metalink.published,
            "updated": metalink.updated,
            "files": [{"number": number, **_object(file)} for number, file in enumerate(metalink.files, start=1)],
            "notes": list(metalink.notes),
        }
    )


def _object(file: MetalinkFile) -> dict[str, object]:
    publisher, pieces = file.publisher, file.pieces
    return {
        "name": file.name,
        "size_bytes": file.size,
        "identity": file.identity,
        "version": file.version,
        "description": file.description,
        "copyright": file.copyright,
        "publisher": publisher and {"name": publisher.name, "url": _url(publisher.url) or None},
        "digests": [str(digest) for digest in file.digests],
        "pieces": pieces
        and {"algorithm": pieces.algorithm, "piece_length": pieces.piece_length, "count": len(pieces.digests)},
        "mirrors": [
            {
                "url": _url(each.url),
                "priority": None if each.priority == LOWEST_PRIORITY else each.priority,
                "location": each.location,
            }
            for each in file.mirrors
        ],
        "metaurls": [{"url": _url(each.url), "mediatype": each.mediatype, "name": each.name} for each in file.metaurls],
        "signatures": [{"mediatype": each.mediatype, "text": each.text} for each in file.signatures],
    }
