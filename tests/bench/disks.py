"""A slow disk: a folder in another place that takes no more than so many bytes a second (bindfs, needs root)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def has_slow_disks() -> bool:
    return shutil.which("bindfs") is not None and Path("/dev/fuse").exists()


@contextmanager
def slow_disk(mib_per_s: int) -> Iterator[Path]:
    """What is written to the folder goes to a real disk, at that rate. Gone afterwards, with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="thunderdl-bench-") as name:
        behind, folder = Path(name) / "behind", Path(name) / "slow"
        behind.mkdir()
        folder.mkdir()
        subprocess.run(["bindfs", f"--write-rate={mib_per_s}M", behind, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["fusermount", "-u", "-z", folder], check=True)
