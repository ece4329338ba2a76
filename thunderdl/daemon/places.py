"""Where a task may be saved: below the roots, whatever links lie on the way (bad-inputs R2)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.rules import Rules
from thunderdl.errors import UsageError, printable
from thunderdl.storage.paths import user_name


def folder_of(wish: Wish, rules: Rules) -> str:
    """The folder that a task is saved in, absolute: its own, else its category's, else that of all.

    A relative one is below that of all. Raises UsageError for one outside of the roots, and for an unknown category.
    Looks at the disk, for links.
    """
    base = os.path.abspath(rules.options.dir)
    category = ""
    if wish.category:
        if wish.category not in rules.categories:
            raise UsageError(f"{printable(wish.category)[:60]!r}: no such category; add it in the settings.")
        category = rules.categories[wish.category]
    own = wish.options.get("dir", "")
    if not isinstance(own, str):
        raise UsageError("dir: given more than once.")
    folder = os.path.join(base, os.path.expanduser(category), os.path.expanduser(own))
    if out := wish.options.get("out", ""):
        user_name(str(out))
    return inside(folder, rules.roots)


def inside(folder: str, roots: Sequence[str]) -> str:
    """The folder, absolute and without links. Raises UsageError where it is below none of the roots."""
    if "\0" in folder:
        raise UsageError("a folder's name must not hold a null character.")
    real = os.path.realpath(folder)
    for root in roots:
        above = os.path.realpath(root)
        if real == above or real.startswith(above.rstrip("/") + "/"):
            return real
    raise UsageError(
        f"{printable(folder)[:200]} is outside of the folders that the daemon may write to; start it with "
        f"--root {printable(folder)[:200]} to allow it."
    )
