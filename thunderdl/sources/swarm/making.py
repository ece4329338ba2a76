"""Torrents made from what lies on the disk: libtorrent lays out, here is decided what goes in and what it is called.

Nothing is written. Symbolic links inside a folder, and what is neither file nor folder, stay out and are told of: a
link would lead readers of the torrent somewhere else on each machine. A name that a loader would change is refused,
since the one who downloads it would get another name.
"""

from __future__ import annotations

import enum
import functools
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import libtorrent as lt

from thunderdl.errors import StorageError, UsageError, printable
from thunderdl.sources.swarm.hashing import Hashes, Stretch, Tree, hash_stretches
from thunderdl.sources.swarm.torrent import Torrent, load

MIN_PIECE_BYTES = 16 * 1024
# libtorrent refuses larger ones.
MAX_PIECE_BYTES = 128 * 1024 * 1024
_SHA1 = 20
# libtorrent takes zeros for a hash that is missing.
_NO_SHA1 = b"-" * _SHA1
_NO_ROOT = b"-" * 32
_CANONICAL_PIECES = 4096
_CANONICAL_LEAST, _CANONICAL_MOST = 64 * 1024, 16 * 1024 * 1024

OnHashed = Callable[[int, int], None]
"""Told of bytes hashed and bytes in all; what it raises ends the work."""


class Format(enum.Enum):
    """Which generation of clients can use it: BEP 3, BEP 52, or both."""

    V1 = "v1"
    V2 = "v2"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is in a torrent beside content. ``piece_length``: bytes, 0 for one that fits the size; ``leave_out``: paths
    that do not go in; ``on_hashed``: see :data:`OnHashed`."""

    format: Format = Format.HYBRID
    piece_length: int = 0
    trackers: Sequence[str] = ()
    web_seeds: Sequence[str] = ()
    private: bool = False
    comment: str = ""
    leave_out: frozenset[str] = field(default=frozenset())
    on_hashed: OnHashed = lambda done, whole: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """``left_out``: paths that did not go in, links and devices."""

    torrent: Torrent
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """``name``: in the torrent, with the root's; ``mark``: size and time of change when it was listed."""

    path: str
    name: str
    mark: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A torrent but for its hashes. ``length``: of its pieces; ``v1``, ``v2``: whether it has hashes of them."""

    entries: Sequence[_Entry]
    stretches: Sequence[Stretch]
    length: int
    making: lt.create_torrent
    v1: bool
    v2: bool


def make(path: str, recipe: Recipe) -> Made:
    """The torrent of a file or folder. Blocking. Raises UsageError, StorageError."""
    check_piece_length(recipe.piece_length)
    left_out: list[str] = []
    entries = _entries(path, recipe, left_out)
    plan = _planned(path, entries, recipe)
    # Before hours of hashing, not after them.
    _check_names(load(_metainfo(plan, _no_hashes(plan)), path), plan)
    return Made(torrent=load(_metainfo(plan, _hashed(path, plan, recipe)), path), left_out=tuple(left_out))


def make_canonical(path: str, on_hashed: OnHashed = lambda done, whole: None) -> Torrent:
    """The torrent that follows from the bytes of a file alone, whoever makes it: v2, named by its root, nothing else
    in it. Blocking. Raises UsageError, StorageError."""
    size = _mark(path)[0]
    recipe = Recipe(format=Format.V2, piece_length=canonical_piece_length(size), on_hashed=on_hashed)
    plan = _planned(path, _entries(path, recipe, []), recipe)
    made = lt.bdecode(_metainfo(plan, _hashed(path, plan, recipe)))
    decoded = cast(dict[bytes, Any], made)
    info = decoded[b"info"]
    facts = next(iter(info[b"file tree"].values()))
    name = facts[b""][b"pieces root"].hex().encode()
    info[b"name"], info[b"file tree"] = name, {name: facts}
    kept = {b"info": info, b"piece layers": decoded.get(b"piece layers", {})}
    return load(lt.bencode(cast(Any, kept)), path)


def canonical_piece_length(size: int) -> int:
    """The smallest power of two that makes 4,096 pieces or fewer, from 64 KiB to 16 MiB."""
    least = -(-size // _CANONICAL_PIECES)
    return max(_CANONICAL_LEAST, min(_CANONICAL_MOST, 1 << max(least - 1, 0).bit_length()))


def check_piece_length(length: int) -> None:
    """Raise UsageError for what BEP 52 does not allow; 0 stands for a fitting one."""
    if length and not (MIN_PIECE_BYTES <= length <= MAX_PIECE_BYTES and length & (length - 1) == 0):
        raise UsageError(f"a piece length of {length} bytes: give a power of two from 16K to 128M.")


def share_link(torrent: Torrent) -> str:
    """A magnet link that also says name and trackers."""
    trackers = "".join(f"&tr={quote(tracker, safe='')}" for tracker in torrent.trackers)
    return f"{torrent.magnet}&dn={quote(torrent.name, safe='')}{trackers}"


# -- what goes in


def _entries(path: str, recipe: Recipe, left_out: list[str]) -> list[_Entry]:
    """In the order of the names: a torrent of the same folder is the same everywhere."""
    root = os.path.abspath(path)
    name = _utf8(os.path.basename(root), path)
    if not name:
        raise UsageError(f"{printable(path)}: the whole file system is no torrent; name a folder in it.")
    if not os.path.isdir(root):
        entries = [_Entry(root, name, _mark(path))]
    else:
        # As the tree of v2 has them.
        found = sorted(_files_below(root, recipe.leave_out, left_out), key=lambda each: os.fsencode(each).split(b"/"))
        entries = [_Entry(each, _utf8(f"{name}{each[len(root) :]}", each), _mark(each)) for each in found]
    if not sum(entry.mark[0] for entry in entries):
        what = "no file in it" if not entries else "nothing but empty files" if os.path.isdir(root) else "it is empty"
        raise UsageError(f"{printable(path)}: {what}; a torrent needs at least one byte.")
    return entries


def _files_below(folder: str, leave_out: frozenset[str], left_out: list[str]) -> Iterator[str]:
    pending = [folder]
    while pending:
        above = pending.pop()
        try:
            with os.scandir(above) as listed:
                for each in listed:
                    if each.is_dir(follow_symlinks=False):
                        pending.append(each.path)
                    elif each.is_file(follow_symlinks=False):
                        if each.path not in leave_out:
                            yield each.path
                    else:
                        left_out.append(each.path)
        except OSError as error:
            raise _unreadable(above, error) from None


def _mark(path: str) -> tuple[int, int]:
    """Size and time of change of a regular file that may be read. Raises StorageError, UsageError."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{printable(path)}: neither file nor folder; a torrent is made of files.")
        if not os.access(path, os.R_OK):
            raise PermissionError(13, "Permission denied")
        return found.st_size, found.st_mtime_ns
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> StorageError:
    reason = (error.strerror or str(error)).lower()
    advice = "check its permissions" if isinstance(error, PermissionError) else "check the path"
    return StorageError(path, f"cannot be read: {reason}", advice)


