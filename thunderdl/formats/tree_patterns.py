"""Which files of a tree somebody wants: patterns as shells write them. Pure.

A pattern is compared with the whole path below the root, with the bare name, and with each folder above, so that
``src`` and ``src/`` stand for all within; ``*`` also stands for ``/``. What is excluded is out, whatever includes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate


class Selection:
    """``include``: without any, everything; ``exclude``: never. Raises ValueError with a clause for an empty one."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include, self._exclude = _compiled(include), _compiled(exclude)

    def takes(self, path: str) -> bool:
        """Whether a file is wanted."""
        if self._exclude is not None and _any_match(self._exclude, path):
            return False
        return self._include is None or _any_match(self._include, path)

    def enters(self, folder: str) -> bool:
        """Whether anything below a folder can be wanted."""
        return self._exclude is None or not _any_match(self._exclude, folder)


def _compiled(patterns: Iterable[str]) -> re.Pattern[str] | None:
    parts = []
    for pattern in patterns:
        bare = pattern.removeprefix("./").strip("/")
        if not bare:
            raise ValueError(f"{pattern[:60]!r} stands for no file")
        parts.append(translate(bare))
    return re.compile("|".join(parts)) if parts else None


def _any_match(pattern: re.Pattern[str], path: str) -> bool:
    return any(pattern.match(name) for name in _names(path))


def _names(path: str) -> Iterator[str]:
    yield path
    while path:
        above, _, name = path.rpartition("/")
        yield name
        path = above
        if path:
            yield path
