"""A BitTorrent seed of one of three programs in the namespace of its link, seeding from its own folder.

It listens on the far address, looks for nobody, and its torrent names no tracker: the one of the lab is out of its
reach, and the readers are told of it.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from tests.bench.measure import clean_environment
from tests.lab.link import Link
from tests.lab.member import Member
from tests.lab.scenarios import Seed, SeedProgram
from tests.lab.torrent import has_all, metainfo

PORT = 6881
PROGRAMS = {SeedProgram.TRANSMISSION: "transmission-daemon", SeedProgram.ARIA2: "aria2c"}
_ROOT = Path(__file__).parents[2]
_FORGETS_S = 1.2
"""Transmission takes one connection from an address, and looks every 0.5 s whether the one before is closed."""


class Seeder(Member):
    """``served``: the file as it seeds it, whole or with wrong bytes; ``info``: of the right one."""

    def __init__(self, kind: Seed, link: Link, folder: Path, served: Path, info: bytes, pieces: int) -> None:
        super().__init__(link, folder)
        self.kind, self._info, self._pieces = kind, info, pieces
        self._torrent, self._files = folder / "seed.torrent", folder / "files"
        self._torrent.write_bytes(metainfo(info))
        self._files.mkdir()
        (self._files / served.name).symlink_to(served)

    @property
    def peer(self) -> tuple[str, int]:
        return self.link.address, PORT

    def command(self) -> list[str]:
        if self.kind.program is SeedProgram.TRANSMISSION:
            return self._transmission()
        if self.kind.program is SeedProgram.ARIA2:
            return self._aria2()
        where = [str(self._torrent), str(self._files), self.link.address, str(PORT)]
        return [sys.executable, "-m", "tests.lab.libtorrent_seed", *where]

    def environment(self) -> dict[str, str]:
        return clean_environment(self._folder) | {"PYTHONPATH": str(_ROOT)}

    def serves(self) -> bool:
        return has_all(*self.peer, self._info, self._pieces)

    def await_ready(self) -> None:
        super().await_ready()
        if self.kind.program is SeedProgram.TRANSMISSION:
            time.sleep(_FORGETS_S)

    def said(self) -> str:
        return (self._folder / "output").read_text(errors="replace")

    def _aria2(self) -> list[str]:
        quiet = ["--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "-q"]
        seeding = ["--seed-ratio=0", "--check-integrity=true", f"--listen-port={PORT}", "--file-allocation=none"]
        return ["aria2c", "--no-conf=true", *quiet, *seeding, "-d", str(self._files), str(self._torrent)]

    def _transmission(self) -> list[str]:
        """What has no option of the command line goes into its settings; the torrent into the folder it watches."""
        home, watched = self._folder / "transmission", self._folder / "watched"
        home.mkdir(exist_ok=True)
        watched.mkdir(exist_ok=True)
        shutil.copy(self._torrent, watched)
        settings = {"pex-enabled": False, "rpc-enabled": False, "port-forwarding-enabled": False}
        (home / "settings.json").write_text(json.dumps(settings))
        where = ["-g", str(home), "-w", str(self._files), "-c", str(watched), "-i", self.link.address]
        return ["transmission-daemon", "-f", *where, "-P", str(PORT), "-O", "-Y", "-M", "--no-global-seedratio"]