def _utf8(name: str, path: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{printable(path)}: its name is no UTF-8, as torrents need; rename it.") from None
    return name


def _check_names(torrent: Torrent, plan: _Plan) -> None:
    """Those who load it must get the names that are here."""
    there = {file.path for file in torrent.files}
    for entry in plan.entries:
        if entry.name in there:
            continue
        where = printable(entry.path)
        if not plan.v1 and len(plan.entries) == 1 and entry.name.count("/") == 1:
            raise UsageError(f"{where}: alone in its folder, whose name v2 cannot keep; give the file, or --hybrid.")
        if _is_as_another(entry, plan.entries):
            raise UsageError(
                f"{where}: another differs in upper and lower case alone, which torrents forbid; rename it."
            )
        raise UsageError(f"{where}: its name cannot be kept in a torrent; rename it.")


def _is_as_another(entry: _Entry, entries: Sequence[_Entry]) -> bool:
    """Whether a file or folder beside it has its name but for case."""
    names = {each.name[: len(entry.name)] for each in entries if each.name[len(entry.name) :][:1] in ("", "/")}
    return any(name != entry.name and name.lower() == entry.name.lower() for name in names)


# -- hashing


def _planned(path: str, entries: Sequence[_Entry], recipe: Recipe) -> _Plan:
    v1, v2 = recipe.format is not Format.V2, recipe.format is not Format.V1
    files = [lt.create_file_entry(entry.name, entry.mark[0]) for entry in entries]
    length = _laid_out(path, files, recipe.piece_length, lt.create_torrent.v1_only if not v2 else 0).piece_length()
    # libtorrent would put "a.txt" before "a/x" in the list of v1, where the tree of v2 has it behind, and then loads
    # no such torrent (2.1.1): pieces are filled up here, and it takes the list as it comes.
    stretches = _stretches(entries, length if v2 else 0)
    making = _laid_out(path, _as_files(stretches), length, lt.create_torrent.v1_only)
    _fill_in(making, recipe)
    return _Plan(entries=entries, stretches=stretches, length=length, making=making, v1=v1, v2=v2)


def _hashed(path: str, plan: _Plan, recipe: Recipe) -> Hashes:
    try:
        hashes = hash_stretches(plan.stretches, plan.length, recipe.on_hashed, v1=plan.v1, v2=plan.v2)
    except OSError as error:
        _check_unchanged(plan.entries)
        raise _unreadable(error.filename or path, error) from None
    _check_unchanged(plan.entries)
    return hashes


def _no_hashes(plan: _Plan) -> Hashes:
    """What stands for them where the names alone count."""
    trees = {entry.path: Tree(_NO_ROOT, b"") for entry in plan.entries if entry.mark[0]}
    return Hashes(_NO_SHA1 * plan.making.num_pieces(), trees)


def _metainfo(plan: _Plan, hashes: Hashes) -> bytes:
    """The .torrent, bencoded."""
    making = plan.making
    for piece in range(making.num_pieces()):
        making.set_hash(piece, hashes.pieces[piece * _SHA1 : (piece + 1) * _SHA1] if plan.v1 else _NO_SHA1)
    # Not generate_buf: it reads the bytes as text (2.1.1).
    made = cast(dict[bytes, Any], making.generate())
    if plan.v2:
        _add_trees(made, plan.entries, hashes.trees, plan.length)
    if not plan.v1:
        for key in (b"pieces", b"files", b"length"):
            made[b"info"].pop(key, None)
    return lt.bencode(cast(Any, made))


def _laid_out(path: str, files: list[lt.create_file_entry], piece_length: int, flags: int) -> lt.create_torrent:
    try:
        return lt.create_torrent(files, piece_length, flags)
    except RuntimeError as error:
        raise StorageError(path, f"cannot be made a torrent: {str(error).partition(' [')[0].lower()}") from None


def _stretches(entries: Sequence[_Entry], length: int) -> list[Stretch]:
    """In the order of the torrent. ``length``: of the pieces that are filled up behind each file of a folder, 0 where
    none is."""
    stretches = []
    for entry in entries:
        stretches.append(Stretch(entry.name, entry.path, entry.mark[0]))
        if length and "/" in entry.name and (fill := -entry.mark[0] % length):
            stretches.append(Stretch(f"{entry.name.partition('/')[0]}/.pad/{fill}", None, fill))
    return stretches


def _as_files(stretches: Sequence[Stretch]) -> list[lt.create_file_entry]:
    fill = lt.file_flags_t.flag_pad_file
    return [lt.create_file_entry(each.name, each.size, cast(Any, 0 if each.path else fill)) for each in stretches]


def _add_trees(made: dict[bytes, Any], entries: Sequence[_Entry], trees: Mapping[str, Tree], length: int) -> None:
    """What BEP 52 wants, and libtorrent takes from Python of its own hashing alone (2.1.1)."""
    tree: dict[bytes, Any] = {}
    layers: dict[bytes, bytes] = {}
    for entry in entries:
        folders = entry.name.encode().split(b"/")
        # The first names a folder that is shared whole.
        inside = functools.reduce(lambda above, name: above.setdefault(name, {}), folders[1:] or folders, tree)
        inside[b""] = {b"length": entry.mark[0]}
        if found := trees.get(entry.path):
            inside[b""][b"pieces root"] = found.root
            if entry.mark[0] > length and found.layer:
                layers[found.root] = found.layer
    made[b"info"] |= {b"file tree": tree, b"meta version": 2}
    made[b"piece layers"] = layers


def _fill_in(making: lt.create_torrent, recipe: Recipe) -> None:
    for tier, tracker in enumerate(recipe.trackers):
        making.add_tracker(tracker, tier)
    for url in recipe.web_seeds:
        making.add_url_seed(url)
    making.set_priv(recipe.private)
    if recipe.comment:
        making.set_comment(recipe.comment)
    making.set_creator("thunderdl")


def _check_unchanged(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        if _mark(entry.path) != entry.mark:
            raise StorageError(entry.path, "it was changed while it was read", "run the same command again")
