"""Which hosts a pattern means, as ``NO_PROXY`` lists and ``--proxy-for`` write them. Pure.

No standard says how: this takes what curl, Go and Python's requests take, each where they agree or one alone knows it.
``*`` is every host; a name is that host and all below it, with or without a leading dot or ``*.``; a block of
addresses is written as ``10.0.0.0/8``; a port behind it holds for that port alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

_PORT = re.compile(r"(.*?)(?::(\d{1,5}))?")


def patterns_of(text: str) -> tuple[str, ...]:
    """The patterns of a list: between commas or spaces."""
    return tuple(part for part in re.split(r"[\s,]+", text) if part)


def means(pattern: str, host: str, port: int, ascii_host: Callable[[str], str] = str.lower) -> bool:
    """Whether ``pattern`` means ``host`` (as connected to: ASCII, lower case, no brackets) at ``port``.

    ``ascii_host``: makes a name of the pattern such a host; ValueError where it is none.
    """
    name, only_port = _split(pattern.strip())
    if only_port is not None and only_port != port:
        return False
    if name == "*":
        return True
    if (address := _address(host)) is not None:
        return _holds(name, address)
    name = name.removeprefix("*").strip(".")
    try:
        name = ascii_host(name)
    except ValueError:
        return False
    host = host.lower().rstrip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _split(pattern: str) -> tuple[str, int | None]:
    if pattern.startswith("["):
        inside, _, behind = pattern[1:].partition("]")
        return inside, int(behind[1:]) if re.fullmatch(r":\d{1,5}", behind) else None
    if pattern.count(":") > 1:
        # An IPv6 address or block without brackets has no port.
        return pattern, None
    match = _PORT.fullmatch(pattern)
    return (match[1], int(match[2])) if match and match[2] else (pattern, None)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _holds(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
