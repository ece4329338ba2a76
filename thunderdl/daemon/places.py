"""Where a task may be saved: below the roots, whatever links lie on the way (bad-inputs R2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.rules import Rules
from thunderdl.errors import UsageError, printable
from thunderdl.storage.paths import user_name


class OutsideRoots(UsageError):
    """``folder``: one that the daemon may not write to."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        shown = printable(self.folder)[:200]
        return (
            f"{shown} is outside of the folders that the daemon may write to; start it with --root {shown} to allow it."
        )


def folder_of(wish: Wish, rules: Rules) -> str:
    """The folder that a task is saved in, absolute: its own, else its category's, else that of all.

    A relative one is below that of all. Raises UsageError for one outside of the roots, and for an unknown category.
    Looks at the disk, for links.
    """
    if wish.category and wish.category not in rules.categories:
        raise UsageError(f"{printable(wish.category)[:60]!r}: no such category; add it in the settings.")
    if not isinstance(wish.options.get("dir", ""), str):
        raise UsageError("dir: given more than once.")
    out = wish.options.get("out", "")
    name = user_name(str(out)) if out else ""
    folder = inside(named_folder(wish, rules), rules.roots)
    if "/" in name:
        # A folder of the name's own may be a link, too.
        inside(os.path.join(folder, os.path.dirname(name)), rules.roots)
    return folder


def named_folder(wish: Wish, rules: Rules) -> str:
    """The same as it was named, without a look at the disk and without a check: to be shown."""
    return _joined(rules.options.dir, rules.categories.get(wish.category, ""), str(wish.options.get("dir", "")))


@lru_cache(1024)
def _joined(base: str, category: str, own: str) -> str:
    """The last one that is absolute, and those behind it below it. Kept: a list of 1,000 tasks names one folder."""
    return os.path.abspath(os.path.join(base, os.path.expanduser(category), os.path.expanduser(own)))


def inside(folder: str, roots: Sequence[str]) -> str:
    """The folder, absolute and without links. Raises UsageError where it is below none of the roots."""
    if "\0" in folder:
        raise UsageError("a folder's name must not hold a null character.")
    real = os.path.realpath(folder)
    for root in roots:
        above = os.path.realpath(root)
        if real == above or real.startswith(above.rstrip("/") + "/"):
            return real
    raise OutsideRoots(folder)
