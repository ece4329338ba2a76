"""``thunderdl info``: what a server says of a URL, or what is in a torrent, without downloading it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.cli import settings, torrent_listing
from thunderdl.cli.get import open_client
from thunderdl.cli.grammar import Typed
from thunderdl.cli.links import checked, checked_target
from thunderdl.cli.views import write_line
from thunderdl.errors import printable, shown_url
from thunderdl.formats.links import names_torrent
from thunderdl.options import Options
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info
    from thunderdl.sources.swarm.torrent import Torrent


def info(typed: Typed) -> int:
    """Show what is known of the URL or torrent."""
    options, named, as_json = settings.load(typed.settings()).options(), typed.text("url") or "", typed.is_on("json")
    if names_torrent(named):
        torrent = asyncio.run(_ask_torrent(options, checked_target(named)))
        text = torrent_listing.json_of(torrent) if as_json else "\n".join(torrent_listing.rows_of(torrent))
    else:
        found = asyncio.run(_ask(options, checked(named)))
        text = json_of(found) if as_json else "\n".join(rows_of(found))
    write_line(sys.stdout, text)
    return 0


async def _ask(options: Options, url: str) -> Info:
    async with open_client(options) as client:
        return await client.info(url)


async def _ask_torrent(options: Options, reference: str) -> Torrent:
    async with open_client(options) as client:
        return await client.torrent(reference)


def rows_of(found: Info) -> Iterator[str]:
    """``name  value`` lines; what the server did not say is a dash."""
    length = "unknown" if found.size_bytes is None else f"{size(found.size_bytes)} ({found.size_bytes} bytes)"
    facts = {
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
            "content_type": found.content_type,
            "protocol": found.protocol,
            "server": found.server,
        }
    )
