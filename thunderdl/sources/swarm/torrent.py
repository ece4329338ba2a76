"""A torrent as values: what libtorrent read from a .torrent file, or what peers sent for a magnet link.

libtorrent does the reading (its names are safe for any file system, its checks cover 42 hostile files of its own
tests); here its answers become our values, and its error codes our sentences.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import libtorrent as lt

from thunderdl.errors import UsageError, printable
from thunderdl.formats.content_key import LEAF_BYTES, tree_leaves
from thunderdl.formats.merkle import subtree_algorithm
from thunderdl.model import PieceHashes

# Larger than any that is in use (100,000 files, a million pieces), and no bomb.
MAX_TORRENT_BYTES = 64 * 1024 * 1024
# Of bencoding. libtorrent's own 3,000,000 are too few for 100,000 files in v1 and v2 together.
_LIMITS: Any = {"max_decode_tokens": 10_000_000}


class BadTorrent(UsageError):
    """What was given is no torrent, or one that no client could use. ``where``: path or URL; ``reason``: a clause."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        return f"{printable(self.where)}: {printable(self.reason)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentFile:
    """One file of a torrent. ``path``: relative, made safe; ``start``: its first byte in the torrent's own space;
    ``index``: its number there, in which padding and links count."""

    path: str
    size_bytes: int
    start: int
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Torrent:
    """``files``: without padding and links; ``info_hash``: hexadecimal, v1 and v2, "" where there is none;
    ``metainfo``: the .torrent file, bencoded; ``peers``: address and port of those that are known already;
    ``tiers``: the number of each tracker's tier, none where all are of one; ``created``: seconds since 1970, None where
    it does not say; ``told_by``: where it is from."""

    name: str
    files: tuple[TorrentFile, ...]
    size_bytes: int
    piece_length: int
    piece_count: int
    piece_hashes: PieceHashes | None
    info_hash_v1: str
    info_hash_v2: str
    trackers: tuple[str, ...]
    web_seeds: tuple[str, ...]
    private: bool
    comment: str
    metainfo: bytes
    peers: tuple[tuple[str, int], ...] = ()
    tiers: tuple[int, ...] = ()
    created: int | None = None
    told_by: str = field(default="", compare=False)

    @property
    def is_single(self) -> bool:
        """Whether it is one file, without a folder of its own."""
        return len(self.files) == 1 and "/" not in self.files[0].path

    @property
    def file_urls(self) -> tuple[str, ...]:
        """Where the one file of it can be had: its web seeds, of a folder with the file's name behind (BEP 19)."""
        name = quote(self.files[0].path)
        web = (url for url in self.web_seeds if url.lower().startswith(("http://", "https://")))
        return tuple(url + name if url.endswith("/") else url for url in web) if self.is_single else ()

    def announced_to(self, more: Iterable[str]) -> list[str]:
        """Its trackers, with those that the user names beside them; a private torrent has its own alone (BEP 27)."""
        return list(dict.fromkeys(self.trackers if self.private else (*self.trackers, *more)))

    def tiers_with(self, more: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """The same, those of a tier together; each that the user names is a tier of its own."""
        own = dict(zip(self.trackers, self.tiers or (0,) * len(self.trackers), strict=False))
        tiers = dict[int | str, list[str]]()
        for tracker in self.announced_to(more):
            tiers.setdefault(own.get(tracker, tracker), []).append(tracker)
        return tuple(map(tuple, tiers.values()))

    @property
    def info_hashes(self) -> tuple[str, ...]:
        """Those that it has."""
        return tuple(filter(None, (self.info_hash_v1, self.info_hash_v2)))

    @property
    def magnet(self) -> str:
        """The shortest magnet link that names it."""
        topics = [f"xt=urn:btih:{self.info_hash_v1}"] if self.info_hash_v1 else []
        topics += [f"xt=urn:btmh:1220{self.info_hash_v2}"] if self.info_hash_v2 else []
        return "magnet:?" + "&".join(topics)


def load(metainfo: bytes, where: str) -> Torrent:
    """The torrent in ``metainfo``. Raises BadTorrent."""
    try:
        params = read(metainfo)
        if params.ti is None:
            raise BadTorrent(where, "no usable torrent (it holds no file list)")
        return _values(params, params.ti, metainfo, where)
    except (RuntimeError, ValueError) as error:
        raise BadTorrent(where, f"no usable torrent ({_said(error)})") from None


def read(metainfo: bytes) -> lt.add_torrent_params:
    """As libtorrent reads it, of as many files as are in use. Raises RuntimeError."""
    return lt.load_torrent_buffer(metainfo, _LIMITS)


def bare(metainfo: bytes) -> bytes:
    """Of a .torrent file what its info-hash proves, and nothing else: no tracker, no web seed, no node of a DHT."""
    params = read(metainfo)
    assert params.ti is not None
    layers = _layers(_beside(metainfo, params.ti))
    told = b"12:piece layers" + lt.bencode(cast(Any, layers)) if layers else b""
    return b"d4:info" + params.ti.info_section() + told + b"e"


def read_metainfo(path: str) -> bytes:
    """What is in the .torrent file. Blocking. Raises BadTorrent."""
    try:
        if os.path.getsize(path) > MAX_TORRENT_BYTES:
            raise BadTorrent(path, "too large for a torrent")
        with open(path, "rb") as stream:
            return stream.read(MAX_TORRENT_BYTES)
    except OSError as error:
        raise BadTorrent(path, printable(error.strerror or str(error))) from None


def metainfo_of(params: lt.add_torrent_params) -> bytes:
    """The .torrent of a torrent that came from peers, with the piece layers where they are known by now."""
    try:
        return lt.bencode(cast(Any, lt.write_torrent_file(params, lt.write_flags.allow_missing_piece_layer)))
    except RuntimeError:
        # Of a piece layer some hashes have come and some not: then without any; they come again with the pieces.
        assert params.ti is not None
        return b"d4:info" + params.ti.info_section() + b"e"


def _values(params: lt.add_torrent_params, info: lt.torrent_info, metainfo: bytes, told_by: str) -> Torrent:
    files, beside = info.layout(), _beside(metainfo, info)
    hashes = info.info_hashes()
    listed = tuple(
        TorrentFile(
            # Two files of one name are told apart by the loader.
            path=params.renamed_files.get(index) or files.file_path(index),
            size_bytes=files.file_size(index),
            start=files.file_offset(index),
            index=index,
        )
        for index in range(files.num_files())
        if not files.file_flags(index) & (lt.file_flags_t.flag_pad_file | lt.file_flags_t.flag_symlink)
    )
    # Of a v2 torrent libtorrent counts in the padding behind the last file, too, which nobody sends.
    size = max((file.start + file.size_bytes for file in listed), default=0)
    return Torrent(
        name=info.name(), files=listed, size_bytes=size, piece_length=info.piece_length(),
        piece_count=info.num_pieces(), piece_hashes=_piece_hashes(info, listed, beside),
        info_hash_v1=str(hashes.v1) if hashes.has_v1() else "", info_hash_v2=str(hashes.v2) if hashes.has_v2() else "",
        trackers=tuple(params.trackers), web_seeds=_web_seeds(beside), private=info.priv(),
        comment=params.comment, metainfo=metainfo, told_by=told_by,
        tiers=tuple(params.tracker_tiers), created=_created(beside),
    )  # fmt: skip


def _piece_hashes(
    info: lt.torrent_info, listed: tuple[TorrentFile, ...], beside: Mapping[bytes, object]
) -> PieceHashes | None:  # fmt: skip
    """Of a single file: SHA-1 where v1 has them, else the piece layer (BEP 52); None where neither is known."""
    length, count = info.piece_length(), info.num_pieces()
    if len(listed) != 1 or not count:
        return None
    if info.info_hashes().has_v1():
        digests = tuple(bytes(info.hash_for_piece(index)) for index in range(count))
        return PieceHashes(algorithm="sha1", piece_length=length, digests=digests)
    layers = _layers(beside)
    root = bytes(info.layout().root(0).to_bytes())
    layer = root if count == 1 else layers.get(root, b"")
    if len(layer) != 32 * count:
        return None
    digests = tuple(layer[at : at + 32] for at in range(0, len(layer), 32))
    # A piece of several is a whole subtree; the only one is as high as the tree of its file.
    leaves = length // LEAF_BYTES if count > 1 else tree_leaves(listed[0].size_bytes)
    return PieceHashes(algorithm=subtree_algorithm(leaves), piece_length=length, digests=digests)


def _created(beside: Mapping[bytes, object]) -> int | None:
    """libtorrent gives the time of now where the torrent says nothing."""
    told = beside.get(b"creation date")
    return told if isinstance(told, int) and 0 < told < 1 << 40 else None


def _layers(beside: Mapping[bytes, object]) -> Mapping[bytes, bytes]:
    layers = beside.get(b"piece layers")
    return cast(Mapping[bytes, bytes], layers) if isinstance(layers, dict) else {}


def _web_seeds(beside: Mapping[bytes, object]) -> tuple[str, ...]:
    """As the torrent has them (BEP 19), but for the space around: libtorrent makes ``%20/`` of what follows one."""
    listed = beside.get(b"url-list")
    urls = listed if isinstance(listed, list) else [listed]
    texts = (url.decode("utf-8", "replace").strip() for url in urls if isinstance(url, bytes))
    return tuple(dict.fromkeys(filter(None, texts)))


def _beside(metainfo: bytes, info: lt.torrent_info) -> Mapping[bytes, object]:
    """What a torrent holds beside its list of files, which is too long for ``bdecode`` (2,000,000 tokens in 2.1.1).
    Raises RuntimeError."""
    decoded = lt.bdecode(metainfo.replace(b"4:info" + info.info_section(), b"4:infode", 1))
    return cast(Mapping[bytes, object], decoded) if isinstance(decoded, dict) else {}


def _said(error: Exception) -> str:
    """libtorrent's own words: ``message (category, number)`` without what stands in brackets."""
    return str(error).partition(" [")[0].rstrip(".").lower() or "unknown reason"
