"""What a part folder is for: kept in it, so that ``thunderdl resume`` can go on without being told again.

Whoever could write to the folder could write it: all of it is checked, and where files are saved never follows from
it, but from the folder's own place (bad-inputs L5). User names and passwords are not kept.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass

from thunderdl.errors import JournalUnusable
from thunderdl.storage.files import PART_SUFFIX, storage_fault

_NAME = "request"
_MAX_BYTES = 1024 * 1024
# Greedy up to the last @ before the path, as errors.shown_url.
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``torrent``: path, URL or magnet link; ``mirrors``: URLs beside it; ``files``: the choice as given, or None."""

    torrent: str
    mirrors: tuple[str, ...] = ()
    files: str | None = None


def write_wish(folder: str, wish: Wish) -> None:
    """Keep it in the part folder, a path as an absolute one. Raises StorageError."""
    place = wish.torrent
    if not re.match(r"magnet:|[a-z]+://", place, re.IGNORECASE):
        place = os.path.abspath(place)
    kept = Wish(
        torrent=_USERINFO.sub("", place), mirrors=tuple(_USERINFO.sub("", url) for url in wish.mirrors),
        files=wish.files,
    )  # fmt: skip
    path = os.path.join(folder, _NAME)
    try:
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "wb"
        ) as s:
            s.write(json.dumps(asdict(kept)).encode())
    except OSError as error:
        raise storage_fault(path, error) from error


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
