"""Where a redirect leads, and whether to follow it there. Pure.

A Location comes from outside: what is no plain web address, or may be read in two ways, is refused and never mended.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from thunderdl.errors import InvalidUrl, RedirectRefused
from thunderdl.sources.http.wire import Address, parse_url

MAX_REDIRECTS = 20
# What urljoin takes for a path of the same host, and browsers for a host.
_NO_HOST = re.compile(r"https?:/{3}|/{3}", re.IGNORECASE)
STATUSES = frozenset({301, 302, 303, 307, 308})
_DOWNGRADE = "ask for the http address yourself if you trust it, or use --allow-downgrade"


def next_hop(url: str, old: Address, location: bytes, *, may_downgrade: bool) -> Address:
    """The address to ask next. ``url``: what the user asked for, for errors. Raises RedirectRefused."""
    text = location.decode("utf-8", "surrogateescape")
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise RedirectRefused(url, "a redirect with a control character in it")
    try:
        joined = urljoin(old.url, text) if text else ""
        scheme = urlsplit(joined).scheme
    except ValueError as error:
        raise RedirectRefused(url, f"a redirect that cannot be followed ({error})") from None
    if scheme not in ("http", "https"):
        raise RedirectRefused(url, f"a redirect to {text.split(':')[0][:40]}:, which is no web address")
    if old.endpoint.scheme == "https" and scheme == "http" and not may_downgrade:
        raise RedirectRefused(url, "a redirect from https to http", _DOWNGRADE)
    if _NO_HOST.match(text):
        raise RedirectRefused(url, "a redirect that names no host")
    try:
        new = parse_url(joined)
    except InvalidUrl as error:
        raise RedirectRefused(url, f"a redirect that cannot be followed ({error.reason})") from None
    if new.user is None and new.endpoint.origin == old.endpoint.origin:
        # Who is logged in there by the URL stays so there (curl's tests 979 and 1168).
        return replace(new, user=old.user, password=old.password)
    return new
