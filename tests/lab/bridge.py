"""Namespaces around one bridge, each behind a link of its own that ``tc tbf`` shapes in both directions.

    with bridged(9, rate_mbit=100) as bridge:
        bridge.ports[0].address, bridge.ports[0].namespace

The bridge has the net's first address, so that a server of this process can be reached from all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.link import HEADER_BYTES, LinkFailed, call, free_net

_QUEUE = ("burst", "64kb", "latency", "100ms")
_NET_STEP = 104_729
"""Another than the lab's of separate links: both may be laid at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One namespace of the bridge's."""

    namespace: str
    address: str

    @property
    def far(self) -> str:
        return f"{self.namespace}.f"

    @property
    def near(self) -> str:
        return f"{self.namespace}.n"

    def sent_bytes(self) -> int:
        """TCP payload that left the namespace (µTP's, counted as if it were TCP, a few per cent too little)."""
        queue = json.loads(call("tc", "-n", self.namespace, "-s", "-j", "qdisc", "show", "dev", self.far))[0]
        return int(queue["bytes"]) - HEADER_BYTES * int(queue["packets"])

    def make(self, bridge: str, prefix: int, rate_mbit: float) -> None:
        inside = ["-n", self.namespace]
        call("ip", "netns", "add", self.namespace)
        call("ip", *inside, "link", "set", "lo", "up")
        call("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.namespace)
        call("ip", "link", "set", self.near, "addrgenmode", "none", "master", bridge)
        call("ip", *inside, "link", "set", self.far, "addrgenmode", "none")
        call("ip", *inside, "addr", "add", f"{self.address}/{prefix}", "dev", self.far)
        call("ip", "link", "set", self.near, "up")
        call("ip", *inside, "link", "set", self.far, "up")
        rate = ["root", "tbf", "rate", f"{round(rate_mbit * 1000)}kbit", *_QUEUE]
        call("tc", "qdisc", "add", "dev", self.near, *rate)
        call("tc", *inside, "qdisc", "add", "dev", self.far, *rate)

    def remove(self) -> None:
        for words in (("link", "del", self.near), ("netns", "del", self.namespace)):
            with contextlib.suppress(LinkFailed):
                call("ip", *words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """``address``: of this process's own namespace."""

    address: str
    ports: tuple[Port, ...]


@contextlib.contextmanager
def bridged(count: int, rate_mbit: float) -> Iterator[Bridge]:
    """Make the bridge with ``count`` namespaces around it, and remove all of it. Raises LinkFailed."""
    net, name = free_net(os.getpid() + _NET_STEP), f"t{os.getpid():x}.b"
    own, *others = (str(address) for address in list(net.hosts())[: count + 1])
    ports = tuple(Port(namespace=f"{name}{place}", address=address) for place, address in enumerate(others))
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, name)
        call("ip", "link", "add", name, "type", "bridge")
        call("ip", "link", "set", name, "addrgenmode", "none")
        call("ip", "addr", "add", f"{own}/{net.prefixlen}", "dev", name)
        call("ip", "link", "set", name, "up")
        for port in ports:
            stack.callback(port.remove)
            port.make(name, net.prefixlen, rate_mbit)
        yield Bridge(address=own, ports=ports)


def _remove(bridge: str) -> None:
    with contextlib.suppress(LinkFailed):
        call("ip", "link", "del", bridge)
