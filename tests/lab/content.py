"""The files that mirrors and seeds serve: the right one, two of wrong bytes, another version of equal size."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import dataclass
from pathlib import Path

from tests.lab.scenarios import Content
from tests.lab.torrent import info_of
from thunderdl.formats.hashes import format_piece_hashes
from thunderdl.model import PieceHashes

NAME = "file.bin"
PIECE_BYTES = 1 << 20
_FLIPPED_EVERY_BYTES = 64 * 1024
_WRONG_PIECES = 50, 1
"""Of how many pieces one is wrong, and which."""
_DRAWN_BYTES = 128 << 20
_DAY_S = 86400
_WRITTEN_AT_S = 1_700_000_000
"""Of the right file; nginx makes Last-Modified and ETag from this and the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """``folders``: what to serve for each content; ``pieces``: a file with the piece hashes of the right one."""

    folders: dict[Content, Path]
    pieces: Path
    sha256: str
    size_bytes: int
    info: bytes
    """The info dictionary of the right file's torrent."""

    def file(self, content: Content) -> Path:
        return self.folders[content] / NAME

    def is_right(self, path: Path) -> bool:
        """Whether a downloaded file is byte-identical."""
        if not path.is_file() or path.stat().st_size != self.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def make_contents(folder: Path, size_bytes: int) -> Contents:
    """Write all of them below ``folder``, the same in every run."""
    right = _random(size_bytes)
    folders = {content: folder / content.name.lower() for content in Content}
    _write(folders[Content.RIGHT], right, _WRITTEN_AT_S)
    digests = [hashlib.sha256(right[at : at + PIECE_BYTES]).digest() for at in range(0, size_bytes, PIECE_BYTES)]
    pieces = folder / "pieces"
    hashes = PieceHashes(algorithm="sha256", piece_length=PIECE_BYTES, digests=tuple(digests))
    pieces.write_text(format_piece_hashes(hashes))
    sha256 = hashlib.sha256(right).hexdigest()
    info = info_of(folders[Content.RIGHT] / NAME, PIECE_BYTES)
    fiftieth = bytearray(right)
    for at in range(0, size_bytes, _FLIPPED_EVERY_BYTES):
        right[at] ^= 0xFF
        every, which = _WRONG_PIECES
        if at // PIECE_BYTES % every == which:
            fiftieth[at] ^= 0xFF
    _write(folders[Content.WRONG], right, _WRITTEN_AT_S)
    _write(folders[Content.FIFTIETH], fiftieth, _WRITTEN_AT_S)
    _write(folders[Content.OTHER], right[::-1], _WRITTEN_AT_S + _DAY_S)
    return Contents(folders=folders, pieces=pieces, sha256=sha256, size_bytes=size_bytes, info=info)


def _random(size_bytes: int) -> bytearray:
    # At once it takes no more than 256 MiB: the bits are counted in a C int.
    source, drawn = random.Random(size_bytes), bytearray()
    while left := size_bytes - len(drawn):
        drawn += source.randbytes(min(left, _DRAWN_BYTES))
    return drawn


def _write(folder: Path, content: bytes | bytearray, written_at_s: int) -> None:
    folder.mkdir(parents=True)
    path = folder / NAME
    path.write_bytes(content)
    os.utime(path, (written_at_s, written_at_s))
