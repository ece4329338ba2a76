"""A power loss without hardware: what was not synced is kept, dropped or garbled, by a seed.

The store runs on real files; the fake takes the place of its two sync functions. Each sync takes an image of
what is then on the disk. ``crash()`` rewrites the files as the disk might hold them: every 512-byte sector that
differs from the image becomes the old one, the new one or garbage, and every name that was made, replaced or
removed since the folder's sync stands for the old file or the new one (SQLite's test6.c is the model).
"""

from __future__ import annotations

import os
import random

import pytest

SECTOR_BYTES = 512


class PowerLoss(BaseException):
    """The machine stops here; no OSError, so that nothing under test can handle it."""


class CrashFile:
    """One file as the disk holds it: ``image`` is what the last sync made sure of."""

    def __init__(self, chance: random.Random) -> None:
        self.image = b""
        self._chance = chance

    def after_crash(self, written: bytes) -> bytes:
        """What is found after a power loss, where ``written`` is what the programs have seen last."""
        length = self._chance.choice([len(self.image), len(written)])
        old, new = self.image.ljust(length, b"\0")[:length], written.ljust(length, b"\0")[:length]
        found = bytearray()
        for at in range(0, length, SECTOR_BYTES):
            before, after = old[at : at + SECTOR_BYTES], new[at : at + SECTOR_BYTES]
            torn = [before, after, self._chance.randbytes(len(after))]
            found += after if before == after else self._chance.choice(torn)
        return bytes(found)


class CrashDisk:
    """The files of one folder on a disk that may lose power. ``syncs_left``: the loss comes in the sync after these."""

    def __init__(self, folder: str, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.syncs_left: float = float("inf")
        self._files: dict[int, CrashFile] = {}
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self._pins: list[int] = []  # keeps the system from giving an inode's number to another file
        for module in ("files", "journal"):
            patch.setattr(f"thunderdl.storage.{module}.sync_data", self.sync_data)
            patch.setattr(f"thunderdl.storage.{module}.sync_folder", self.sync_folder)

    def sync_data(self, fd: int) -> None:
        done = self._count_sync()
        if done:
            found = os.fstat(fd)
            self._file(found.st_ino).image = os.pread(fd, found.st_size, 0)
            self._listing()
        if not done or self.syncs_left < 0:
            raise PowerLoss

    def sync_folder(self, _: str) -> None:
        if self._count_sync():
            self._names = self._listing()
        if self.syncs_left < 0:
            raise PowerLoss

    def crash(self) -> None:
        """Lose power: the folder holds what a restart would find. All descriptors must be closed."""
        now = self._listing()
        found: dict[str, bytes] = {}
        for name in sorted(now.keys() | self._names.keys()):
            inode = self.chance.choice([now.get(name), self._names.get(name)])
            if inode is not None:
                file = self._file(inode)
                found[name] = file.after_crash(self._contents.get(inode, file.image))
        for name in now:
            os.unlink(os.path.join(self.folder, name))
        for name, content in found.items():
            with open(os.path.join(self.folder, name), "wb") as out:
                out.write(content)
        self._unpin()
        self._names = self._listing()
        for name, inode in self._names.items():
            self._file(inode).image = found[name]
        self.syncs_left = float("inf")

    def close(self) -> None:
        """Let go of the files."""
        self._unpin()

    def _count_sync(self) -> bool:
        """Whether this sync still happens; half of those in which the power goes do."""
        self.syncs_left -= 1
        return self.syncs_left >= 0 or self.chance.random() < 0.5

    def _file(self, inode: int) -> CrashFile:
        return self._files.setdefault(inode, CrashFile(self.chance))

    def _listing(self) -> dict[str, int]:
        names = {}
        for name in os.listdir(self.folder):
            fd = os.open(os.path.join(self.folder, name), os.O_RDONLY)
            found = os.fstat(fd)
            names[name] = found.st_ino
            if found.st_ino in self._contents:
                os.close(fd)
            else:
                self._pins.append(fd)
            self._contents[found.st_ino] = _whole(os.path.join(self.folder, name))
        return names

    def _unpin(self) -> None:
        for fd in self._pins:
            os.close(fd)
        self._pins.clear()
        self._contents.clear()
        self._files.clear()


def _whole(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
