"""How servers are reached, as it is written in options: addresses for names, proxies for hosts, kinds of addresses.

Pure: text in, value out, ValueError with a clause that says what was expected.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class IpVersion(enum.Enum):
    """Which addresses are connected to: the faster of both, or of one kind alone."""

    ANY = "any"
    V4 = "4"
    V6 = "6"


@dataclass(frozen=True, slots=True)
class Resolve:
    """Addresses for ``host`` (``*``: any) at ``port`` (None: any)."""

    host: str
    port: int | None
    addresses: tuple[str, ...]


def parse_proxy_for(text: str) -> tuple[str, str]:
    """Hosts and proxy from ``HOSTS=URL``, ``HOSTS=direct`` for none; ValueError without an equals sign."""
    hosts, equals, url = text.partition("=")
    if not equals or not hosts.strip() or not url.strip():
        raise ValueError("write HOSTS=URL, as .example.org=socks5://127.0.0.1:1080, or HOSTS=direct")
    return hosts.strip(), url.strip()


def parse_resolve(text: str) -> Resolve:
    """Host, port and addresses from ``HOST:PORT:ADDRESS,ADDRESS``, as curl takes it; ``*`` for any host or port, and
    the port may be left out. ValueError for anything else."""
    match = re.fullmatch(r"([^:\s/]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}|\*))?:([0-9A-Fa-f.:,%\w\[\] ]+)", text)
    try:
        if match is None:
            raise ValueError
        import ipaddress

        given = tuple(part.strip().strip("[]") for part in match[3].split(","))
        addresses = tuple(str(ipaddress.ip_address(address)) for address in given)
    except ValueError:
        raise ValueError("write HOST:PORT:ADDRESS, as example.org:443:192.0.2.1") from None
    port = int(match[2]) if match[2] not in (None, "*") else None
    return Resolve(match[1].strip("[]").lower().rstrip("."), port, addresses)


def parse_ip_version(text: str) -> IpVersion:
    """The version named; ValueError for anything but 4, 6 and any."""
    try:
        return IpVersion(text.strip().lower())
    except ValueError:
        raise ValueError("neither 4 nor 6") from None


def parse_command(text: str) -> str:
    """The command itself, once it is known to be one; ValueError otherwise."""
    import shlex

    if not shlex.split(text):
        raise ValueError("empty")
    return text


def parse_peer(text: str) -> tuple[str, int]:
    """Address and port from ``192.0.2.1:6881`` or ``[2001:db8::1]:6881``; ValueError for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if not (colon and host and re.fullmatch(r"[0-9A-Fa-f.:\[\]]+", host)):
        raise ValueError("not a peer: write its address and port, as 192.0.2.1:6881")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("not a port")
    return host.strip("[]"), int(port)


def parse_tracker(text: str) -> str:
    """The URL itself; ValueError where trackers are not spoken to so."""
    if not re.match(r"(udp|https?|wss?)://[^\s/]", text) or not text.isprintable():
        raise ValueError("not a tracker: write its URL, udp://, http:// or https://")
    return text
