"""Where addresses lie, and where those may lead us whom the user has not named. Pure.

A metalink, a torrent or a server that names URLs could have us ask this machine, its network or the metadata service
of a cloud (169.254.169.254), where a request can do harm and nobody else can get to (bad-inputs B4, C9). The rule:

1. Who tells from the internet may name addresses of the internet alone.
2. Who tells from inside (a file of the user, a server in the own network) may name inward ones, too; not with a query,
   which could be an order to a service there (libtorrent's ``ssrf_mitigation`` draws the same line).
3. Once a chain of redirects has been at an address of the internet, it does not lead inward any more.

The user allows what he likes by naming the URL himself. What is compared is the address that is connected to: a name
may stand for another one a moment later (DNS rebinding).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# RFC 6052: a translator takes these to the IPv4 address in their last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_inward(address: str) -> bool:
    """Whether the address of a peer is none of the public internet; False for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and (inner := _carried(found)) is not None:
        found = inner
    # Multicast counts as global in ipaddress.
    return not found.is_global or found.is_multicast


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is meant by an IPv6 one: mapped, translated, 6to4, Teredo."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo


def must_stay_outside(*, told_from_inside: bool, has_query: bool) -> bool:
    """Whether a URL that somebody else than the user named may lead to the internet alone."""
    return not told_from_inside or has_query
