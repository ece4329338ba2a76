"""One shaped link: a network namespace behind a pair of virtual Ethernet ends, its rate kept by ``tc tbf``.

Where the bottleneck is matters. A server whose own interface is the slow one hears of the queue there and holds back:
little is on its way, nothing is dropped, and its oldest connection gets most (18 times what each of three later ones
got, measured). ``midway`` puts the bottleneck at a switch between the two, as most paths have it: a full queue then
delays everything and drops, and a cut connection has more on its way (connections share no more evenly: 20 to 1).

Invariants:
1. A link only carries what goes between its two addresses: they are its whole subnet, and their neighbours are fixed.
2. Whatever was made is gone after :meth:`Link.remove`, whichever part of it there is.
3. :meth:`Link.crossed_bytes` counts what left the shaped queue, over all queues that there were; of what left one in
   the few milliseconds in which it makes way for the dark it knows nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import shutil
import subprocess

HEADER_BYTES = 14 + 20 + 32
"""Ethernet, IPv4, and TCP with its timestamps: what a frame holds besides the bytes of a body."""
FRAME_BYTES = 1514
GOODPUT = (FRAME_BYTES - HEADER_BYTES) / FRAME_BYTES
"""The share of a link's rate that reaches the reader when all frames are full."""

_BURST, _LATENCY = "64kb", "100ms"
# What nearly every server on Linux has; taken here whatever this machine's own default is, so that runs compare.
_CONGESTION = "cubic"


class LinkFailed(Exception):
    """``ip`` or ``tc`` refused; the message is what they said."""


