"""Opening URLs that somebody else than the user has named: a metalink, a torrent, a server.

Redirects are followed here and not by httpx: each hop goes over a connection of which it is known where it leads
(:mod:`thunderdl.core.inward`), and nothing of the user goes along: no field, no cookie, no setting of httpx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.core.inward import is_inward, must_stay_outside
from thunderdl.engine.opening import First, Opening, ask_plainly, open_source, proxy_for, release
from thunderdl.errors import BadResponse, InvalidUrl, RedirectRefused
from thunderdl.formats.links import is_magnet, scheme_of
from thunderdl.formats.source_urls import WEB_SCHEMES, resolved_url
from thunderdl.sources.http.wire import Endpoint, parse_url

if TYPE_CHECKING:
    from thunderdl.engine.session import Session
    from thunderdl.options import Options
    from thunderdl.sources.http.bucket import Meter

MAX_REDIRECTS = 20


async def open_told(
    session: Session, url: str, options: Options, first: First, meter: Meter, told_by: str
) -> Opening:  # fmt: skip
    """As :func:`thunderdl.engine.opening.open_source`, for a URL that ``told_by`` (path, URL, magnet link) names."""
    inside = await is_inside(session, told_by)
    outside = must_stay_outside(told_from_inside=inside, has_query="?" in url)
    if scheme_of(url) not in WEB_SCHEMES:
        return await _open_otherwise(session, url, options, first, meter, outside=outside)
    at = url
    for _ in range(MAX_REDIRECTS + 1):
        opening = await ask_plainly(session, url, at, options, first, meter, outside=outside)
        if not 300 <= opening.head.status < 400:
            return opening
        release(session, opening)
        location = opening.head.get("location")
        if location is None:
            raise BadResponse(url, f"the server answered {opening.head.status}, and not where to go on")
        outside = outside or not is_inward(opening.peer)
        at = next_hop(url, opening.final_url, location)
    raise RedirectRefused(url, f"more than {MAX_REDIRECTS} redirects")


async def may_be_asked(session: Session, url: str, told_by: str) -> bool:
    """Whether somebody else than us, who looks the name up again and follows redirects, may be given the URL."""
    if not must_stay_outside(told_from_inside=await is_inside(session, told_by), has_query="?" in url):
        return True
    try:
        return not any(map(is_inward, await _addresses(session, parse_url(url).endpoint)))
    except (InvalidUrl, OSError):
        return True


async def is_inside(session: Session, told_by: str) -> bool:
    """Whether who tells is inside: a file of the user, a server whose name stands for inward addresses alone."""
    if is_magnet(told_by):
        return False
    if "://" not in told_by or scheme_of(told_by) not in WEB_SCHEMES:
        return True
    try:
        endpoint = parse_url(told_by).endpoint
        found = await _addresses(session, endpoint)
    except (InvalidUrl, OSError):
        return False
    return bool(found) and all(map(is_inward, found))


async def _addresses(session: Session, endpoint: Endpoint) -> list[str]:
    if proxy_for(session, endpoint, session.options):
        # The proxy looks names up; nothing of them is to leak to the local resolver.
        return [endpoint.host]
    return await session.pool.addresses(endpoint)


async def _open_otherwise(
    session: Session, url: str, options: Options, first: First, meter: Meter, *, outside: bool
) -> Opening:
    """In a protocol that is not the web's and knows no redirects."""
    if outside and (access := session.access(scheme_of(url))) is not None:
        try:
            found = await _addresses(session, access.address(url).endpoint)
        except OSError:
            found = []
        if any(map(is_inward, found)):
            raise RedirectRefused(url, "it leads into this machine or its network", "name it with -m if you trust it")
    return await open_source(session, url, options, first, meter)


def next_hop(url: str, at: str, location: str) -> str:
    """Where a redirect at ``at`` leads. Raises RedirectRefused for what is not followed."""
    following = resolved_url(location, at, WEB_SCHEMES)
    if following is None:
        raise RedirectRefused(url, "a redirect that cannot be followed")
    try:
        parse_url(following)
    except InvalidUrl as error:
        raise RedirectRefused(url, f"a redirect that cannot be followed ({error.reason})") from None
    if scheme_of(at) == "https" and scheme_of(following) == "http":
        raise RedirectRefused(url, "a redirect from https to http")
    return following
