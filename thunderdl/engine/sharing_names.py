"""Names that several downloads want: under RENAME each has one of its own, also before any of them is whole.

Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from thunderdl.errors import JournalUnusable, StorageError, TargetLocked, without_userinfo
from thunderdl.options import Exists
from thunderdl.storage.files import journal_path, part_path
from thunderdl.storage.paths import free_name

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


def opened_at_a_name(
    work: Callable[[str], T], path: str, exists: Exists, is_ours: Callable[[str], bool], *, takes_up: bool
) -> T:
    """What ``work`` opens at ``path``; under RENAME at the name where this download left its part before, or beside
    what another one is at work on.

    ``is_ours``: whether the part of a path is this download's; ``takes_up``: whether ``path`` may be opened where it
    is another's, to look whether it is of the same content. Raises what ``work`` does, TargetExists where no name is
    free.
    """
    if exists is not Exists.RENAME:
        return work(path)
    locked: set[str] = set()

    def is_taken(name: str) -> bool:
        return name in locked or os.path.lexists(name) or (os.path.lexists(part_path(name)) and not is_ours(name))

    name = path
    if os.path.lexists(part_path(path)) and not is_ours(path):
        beside = free_name(path, is_taken)
        name = path if takes_up and not os.path.lexists(part_path(beside)) else beside
    while True:
        try:
            return work(name)
        except TargetLocked:
            locked.add(name)
            name = free_name(path, is_taken)
