"""Which files a download will bring, as far as it is named before it begins. Nothing is guessed: a URL's last part may
be anybody's file, and whoever is told of a path may remove what lies there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from thunderdl.formats.file_selection import selected
from thunderdl.storage.paths import safe_name, user_name

if TYPE_CHECKING:
    from thunderdl.engine.offers import Offer
    from thunderdl.options import Options
    from thunderdl.sources.swarm.torrent import Torrent


def named(options: Options, offer: Offer | None = None) -> str:
    """Where the user, or a metalink, says that one file is to lie; empty where nobody does."""
    name = user_name(options.out) if options.out else safe_name(offer.name) if offer is not None and offer.name else ""
    return os.path.abspath(os.path.join(options.dir, name)) if name else ""


def named_in(torrent: Torrent, options: Options) -> tuple[int, str]:
    """How many of a torrent's files are wanted, and where the first of them is to lie."""
    paths = [file.path for file in torrent.files]
    try:
        wanted = sorted(selected(options.files, paths)) if options.files else range(len(paths))
    except ValueError:
        wanted = range(len(paths))
    if not wanted:
        return 1, ""
    first, root = paths[wanted[0]], named(options)
    below = first.partition("/")[2]
    path = os.path.join(root, below) if root and below else root or os.path.join(options.dir, first)
    return len(wanted), os.path.abspath(path)
