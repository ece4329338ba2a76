"""``thunderdl info``: what a server says of a URL, or what is in a torrent or metalink, without downloading it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.cli import metalink_listing, settings, torrent_listing
from thunderdl.cli.get import open_client
from thunderdl.cli.grammar import Typed
from thunderdl.cli.inputs import read_stdin
from thunderdl.cli.links import checked, checked_target
from thunderdl.cli.views import write_line
from thunderdl.engine.offers import metalink_named
from thunderdl.errors import printable, shown_url
from thunderdl.formats.links import is_metalink_type, names_torrent
from thunderdl.options import Options
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info
    from thunderdl.formats.metalink_model import Metalink
    from thunderdl.sources.swarm.torrent import Torrent


def info(typed: Typed) -> int:
    """Show what is known of the URL, torrent or metalink."""
    options, named, as_json = settings.load(typed.settings()).options(), typed.text("url") or "", typed.is_on("json")
    if named == "-":
        found: Info | Torrent | Metalink = _of_stdin()
    elif names_torrent(named):
        found = asyncio.run(_ask_torrent(options, checked_target(named)))
    elif metalink_named(named, options) or ("://" not in named and os.path.isfile(named)):
        found = asyncio.run(_ask_metalink(options, named))
    else:
        found = asyncio.run(_ask(options, checked(named)))
    write_line(sys.stdout, _as_json(found) if as_json else "\n".join(_as_rows(found)))
    return 0


def _of_stdin() -> Metalink:
    from thunderdl.engine.metalinks import parsed
    from thunderdl.formats.metalink_model import MAX_DOCUMENT_BYTES

    return parsed(read_stdin(MAX_DOCUMENT_BYTES, "a metalink"), "standard input")


def _as_rows(found: Info | Torrent | Metalink) -> Iterator[str]:
    from thunderdl.engine.asking import Info
    from thunderdl.formats.metalink_model import Metalink

    if isinstance(found, Metalink):
        return metalink_listing.rows_of(found)
    return rows_of(found) if isinstance(found, Info) else torrent_listing.rows_of(found)


def _as_json(found: Info | Torrent | Metalink) -> str:
    from thunderdl.engine.asking import Info
    from thunderdl.formats.metalink_model import Metalink

    if isinstance(found, Metalink):
        return metalink_listing.json_of(found)
    return json_of(found) if isinstance(found, Info) else torrent_listing.json_of(found)


async def _ask(options: Options, url: str) -> Info | Metalink:
    async with open_client(options) as client:
        found = await client.info(url)
        return await client.metalink(url) if options.follow and is_metalink_type(found.content_type) else found


async def _ask_metalink(options: Options, reference: str) -> Metalink:
    async with open_client(options) as client:
        return await client.metalink(reference if "://" not in reference else checked(reference))


async def _ask_torrent(options: Options, reference: str) -> Torrent:
    async with open_client(options) as client:
        return await client.torrent(reference)


def rows_of(found: Info) -> Iterator[str]:
    """``name  value`` lines; what the server did not say is a dash, or left out where few servers say it."""
    length = "unknown" if found.size_bytes is None else f"{size(found.size_bytes)} ({found.size_bytes} bytes)"
    facts: dict[str, str | None] = {
        "url": shown_url(found.url),
        "final url": "" if found.final_url == found.url else shown_url(found.final_url),
        "name": found.name,
        "size": length,
        "ranges": "yes" if found.ranges else "no: one connection, and a broken download begins again",
        "etag": found.validators.etag,
        "modified": found.validators.last_modified,
        "digests": "\n".join(map(str, found.digests)),
        "type": found.content_type,
        "protocol": found.protocol,
        "server": found.server,
    }
    for name, value in facts.items():
        if name == "final url" and not value:
            continue
        for line in (value or "–").split("\n") if name == "digests" else [value or "–"]:
            yield f"{name:<10} {printable(line)}"
    named = {
        "checksums": [f"{each.digest} ({each.field})" for each in found.checksums],
        "mirrors": [shown_url(url) for url in found.duplicates],
        "metalinks": [shown_url(url) for url in found.metalinks],
        "torrents": [shown_url(url) for url in found.torrents],
        "note": list(found.notes),
    }
    yield from (f"{name:<10} {printable(line)}" for name, lines in named.items() for line in lines)


def json_of(found: Info) -> str:
    """The same as one object."""
    import json

    return json.dumps(
        {
            "url": shown_url(found.url),
            "final_url": shown_url(found.final_url),
            "name": found.name,
            "size_bytes": found.size_bytes,
            "ranges": found.ranges,
            "etag": found.validators.etag,
            "last_modified": found.validators.last_modified,
            "digests": [str(digest) for digest in found.digests],
            "checksums": [str(each.digest) for each in found.checksums],
            "duplicates": [shown_url(url) for url in found.duplicates],
            "metalinks": [shown_url(url) for url in found.metalinks],
            "torrents": [shown_url(url) for url in found.torrents],
            "notes": list(found.notes),
            "content_type": found.content_type,
            "protocol": found.protocol,
            "server": found.server,
        }
    )
