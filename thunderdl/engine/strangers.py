"""Where URLs may lead that somebody else than the user has named: a metalink, a torrent, a server.

The rule is in :mod:`thunderdl.core.inward`; here is looked up who it is that tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.core import inward
from thunderdl.engine.proxies import proxy_for
from thunderdl.errors import InvalidUrl
from thunderdl.formats.links import is_magnet, scheme_of
from thunderdl.sources.http.wire import Endpoint, parse_url

if TYPE_CHECKING:
    from thunderdl.engine.session import Session

_WEB = ("http", "https")


async def must_stay_outside(session: Session, url: str, told_by: str) -> bool:
    """Whether ``url`` may lead to the public internet alone. ``told_by``: path, URL or magnet link that names it."""
    inside = await _is_inside(session, told_by)
    return inward.must_stay_outside(told_from_inside=inside, has_query="?" in url)


async def may_be_asked(session: Session, url: str, told_by: str) -> bool:
    """Whether somebody else than us, who looks the name up again and follows redirects, may be given the URL."""
    if not await must_stay_outside(session, url, told_by):
        return True
    try:
        return not any(map(inward.is_inward, await _addresses(session, parse_url(url).endpoint)))
    except (InvalidUrl, OSError):
        return True


async def _is_inside(session: Session, told_by: str) -> bool:
    """Whether who tells is inside: a file of the user, a server whose name stands for inward addresses alone."""
    if is_magnet(told_by):
        return False
    if "://" not in told_by or scheme_of(told_by) not in _WEB:
        return True
    try:
        found = await _addresses(session, parse_url(told_by).endpoint)
    except (InvalidUrl, OSError):
        return False
    return bool(found) and all(map(inward.is_inward, found))


async def _addresses(session: Session, endpoint: Endpoint) -> list[str]:
    if proxy_for(session, endpoint, session.options):
        # The proxy looks names up; nothing of them is to leak to the local resolver.
        return [endpoint.host]
    return await session.pool.addresses(endpoint)
