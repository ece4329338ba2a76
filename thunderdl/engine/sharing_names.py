"""Names that several downloads want: under RENAME each has one of its own, also before any of them is whole.

Blocking.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from thunderdl.errors import JournalUnusable, StorageError, TargetLocked, without_userinfo
from thunderdl.options import Exists
from thunderdl.storage.files import PART_SUFFIX, journal_path, part_path
from thunderdl.storage.paths import free_name, split_extension

T = TypeVar("T")


def is_part_of(names: Iterable[str], path: str) -> bool:
    """Whether the part of ``path`` was begun as one of these (URLs, or what the journal calls it), or nobody can go on
    from it."""
    journal = journal_path(part_path(path))
    if not os.path.lexists(journal):
        return True
    # Loading it takes 25 ms, which small files do without.
    from thunderdl.storage.journal import read_header

    try:
        return read_header(journal).url in {without_userinfo(name) for name in names}
    except (JournalUnusable, StorageError):
        return False


def parts_left(path: str) -> list[str]:
    """``path`` and the numbered names beside it under which somebody has left a part to go on from, lowest first."""
    folder, name = os.path.split(path)
    stem, extension = split_extension(name)
    numbered = re.compile(rf"{re.escape(stem)}(?: \((\d+)\))?{re.escape(extension)}{re.escape(PART_SUFFIX)}")
    try:
        found = [
            (int(match[1] or 0), each) for each in os.listdir(folder or ".") if (match := numbered.fullmatch(each))
        ]
    except OSError:
        return []
    parts = [os.path.join(folder, each) for _, each in sorted(found)]
    return [
        each.removesuffix(PART_SUFFIX) for each in parts if os.path.isdir(each) or os.path.lexists(journal_path(each))
    ]


def opened_at_a_name(
    work: Callable[[str], T], path: str, exists: Exists, is_ours: Callable[[str], bool], *,
    goes_on: bool = True, takes_up: bool = False,
) -> T:  # fmt: skip
    """What ``work`` opens at ``path``; under RENAME at the name where this download left its part before, or else at
    one that nobody has and nobody is at work on.

    ``is_ours``: whether the part of a path is this download's; ``goes_on``: whether it looks for such a one;
    ``takes_up``: whether ``path`` may be opened where its part is another's, to look whether it is of the same content.
    Raises what ``work`` does, TargetExists where no name is free.
    """
    if exists is not Exists.RENAME:
        return work(path)
    locked: set[str] = set()

    def has_part(name: str) -> bool:
        return os.path.lexists(part_path(name)) and not is_ours(name)

    def is_taken(name: str) -> bool:
        return name in locked or os.path.lexists(name) or has_part(name)

    own = [name for name in parts_left(path) if is_ours(name) and not os.path.lexists(name)] if goes_on else []
    may_take_up = takes_up and not os.path.lexists(path)
    while True:
        name = own.pop(0) if own else path if may_take_up else free_name(path, is_taken)
        may_take_up &= name != path
        try:
            return work(name)
        except TargetLocked:
            locked.add(name)
