"""The lab: a mirror for each link, all of it gone at the end however that comes.

    with laid(scenario.mirrors, contents) as lab:
        lab.urls()

Needs root, iproute2 and nginx; :func:`why_not` says what is missing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.content import NAME, Contents
from tests.lab.link import Link, LinkFailed, call, free_net
from tests.lab.mirror import Mirror
from tests.lab.scenarios import Mirror as Kind

_PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
_labs = itertools.count()
_NET_STEP = 7919


class Lab:
    """Mirrors in order."""

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self.mirrors = tuple(mirrors)
        self._before_bytes = self._crossed_bytes()

    def urls(self) -> list[str]:
        return [mirror.url(NAME) for mirror in self.mirrors]

    def crossed_bytes(self) -> int:
        """TCP payload that crossed all links towards the reader since the lab was laid."""
        return self._crossed_bytes() - self._before_bytes

    def served_bytes(self) -> int:
        """Bytes of bodies as the servers count them: with what was still in their sockets when one was cut."""
        return sum(mirror.served_bytes() for mirror in self.mirrors)

    def _crossed_bytes(self) -> int:
        return sum(mirror.link.crossed_bytes() for mirror in self.mirrors)


@contextlib.contextmanager
def laid(kinds: Sequence[Kind], contents: Contents) -> Iterator[Lab]:
    """Lay a lab and take it down again. Raises LinkFailed or RuntimeError where it cannot be laid."""
    number = next(_labs)
    # Another net each time: what a tool before left half closed still sends to its old addresses.
    net = free_net(os.getpid() + number * _NET_STEP)
    # By process and number: labs laid at the same time have nothing in common.
    name = f"t{os.getpid():x}.{number % 256:x}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thunderdl-lab-")))
        mirrors = []
        for place, (kind, subnet) in enumerate(zip(kinds, net.subnets(new_prefix=30), strict=False)):
            link = Link(f"{name}m{place}", subnet, kind.rate_mbit, midway=kind.midway)
            stack.callback(link.remove)
            link.make()
            mirror = Mirror(kind, link, _own_folder(folder, place, kind, contents), program() or "nginx")
            stack.callback(mirror.kill)
            mirrors.append(mirror)
        alive = [mirror for mirror in mirrors if not mirror.kind.starts_dead]
        for mirror in alive:
            mirror.start()
        for mirror in alive:
            mirror.await_ready()
        yield Lab(mirrors)


def program() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path=_PROGRAM_PATH)


def why_not() -> str:
    """What keeps a lab from being laid here; empty if nothing does."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for needed, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nginx", "nginx")):
        if shutil.which(needed, path=_PROGRAM_PATH) is None:
            return f"needs {needed} ({package}); `make test-setup` installs it"
    trial = Link(f"t{os.getpid():x}.try", ipaddress.IPv4Network("10.255.255.252/30"), 1.0)
    try:
        trial.make()
    except LinkFailed as failure:
        return f"no shaped link can be made here ({failure})"
    finally:
        trial.remove()
    return ""


def leftovers() -> list[str]:
    """Names of namespaces and links of this process's labs that are still there."""
    own = f"t{os.getpid():x}."
    said = call("ip", "netns", "list").split() + call("ip", "-br", "link").split()
    return [word for word in said if word.startswith(own)]


def _own_folder(folder: Path, number: int, kind: Kind, contents: Contents) -> Path:
    own = folder / str(number)
    own.mkdir()
    (own / "www").symlink_to(contents.folders[kind.content])
    return own
