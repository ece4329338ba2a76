"""The tools that race, and how each is asked for one file from many mirrors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tools import TOOLS, Command, beside_python
from tests.lab.content import NAME, Contents
from tests.lab.scenarios import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``folder``: where the file is to be; ``check``: what is given to check it with; ``torrent``: of the file, where
    there are seeds; ``seeds_suffice``: whether they would bring it without the mirrors, in some time."""

    folder: Path
    urls: Sequence[str]
    check: Check
    contents: Contents
    torrent: Path | None = None
    seeds_suffice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Racer:
    """``program``: of the tool in :data:`tests.bench.tools.TOOLS`; ``command``: None where it cannot do this."""

    name: str
    program: str
    command: Callable[[Wish], Command | None]

    def absent(self) -> bool:
        return TOOLS[self.program].absent()

    def version_line(self) -> str:
        return TOOLS[self.program].version_line()


def _path(program: str) -> str:
    return beside_python(program) or program


def _thunderdl(wish: Wish) -> Command:
    command = [_path("thunderdl"), "get", "--json", "-d", str(wish.folder), "-o", NAME]
    if wish.check is Check.SHA256:
        command += ["--checksum", f"sha-256={wish.contents.sha256}"]
    elif wish.check is Check.PIECES:
        command += ["--piece-hashes", str(wish.contents.pieces)]
    first, *others = wish.urls
    return [*command, first, *(word for url in others for word in ("-m", url))]


def _aria2(program: str, *options: str) -> Callable[[Wish], Command | None]:
    def command(wish: Wish) -> Command | None:
        if wish.check is Check.PIECES:
            return None
        base = [_path(program), "--no-conf=true", "-q", "-d", str(wish.folder), "-o", NAME, "--file-allocation=none"]
        base += [f"--checksum=sha-256={wish.contents.sha256}"] if wish.check is Check.SHA256 else []
        return [*base, *options, *wish.urls]

    return command


def _axel(wish: Wish) -> Command | None:
    if wish.check is not Check.NOTHING:
        return None
    return [_path("axel"), "-q", "-n8", "-o", str(wish.folder / NAME), *wish.urls]


OURS = "thunderdl"
RACERS = (
    Racer(name=OURS, program="thunderdl", command=_thunderdl),
    Racer(name="aria2c", program="aria2c", command=_aria2("aria2c")),
    Racer(name="aria2c -s16 -x4 -k1M", program="aria2c", command=_aria2("aria2c", "-s16", "-x4", "-k1M")),
    # Its defaults are 16 connections to each host, 16 in all, ranges of 1 MiB: nothing to add.
    Racer(name="aria2-next", program="aria2-next", command=_aria2("aria2-next")),
    Racer(name="axel -n8", program="axel", command=_axel),
)