def call(program: str, *words: str) -> str:
    """Run ``ip`` or ``tc`` and return what it says."""
    path = shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") or program
    try:
        done = subprocess.run([path, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LinkFailed(f"{program}: {error.strerror}") from None
    if done.returncode:
        raise LinkFailed(f"{program} {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Link:
    """``name``: unique on this machine, at most 13 letters; ``subnet``: a /30, the near end's address first."""

    def __init__(self, name: str, subnet: ipaddress.IPv4Network, rate_mbit: float, *, midway: bool = False) -> None:
        near, far = subnet.hosts()
        self.namespace, self._near, self._far = name, f"{name}.n", f"{name}.f"
        self._switch = f"{name}.s" if midway else ""
        # The end that is shaped: the far one, or the switch's towards the near one.
        self._shaped_in, self._shaped = (self._switch, f"{name}.p") if midway else (name, self._far)
        self.near_address, self.address, self._subnet = near, str(far), subnet
        self.rate_mbit, self.is_dark = rate_mbit, False
        self._crossed_bytes = 0

    def make(self) -> None:
        """Make the namespace and both ends, and shape the far one. Raises LinkFailed."""
        near_mac, far_mac = (f"02:00:{part[:2]}:{part[2:4]}:{part[4:6]}:{part[6:]}" for part in self._words())
        call("ip", "netns", "add", self.namespace)
        pair = [self._near, "address", near_mac, "type", "veth", "peer", "name"]
        if self._switch:
            self._make_switch(pair, far_mac)
        else:
            call("ip", "link", "add", *pair, self._far, "address", far_mac, "netns", self.namespace)
        ends: tuple[tuple[str, str, str, list[str]], ...] = (
            (self._near, near_mac, str(self.near_address), []),
            (self._far, far_mac, self.address, ["-n", self.namespace]),
        )
        for end, _, address, where in ends:
            # No link-local addresses: nothing but our bytes is to be counted.
            call("ip", *where, "link", "set", end, "addrgenmode", "none")
            call("ip", *where, "addr", "add", f"{address}/{self._subnet.prefixlen}", "dev", end)
            call("ip", *where, "link", "set", end, "up")
        for (end, _, _, where), (_, mac, address, _) in zip(ends, reversed(ends), strict=True):
            # Asked for in the dark, a neighbour would be found absent after some seconds, and connects would fail
            # at once; a host that is dark somewhere beyond the next router lets them wait.
            call("ip", *where, "neigh", "replace", address, "lladdr", mac, "dev", end, "nud", "permanent")
        route = ["route", "replace", str(self._subnet), "dev", self._far, "congctl", _CONGESTION]
        call("ip", "-n", self.namespace, *route)
        self._shape("add")

    def _make_switch(self, pair: list[str], far_mac: str) -> None:
        inside, other = ["-n", self._switch], f"{self.namespace}.q"
        call("ip", "netns", "add", self._switch)
        call("ip", *inside, "link", "add", "switch", "type", "bridge")
        call("ip", "link", "add", *pair, self._shaped, "netns", self._switch)
        far = [self._far, "address", far_mac, "netns", self.namespace]
        call("ip", *inside, "link", "add", other, "type", "veth", "peer", "name", *far)
        for end in (self._shaped, other):
            call("ip", *inside, "link", "set", end, "addrgenmode", "none", "master", "switch")
            call("ip", *inside, "link", "set", end, "up")
        call("ip", *inside, "link", "set", "switch", "addrgenmode", "none", "up")

    def remove(self) -> None:
        """Remove what there is; the namespace takes the link with it."""
        with contextlib.suppress(LinkFailed):
            call("ip", "link", "del", self._near)
        for namespace in (self.namespace, self._switch):
            with contextlib.suppress(LinkFailed):
                call("ip", "netns", "del", namespace)

    def change_rate(self, rate_mbit: float) -> None:
        """Let through so much from now on, or as soon as there is light again."""
        self.rate_mbit = rate_mbit
        if not self.is_dark:
            self._shape("change")

    def go_dark(self) -> None:
        """Drop every frame, silently, what waits in the queue included. Both ends stay up, so that nobody is told."""
        self._crossed_bytes, self.is_dark = self.crossed_bytes(), True
        self._queue("replace", "blackhole")
        call("tc", "qdisc", "replace", "dev", self._near, "root", "blackhole")

    def go_light(self) -> None:
        """End the dark."""
        self.is_dark = False
        self._shape("replace")
        call("tc", "qdisc", "del", "dev", self._near, "root")

    def crossed_bytes(self) -> int:
        """TCP payload that went through towards the reader: heads, bodies and what was sent twice."""
        if self.is_dark:
            return self._crossed_bytes
        said = call("tc", "-n", self._shaped_in, "-s", "-j", "qdisc", "show", "dev", self._shaped)
        queue = json.loads(said)[0]
        return self._crossed_bytes + int(queue["bytes"]) - HEADER_BYTES * int(queue["packets"])

    def _shape(self, verb: str) -> None:
        rate = ["rate", f"{max(1, round(self.rate_mbit * 1000))}kbit", "burst", _BURST, "latency", _LATENCY]
        self._queue(verb, "tbf", *rate)

    def _queue(self, verb: str, *kind: str) -> None:
        call("tc", "-n", self._shaped_in, "qdisc", verb, "dev", self._shaped, "root", *kind)

    def _words(self) -> tuple[str, str]:
        """The addresses in hexadecimal: unique on this machine, so good for hardware addresses too."""
        return f"{int(self.near_address):08x}", f"{int(ipaddress.IPv4Address(self.address)):08x}"


def free_net(wish: int) -> ipaddress.IPv4Network:
    """A 10.x.y.0/24 that no route of this machine touches; the first one looked at follows from ``wish``."""
    said = json.loads(call("ip", "-4", "-j", "route", "show", "table", "all"))
    given = (str(route["dst"]) for route in said if route["dst"] != "default")
    taken = [ipaddress.IPv4Network(route, strict=False) for route in given]
    for step in range(1 << 16):
        net = ipaddress.IPv4Network((10 << 24 | (wish + step) % (1 << 16) << 8, 24))
        if not any(net.overlaps(other) for other in taken):
            return net
    raise LinkFailed("no 10.x.y.0/24 is free")
