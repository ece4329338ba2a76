"""What a server says of a URL, asked without downloading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thunderdl.engine.finding import offer_of_answer
from thunderdl.engine.naming import suggested_target
from thunderdl.engine.opening import First, open_source, release
from thunderdl.formats.stated_digests import StatedDigest, combined, stated_digests
from thunderdl.model import Digest, Validators

if TYPE_CHECKING:
    from thunderdl.engine.opening import Opening
    from thunderdl.engine.session import Session
    from thunderdl.formats.stated_digests import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """``ranges``: whether it can be fetched in parallel and resumed; ``digests``: of the whole, as the server states
    them, strongest first; ``checksums``: weak ones that are shown and not checked; ``server``, ``content_type``: as
    sent, "" where absent; ``duplicates``, ``metalinks``, ``torrents``: URLs that it names, best first; ``notes``: where
    it contradicts itself."""

    url: str
    final_url: str
    name: str
    size_bytes: int | None
    ranges: bool
    validators: Validators
    digests: tuple[Digest, ...]
    protocol: str
    server: str
    content_type: str
    checksums: tuple[StatedDigest, ...] = ()
    duplicates: tuple[str, ...] = ()
    metalinks: tuple[str, ...] = ()
    torrents: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def asked(session: Session, url: str) -> Info:
    """Ask for a URL. Raises ThunderdlError."""
    options = session.options
    opening = await open_source(session, url, options, First(), session.pacing.pace(options).meter)
    try:
        head, notes, stated = opening.head, list[str](), _statement(opening)
        offer = offer_of_answer(url, opening, notes)
        target = suggested_target(url, head, options)
        return Info(
            url=url, final_url=opening.final_url, name=os.path.basename(target.path), size_bytes=head.total_bytes,
            ranges=head.status == 206, validators=head.validators, digests=stated.of_file,
            checksums=stated.checksums, protocol=_protocol_of(opening), server=head.get("server") or "",
            content_type=head.get("content-type") or "", duplicates=offer.urls, metalinks=offer.documents,
            torrents=offer.torrents, notes=tuple(notes),
        )  # fmt: skip
    finally:
        release(session, opening)


def _statement(opening: Opening) -> Statement:
    heads = [head for head in (opening.before, opening.head) if head is not None]
    fields = ([(name, value.decode("latin-1")) for name, value in head.fields] for head in heads)
    return combined(stated_digests(each, status=head.status) for each, head in zip(fields, heads, strict=True))


def _protocol_of(opening: Opening) -> str:
    scheme = opening.endpoint.scheme
    return f"HTTP/{opening.head.http_version}" if scheme in ("http", "https") else scheme.upper()
