"""What is served: one large file, one small, many of 50 KB, and lists of URLs; how a result is checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import RunFailed
from tests.bench.servers import Nginx, nginx
from tests.bench.tools import Job

MIB = 1 << 20
SMALL_BYTES = 100_000
MANY_FILES = 20_000
MANY_BYTES = 50_000
_CONTENTS = 16
"""So many different contents the many files have; each is a hard link to one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """Server, work folder and expected digests by name."""

    server: Nginx
    work: Path
    size_bytes: int
    sha256: dict[str, str]

    @property
    def home(self) -> Path:
        return self.work / "home"

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder to download into, removed afterwards."""
        folder = self.work / "out"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def url_list(self, name: str, count: int) -> Path:
        """A file with ``count`` URLs ``/NAME/00000.bin``, and beside it the same for curl; made once."""
        path = self.work / f"{name}-{count}.txt"
        if not path.exists():
            urls = [f"{self.server.plain}/{name}/{index:06}.bin" for index in range(count)]
            path.write_text("\n".join(urls) + "\n")
            path.with_suffix(".curl").write_text("".join(f'url = "{url}"\n' for url in urls))
        return path

    def check(self, job: Job) -> None:
        """RunFailed unless exactly the wanted files are there, with the right content."""
        if job.url_list is None:
            self._check_file(Path(job.target), self.sha256[job.name])
            return
        names = job.url_list.read_text().splitlines()
        found = sum(1 for _ in job.folder.iterdir())
        if found != len(names):
            raise RunFailed(f"{found} files instead of {len(names)}")
        many = job.url_list.name.startswith("many")
        for index in range(0, len(names), 1 if many else 1000):
            name = f"{index:06}.bin"
            self._check_file(job.folder / name, self.sha256[f"many/{index % _CONTENTS}" if many else "tiny"])

    @staticmethod
    def _check_file(path: Path, expected: str) -> None:
        if not path.exists():
            raise RunFailed(f"no file {path.name}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise RunFailed(f"wrong content in {path.name}")


@contextlib.contextmanager
def made_bed(size_bytes: int) -> Iterator[Bed]:
    """Everything in a temporary folder in memory where there is one; removed at the end."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="thunderdl-bench-", dir=memory) as name:
        work = Path(name)
        root = work / "root"
        for folder in (root / "many", work / "home"):
            folder.mkdir(parents=True)
        digests = {"big.bin": _write_big(root / "big.bin", size_bytes)}
        digests["small.bin"] = _write(root / "small.bin", os.urandom(SMALL_BYTES))
        digests["tiny"] = _write(root / "tiny.bin", b"t")
        for content in range(_CONTENTS):
            digests[f"many/{content}"] = _write(root / "many" / f"{content:06}.bin", os.urandom(MANY_BYTES))
        for index in range(_CONTENTS, MANY_FILES):
            os.link(root / "many" / f"{index % _CONTENTS:06}.bin", root / "many" / f"{index:06}.bin")
        with nginx(root, work) as server:
            bed = Bed(server=server, work=work, size_bytes=size_bytes, sha256=digests)
            _touch_memory(bed)
            yield bed


def _touch_memory(bed: Bed) -> None:
    """Use and free as much memory as a run will: a virtual machine is slow to hand out what it never used.

    Seen: the first download of 256 MiB into fresh memory took 0.74 s, later ones 0.2 s.
    """
    with bed.folder() as folder:
        for copy in ("a", "b"):
            shutil.copyfile(bed.work / "root" / "big.bin", folder / copy)


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _write_big(path: Path, size_bytes: int) -> str:
    """Random bytes, each MiB with its own number in front, so that a misplaced block is seen."""
    base = memoryview(bytearray(os.urandom(MIB)))
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, MIB):
            base[:8] = start.to_bytes(8, "little")
            block = base[: size_bytes - start]
            file.write(block)
            hasher.update(block)
    return hasher.hexdigest()
