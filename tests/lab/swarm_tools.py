"""The tools that race where there are seeds, and how each is given a torrent and the mirrors of its file."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.tools import Command, beside_python
from tests.lab.tools import OURS, Racer, Wish

_CLIENT = Path(__file__).with_name("libtorrent_client.py")


class Plain(Racer):
    """A client of a few lines around libtorrent, which is a library and no program."""

    def absent(self) -> bool:
        return importlib.util.find_spec("libtorrent") is None

    def version_line(self) -> str:
        return f"libtorrent {importlib.metadata.version('libtorrent')}"


def thunderdl(folder: Path, torrent: Path, urls: list[str]) -> Command:
    command = [beside_python("thunderdl") or "thunderdl", "get", "--json", "--no-dht", "--no-lsd", "-d", str(folder)]
    return [*command, str(torrent), *(word for url in urls for word in ("-m", url))]


def aria2(program: str) -> Callable[[Path, Path, list[str]], Command]:
    """URLs beside a torrent given with -T are its web seeds; beside one that is a mere argument, further downloads."""

    def command(folder: Path, torrent: Path, urls: list[str]) -> Command:
        alone = ["--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--seed-time=0"]
        quick = ["--file-allocation=none", "--check-integrity=false"]
        base = [beside_python(program) or program, "--no-conf=true", "-q", "-d", str(folder)]
        return [*base, *quick, *alone, "-T", str(torrent), *urls]

    return command


def _given(command: Callable[[Path, Path, list[str]], Command]) -> Callable[[Wish], Command | None]:
    return lambda wish: command(wish.folder, wish.torrent, list(wish.urls)) if wish.torrent else None


def _libtorrent(wish: Wish) -> Command | None:
    # Where the seeds alone would take for ever, there is nothing to learn from it.
    return _client(wish) if wish.seeds_suffice else None


def _libtorrent_with_web_seeds(wish: Wish) -> Command | None:
    return _client(wish, *wish.urls) if wish.urls else None


def _client(wish: Wish, *urls: str) -> Command | None:
    # By its path and not as a module of the tests: those are no package where the tool runs.
    return [sys.executable, str(_CLIENT), str(wish.torrent), str(wish.folder), *urls] if wish.torrent else None


SWARM_RACERS = (
    Racer(name=OURS, program="thunderdl", command=_given(thunderdl)),
    Racer(name="aria2c", program="aria2c", command=_given(aria2("aria2c"))),
    Racer(name="aria2-next", program="aria2-next", command=_given(aria2("aria2-next"))),
    Plain(name="libtorrent", program="libtorrent", command=_libtorrent),
    Plain(name="libtorrent + web seeds", program="libtorrent", command=_libtorrent_with_web_seeds),
)
