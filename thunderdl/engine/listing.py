"""Folders of file servers, read as an index page is: FTP and SFTP list what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from thunderdl.engine.opening import located, logged_in
from thunderdl.errors import Cancelled, ConnectionLost, NotFound, SourceError
from thunderdl.formats.links import scheme_of
from thunderdl.formats.listings import Page, Place
from thunderdl.storage.paths import safe_name

if TYPE_CHECKING:
    from thunderdl.engine.session import Session
    from thunderdl.formats.listings import Entry
    from thunderdl.options import Options
    from thunderdl.sources.base import Lister
    from thunderdl.sources.http.wire import Address


def is_listed(session: Session, url: str) -> bool:
    """Whether the URL names a folder of a server that lists it by itself."""
    return url.endswith("/") and session.protocol(scheme_of(url)) is not None


async def listed(session: Session, url: str, name: str, options: Options) -> Page:
    """What is in the folder at ``url``, called ``name`` below the root of the tree. Raises ThunderdlError."""
    protocol = session.protocol(scheme_of(url))
    assert protocol is not None
    request, _ = await logged_in(session, protocol, protocol.folder(url), options)
    try:
        entries = await _entries(session, request.address, options.timeout)
    except SourceError as error:
        raise located(error, url) from None
    return await session.on_disk(_page, entries, url, name)


def _page(entries: list[Entry], url: str, name: str) -> Page:
    page, place = Page(), Place(url, name, safe_name)
    for entry in entries:
        place.add_entry(entry, page)
    return page


async def _entries(session: Session, address: Address, timeout_s: float) -> list[Entry]:
    endpoint, path = address.endpoint, unquote_to_bytes(address.target)
    await session.pool.wait_for_slot(endpoint)
    try:
        while True:
            idle = session.pool.idle(endpoint)
            carrier = idle or await session.pool.connect(endpoint, timeout_s)
            try:
                entries = await cast("Lister", carrier).listed(path)
            except NotFound:
                session.pool.keep(endpoint, carrier)
                raise
            except BaseException as error:
                carrier.close(Cancelled())
                if idle is not None and isinstance(error, ConnectionLost):
                    # It was left alone for too long.
                    continue
                raise
            session.pool.keep(endpoint, carrier)
            return entries
    finally:
        session.pool.free_slot(endpoint)
