"""Metalink/HTTP (RFC 6249): mirrors and descriptions that a server names in Link fields of its answer.

Pure; never raises. A link with an anchor elsewhere is about another resource and says nothing here; what is
``describedby`` is never a mirror. All of it is the server's word: what mirrors send is believed as far as a digest
proves it (section 6 there asks for one, too).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urldefrag

from thunderdl.formats.link_header import Link, parse_links
from thunderdl.formats.metalink_model import LOWEST_PRIORITY, METALINK4, TORRENT
from thunderdl.formats.source_urls import WEB_SCHEMES, resolved_url

_NUMBER = re.compile(r"[0-9]{1,6}")
_LOCATION = re.compile(r"[A-Za-z]{2}")
_TORRENT_TYPES = ("application/x-bittorrent", "application/bittorrent")
_SIGNATURE_TYPES = ("application/pgp-signature", "application/pkcs7-signature", "application/pkcs7-mime")


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateLink:
    """A mirror. ``is_preferred``: the server wants these first."""

    url: str
    priority: int = LOWEST_PRIORITY
    is_preferred: bool = False
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """``mediatype``: in lower case, ``torrent`` for every type of torrents; empty where not stated."""

    url: str
    mediatype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMetalink:
    """``mirrors``: best first. ``descriptions``: everything else that describes the file."""

    mirrors: tuple[DuplicateLink, ...] = ()
    descriptions: tuple[Description, ...] = ()

    @property
    def metalinks(self) -> tuple[str, ...]:
        return self._of((METALINK4,))

    @property
    def torrents(self) -> tuple[str, ...]:
        return self._of((TORRENT,))

    @property
    def signatures(self) -> tuple[str, ...]:
        return self._of(_SIGNATURE_TYPES)

    def _of(self, mediatypes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.url for one in self.descriptions if one.mediatype in mediatypes)


def metalink_http(link_values: Iterable[str], url: str) -> HttpMetalink:
    """What the Link lines of an answer say of the file at ``url``, the URL that was answered (after redirects)."""
    mirrors: dict[str, DuplicateLink] = {}
    descriptions: dict[str, Description] = {}
    for link in parse_links(link_values):
        if not _is_about(link, url):
            continue
        if link.has_relation("duplicate") and (mirror := _mirror(link, url)):
            mirrors.setdefault(mirror.url, mirror)
        elif link.has_relation("describedby") and (target := resolved_url(link.target, url, WEB_SCHEMES)):
            descriptions.setdefault(target, Description(url=target, mediatype=_mediatype(link)))
    # Stable: mirrors that the server ranks alike keep its order.
    ordered = sorted(mirrors.values(), key=lambda one: (not one.is_preferred, one.priority))
    return HttpMetalink(mirrors=tuple(ordered), descriptions=tuple(descriptions.values()))


def _is_about(link: Link, url: str) -> bool:
    anchor = link.get("anchor")
    if anchor is None:
        return True
    context = resolved_url(anchor, url)
    return context is not None and urldefrag(context).url == urldefrag(url).url


def _mirror(link: Link, url: str) -> DuplicateLink | None:
    target = resolved_url(link.target, url) if link.target else None
    if target is None or urldefrag(target).url == urldefrag(url).url:
        return None
    location = link.get("geo") or ""
    return DuplicateLink(
        url=target,
        priority=_number(link.get("pri")) or LOWEST_PRIORITY,
        is_preferred=link.get("pref") is not None,
        location=location.lower() if _LOCATION.fullmatch(location) else None,
    )


def _mediatype(link: Link) -> str:
    stated = (link.get("type") or "").partition(";")[0].strip().lower()
    return TORRENT if stated in _TORRENT_TYPES else stated


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None
