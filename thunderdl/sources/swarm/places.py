"""Whose each torrent of the session is, by its info hashes; also while libtorrent does not have it.

A download leaves the swarm before its file gets its final name, and comes again to share it. libtorrent alone knows of
nothing in between: a second download of the same torrent got in there, and the first one's sharing was refused.

Invariant: an info hash has one holder at most, from :meth:`Places.take` to :meth:`Places.leave`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable


class Places:
    """``holder``: whatever it is known by, compared by ``==``."""

    def __init__(self) -> None:
        self._holders: dict[str, Hashable] = {}

    def take(self, info_hashes: Collection[str], holder: Hashable) -> bool:
        """Have these, those that it has already among them. False, and nothing is taken, where another has one."""
        if any(self._holders.get(each, holder) != holder for each in info_hashes):
            return False
        self._holders.update(dict.fromkeys(info_hashes, holder))
        return True

    def pass_on(self, holder: Hashable, to: Hashable) -> None:
        """All that one has is another's from now on; nobody gets in between."""
        self._holders = {each: to if other == holder else other for each, other in self._holders.items()}

    def leave(self, holder: Hashable) -> None:
        """Give back all that it has."""
        self._holders = {each: other for each, other in self._holders.items() if other != holder}
