"""Routes of torrents and metalinks: what is in one, before it is queued, and one queued as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thunderdl.daemon.documents import wishes_of
from thunderdl.daemon.jobs import Wish
from thunderdl.engine.offers import metalink_named
from thunderdl.errors import UsageError, printable, shown_url
from thunderdl.formats.links import LOCAL_SCHEMES, names_torrent, scheme_of
from thunderdl.formats.targets import checked_target
from thunderdl.options import Priority
from thunderdl.rpc.api.fields import OPTIONS, SWITCH, TEXT, TEXTS, Field, Shape, read
from thunderdl.rpc.api.routes import BASE, Call, Route
from thunderdl.rpc.api.shapes import Json, list_of
from thunderdl.rpc.api.tasks import PRIORITY
from thunderdl.rpc.exchange import JSON_TYPE, header_of, parsed

if TYPE_CHECKING:
    from thunderdl.formats.metalink_model import Metalink
    from thunderdl.rpc.api.application import Api
    from thunderdl.sources.swarm.torrent import Torrent


def _as_json(shape: Shape) -> Shape:
    """A value of a query that is JSON."""

    def from_text(given: str) -> Any:
        try:
            return shape.take(json.loads(given))
        except (ValueError, RecursionError):
            raise ValueError("JSON with a table of options") from None

    return Shape({"type": "string", "contentMediaType": "application/json"}, shape.take, from_text)


_DOCUMENT_FIELDS = (
    Field("name", TEXT, "What the document is called.", ""),
    Field("options", _as_json(OPTIONS), "Options of its tasks, as JSON.", {}),
    Field("category", TEXT, "Whose folder they are saved in.", ""),
    Field("priority", PRIORITY, "low, normal or high.", "normal"),
    Field("paused", SWITCH, "Whether they stay out until they are resumed.", False),
    Field("mirrors", _as_json(TEXTS), "More links of its file, as JSON.", ()),
)
_URL = (Field("url", TEXT, "A link, a magnet link, or the link of a document.", needed=True),)


async def add(api: Api, call: Call) -> object:
    given = call.query
    like = Wish(
        urls=given["mirrors"], options=given["options"], category=given["category"],
        priority=Priority(given["priority"]),
    )  # fmt: skip
    wishes = await wishes_of(api.queue, call.raw, like)
    jobs = await api.queue.add(wishes, paused=given["paused"])
    return await list_of(api.queue, jobs)


async def inspect(api: Api, call: Call) -> object:
    kind = (header_of(call.scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind == JSON_TYPE:
        return await _inside_url(api, read(_URL, parsed(call.raw))["url"])
    client = api.queue.client
    (wish, *_) = await wishes_of(api.queue, call.raw)
    if wish.url.endswith(".torrent"):
        return _of_torrent(await client.torrent(wish.url))
    return _of_metalink(await client.metalink(wish.url))


async def _inside_url(api: Api, text: str) -> Json:
    client, url = api.queue.client, checked_target(text)
    if scheme_of(url) in LOCAL_SCHEMES or ("://" not in url and scheme_of(url) != "magnet"):
        raise UsageError(f"{printable(url)[:200]!r}: the daemon looks into no files of its own machine.")
    if names_torrent(url):
        return _of_torrent(await client.torrent(url))
    if metalink_named(url, client.options):
        return _of_metalink(await client.metalink(url))
    found = await client.info(url)
    return _inside(found.name, [(found.name, found.size_bytes)])


def _of_torrent(torrent: Torrent) -> Json:
    return _inside(torrent.name, [(file.path, file.size_bytes) for file in torrent.files])


def _of_metalink(metalink: Metalink) -> Json:
    files = [(file.name, file.size) for file in metalink.files]
    return _inside(files[0][0] if len(files) == 1 else "", files)


def _inside(name: str, files: Iterable[tuple[str, int | None]]) -> Json:
    listed = [
        {"index": index, "path": printable(shown_url(path)), "size_bytes": size}
        for index, (path, size) in enumerate(files, 1)
    ]  # fmt: skip
    sizes = [each["size_bytes"] for each in listed]
    whole = sum(size for size in sizes if isinstance(size, int)) if None not in sizes else None
    return {"name": printable(name), "size_bytes": whole, "files": listed}


ROUTES = (
    Route(
        "POST", f"{BASE}/documents", add, "Queue a torrent, or each file of a metalink, sent as it is.",
        _DOCUMENT_FIELDS, takes_bytes=True, status=201, answers="Tasks",
    ),
    Route(
        "POST", f"{BASE}/inspect", inspect, "What is in a torrent or metalink (sent as it is), or behind a link (as "
        "JSON: {\"url\": …}).", takes_bytes=True, answers="Inside",
    ),
)  # fmt: skip
