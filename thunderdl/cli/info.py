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
from thunderdl.cli.passwords import with_password
from thunderdl.cli.views import write_line
from thunderdl.engine.offers import metalink_named
from thunderdl.errors import printable, shown_url
from thunderdl.formats.links import is_metalink_type, names_torrent
from thunderdl.formats.old_links import Ed2kLink, is_ed2k, parse_ed2k
from thunderdl.formats.targets import checked, checked_target
from thunderdl.options import Options
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info
    from thunderdl.formats.metalink_model import Metalink
    from thunderdl.sources.swarm.torrent import Torrent


def info(typed: Typed) -> int:
    """Show what is known of the URL, torrent or metalink."""
    options, as_json = with_password(settings.load(typed.settings()).options()), typed.is_on("json")
    typed_url = typed.text("url") or ""
    if is_ed2k(typed_url):
        link = parse_ed2k(checked_target(typed_url))
        write_line(sys.stdout, json_of_ed2k(link) if as_json else "\n".join(rows_of_ed2k(link)))
        return 0
    found = _found(typed_url, options)
    write_line(sys.stdout, _as_json(found) if as_json else "\n".join(_as_rows(found)))
    return 0


def _found(typed_url: str, options: Options) -> Info | Torrent | Metalink:
    if typed_url == "-":
        return _of_stdin()
    if "://" not in typed_url and not names_torrent(typed_url) and os.path.isfile(typed_url):
        return asyncio.run(_ask_metalink(options, typed_url))
    named = checked_target(typed_url)
    if names_torrent(named):
        return asyncio.run(_ask_torrent(options, named))
    if metalink_named(named, options):
        return asyncio.run(_ask_metalink(options, named))
    return asyncio.run(_ask(options, checked(named)))


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


def rows_of_ed2k(link: Ed2kLink) -> Iterator[str]:
    """What an ed2k link says; nobody was asked."""
    facts = {
        "name": link.name,
        "size": f"{size(link.size_bytes)} ({link.size_bytes} bytes)",
        "ed2k": link.root.hex(),
        "aich": link.aich.hex() if link.aich else None,
        "urls": "\n".join(map(shown_url, link.urls)) or "none: get wants one with -m, its network is not joined",
    }
    for name, value in facts.items():
        for line in (value or "–").split("\n") if name == "urls" else [value or "–"]:
            yield f"{name:<10} {printable(line)}"


def json_of_ed2k(link: Ed2kLink) -> str:
    """The same as one object."""
    import json

    return json.dumps(
        {
            "name": link.name,
            "size_bytes": link.size_bytes,
            "ed2k": link.root.hex(),
            "aich": link.aich.hex() if link.aich else None,
            "urls": [shown_url(url) for url in link.urls],
        }
    )
