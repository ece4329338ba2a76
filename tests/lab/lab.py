"""The lab: a mirror or seed for each link, and where there are seeds a torrent and its tracker; all gone at the end.

    with laid(scenario.members, contents) as lab:
        lab.urls(), lab.torrent

Needs root, iproute2, nginx, and for seeds their programs; :func:`why_not` says what is missing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.lab.content import NAME, PIECE_BYTES, Contents
from tests.lab.link import Link, LinkFailed, call, free_net
from tests.lab.mirror import Mirror
from tests.lab.scenarios import Mirror as Kind
from tests.lab.scenarios import Seed, SeedProgram
from tests.lab.seeder import PROGRAMS, Seeder
from tests.lab.torrent import metainfo
from tests.lab.tracker import Swarm, tracking

_PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
_labs = itertools.count()
_NET_STEP = 7919


class Lab:
    """Members in order. ``torrent``: names the lab's tracker, and no mirror; None where there are no seeds."""

    def __init__(self, members: Sequence[Mirror | Seeder], torrent: Path | None) -> None:
        self.members, self.torrent = tuple(members), torrent
        self._before_bytes = self._crossed_bytes()

    def urls(self) -> list[str]:
        return [member.url(NAME) for member in self.members if isinstance(member, Mirror)]

    def crossed_bytes(self) -> tuple[int, ...]:
        """TCP payload that crossed each member's link towards the reader since the lab was laid."""
        return tuple(now - before for now, before in zip(self._crossed_bytes(), self._before_bytes, strict=True))

    def served_bytes(self) -> int:
        """Bytes of bodies as the mirrors count them: with what was still in their sockets when one was cut."""
        return sum(member.served_bytes() for member in self.members if isinstance(member, Mirror))

    def _crossed_bytes(self) -> list[int]:
        return [member.link.crossed_bytes() for member in self.members]


@contextlib.contextmanager
def laid(kinds: Sequence[Kind | Seed], contents: Contents) -> Iterator[Lab]:
    """Lay a lab and take it down again. Raises LinkFailed or RuntimeError where it cannot be laid."""
    number = next(_labs)
    # Another net each time: what a tool before left half closed still sends to its old addresses.
    net = free_net(os.getpid() + number * _NET_STEP)
    # By process and number: labs laid at the same time have nothing in common.
    name = f"t{os.getpid():x}.{number % 256:x}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thunderdl-lab-")))
        members: list[Mirror | Seeder] = []
        for place, (kind, subnet) in enumerate(zip(kinds, net.subnets(new_prefix=30), strict=False)):
            link = Link(f"{name}m{place}", subnet, kind.rate_mbit, midway=kind.midway)
            stack.callback(link.remove)
            link.make()
            member = _member(kind, link, folder / str(place), contents)
            stack.callback(member.kill)
            members.append(member)
        alive = [member for member in members if not member.kind.starts_dead]
        for member in alive:
            member.start()
        for member in alive:
            member.await_ready()
        peers = [member.peer for member in members if isinstance(member, Seeder)]
        torrent = folder / "file.torrent" if peers else None
        if torrent:
            torrent.write_bytes(metainfo(contents.info, stack.enter_context(tracking(Swarm(peers)))))
        yield Lab(members, torrent)


def program() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path=_PROGRAM_PATH)


def why_not(seeds: Iterable[SeedProgram] = ()) -> str:
    """What keeps a lab, with seeds of these programs, from being laid here; empty if nothing does."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    programs = [(PROGRAMS[seed], PROGRAMS[seed]) for seed in seeds if seed in PROGRAMS]
    for needed, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nginx", "nginx"), *programs):
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


def _member(kind: Kind | Seed, link: Link, folder: Path, contents: Contents) -> Mirror | Seeder:
    folder.mkdir()
    if isinstance(kind, Seed):
        pieces = -(-contents.size_bytes // PIECE_BYTES)
        return Seeder(kind, link, folder, contents.file(kind.content), contents.info, pieces)
    (folder / "www").symlink_to(contents.folders[kind.content])
    return Mirror(kind, link, folder, program() or "nginx")
