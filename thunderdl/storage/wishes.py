"""What a part folder is for: kept in it, so that ``thunderdl resume`` can go on without being told again.

Whoever could write to the folder could write it: all of it is checked, and where files are saved never follows from
it, but from the folder's own place (bad-inputs L5). User names and passwords are not kept.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass

from thunderdl.errors import JournalUnusable, without_userinfo
from thunderdl.storage.files import PART_SUFFIX, storage_fault
from thunderdl.storage.replacing import replace_file

_NAME = "request"
_MAX_BYTES = 1024 * 1024
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``torrent``: path, URL or magnet link; ``mirrors``: URLs beside it; ``files``: the choice as given, or None."""

    torrent: str
    mirrors: tuple[str, ...] = ()
    files: str | None = None


def write_wish(folder: str, wish: Wish) -> None:
    """Keep it in the part folder, a path as an absolute one. Raises StorageError."""
    mirrors = tuple(without_userinfo(url) for url in wish.mirrors)
    kept = Wish(torrent=_as_kept(wish.torrent), mirrors=mirrors, files=wish.files)
    path = os.path.join(folder, _NAME)
    try:
        # As a whole: an empty one, of a run that was killed here, would take the folder for nobody's.
        replace_file(path, json.dumps(asdict(kept)).encode())
    except OSError as error:
        raise storage_fault(path, error) from error


def is_wish_for(folder: str, torrent: str) -> bool:
    """Whether the part folder is for this torrent: path, URL or magnet link. True for one that does not say."""
    if not os.path.lexists(os.path.join(folder, _NAME)):
        return not os.path.isfile(folder)
    try:
        return read_wish(folder).torrent == _as_kept(torrent)
    except JournalUnusable:
        return False


def read_wish(folder: str) -> Wish:
    """What the part folder is for. Raises JournalUnusable."""
    path = os.path.join(folder, _NAME)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            facts = json.loads(stream.read(_MAX_BYTES))
        torrent, mirrors, files = facts["torrent"], facts["mirrors"], facts["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise JournalUnusable(path, "it cannot be read", "run the command again that began it") from None
    texts = [torrent, *mirrors, *([] if files is None else [files])] if isinstance(mirrors, list) else [None]
    if not all(isinstance(text, str) and text and not _UNSAFE.search(text) for text in texts):
        raise JournalUnusable(path, "it holds what nobody typed", "run the command again that began it")
    return Wish(torrent=torrent, mirrors=tuple(mirrors), files=files)


def _as_kept(torrent: str) -> str:
    is_link = re.match(r"magnet:|[a-z]+://", torrent, re.IGNORECASE)
    return without_userinfo(torrent if is_link else os.path.abspath(torrent))


def remove_wish(folder: str) -> None:
    """Nothing is left to go on with. Raises OSError but for one that is not there."""
    try:
        os.unlink(os.path.join(folder, _NAME))
    except FileNotFoundError:
        return


def find_part_folders(folder: str) -> list[str]:
    """Part folders in the folder (not below it) that say what they are for, sorted. Raises StorageError."""
    try:
        with os.scandir(folder or ".") as entries:
            found = [e.path for e in entries if e.name.endswith(PART_SUFFIX) and e.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise storage_fault(folder, error) from error
    return sorted(path for path in found if os.path.isfile(os.path.join(path, _NAME)))
