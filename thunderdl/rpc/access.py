"""Whose requests are looked at at all, by what browsers say of where they come from. Pure.

A page that anybody wrote runs in the browser of whoever has a daemon on this machine. It can send requests here; that
its host's name leads to 127.0.0.1 all of a sudden makes the browser take it for this server's own (DNS rebinding:
Transmission's CVE-2018-5702). What it cannot do is choose the Host and Origin headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

_LOCAL = frozenset(("localhost", "localhost."))
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Access:
    """``hosts``: names in lower case, and addresses, by which the daemon may be called beside this machine's own;
    ``origins``: pages of others that may ask, ``*`` for any; ``any_address``: whether it is called by whichever address
    this machine has (it listens on all of them)."""

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    any_address: bool = False

    def admits_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = host_name(host)
        if name in _LOCAL or name in self.hosts:
            return bool(name)
        address = address_of(name)
        # An address cannot be rebound: a page has it as its host only if it was loaded from there.
        return address is not None and (address.is_loopback or self.any_address or str(address) in self.hosts)

    def admits_origin(self, origin: str, host: str) -> bool:
        """Whether a page of that origin may ask: one of this server's own, or one that was allowed."""
        if self.is_foreign(origin, host):
            return "*" in self.origins or origin in self.origins
        return True

    @staticmethod
    def is_foreign(origin: str, host: str) -> bool:
        """Whether a page of that origin was not loaded from here. ``host``: the request's Host header. Before a proxy
        that speaks TLS the scheme is another one: it does not count."""
        scheme, separator, authority = origin.lower().partition("://")
        port = _PORTS.get(scheme, "")
        return not separator or not port or authority.removesuffix(port) != host.lower().removesuffix(port)

    @staticmethod
    def is_page_of_another(site: str, mode: str) -> bool:
        """Whether a page elsewhere asks for something to embed, by Sec-Fetch-Site and -Mode (W3C Fetch Metadata): it
        sends no Origin with that, and other ports of this host are the same site to cookies."""
        return site in ("cross-site", "same-site") and mode != "navigate"


def made(hosts: Iterable[str], origins: Iterable[str], *, any_address: bool) -> Access:
    """Access with names as they were typed: a host may have a port, which does not count."""
    names = frozenset(str(address_of(name) or name) for name in map(host_name, hosts) if name)
    return Access(names, frozenset(origin.rstrip("/").lower() for origin in origins), any_address)


def host_name(host: str) -> str:
    """The host of ``HOST[:PORT]`` in lower case; of an IPv6 address what is in the brackets. Empty for rubbish."""
    host = host.strip().lower()
    if host.startswith("["):
        inside, bracket, port = host[1:].partition("]")
        return inside if bracket and (not port or _is_port(port)) and ":" in inside else ""
    name, colon, port = host.partition(":")
    if colon and not _is_port(colon + port):
        return ""
    return name if name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum() else ""


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a name is, None where it is none."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and (text[1:].isdecimal() or text == ":") and len(text) <= 6
