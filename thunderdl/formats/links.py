"""What a link is, told from its text alone."""

from __future__ import annotations

import re

_MAGNET = re.compile(r"magnet:\?", re.IGNORECASE)


def is_magnet(text: str) -> bool:
    """Whether it is a magnet link, good or bad."""
    return _MAGNET.match(text) is not None


def names_torrent(text: str) -> bool:
    """Whether what it names is a torrent: a magnet link, a file or a URL that ends in ``.torrent``."""
    if is_magnet(text):
        return True
    path = re.split(r"[?#]", text, maxsplit=1)[0] if "://" in text else text
    return path.lower().endswith(".torrent")
