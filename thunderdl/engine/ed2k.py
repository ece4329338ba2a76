"""What an ed2k link gives a download: its name, size and checksum, and the web addresses that the link may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from thunderdl.errors import UsageError, printable
from thunderdl.formats.old_links import parse_ed2k
from thunderdl.model import Digest
from thunderdl.options import Options
from thunderdl.storage.paths import safe_name


class Ed2kPlan(NamedTuple):
    """``urls``: where to fetch the file; ``options``: what checks and names it; ``size_bytes``: how long it is."""

    urls: tuple[str, ...]
    options: Options
    size_bytes: int


def ed2k_plan(link: str, mirrors: Sequence[str], options: Options) -> Ed2kPlan:
    """How to fetch what a link names. What the user said of its name and checksum counts first.

    Raises InvalidUrl, and UsageError where there is no place to fetch it from.
    """
    facts = parse_ed2k(link)
    urls = tuple(dict.fromkeys((*mirrors, *facts.urls)))
    if options.torrent is not None and not urls:
        urls = (options.torrent,)
    name = safe_name(facts.name)
    if not urls:
        raise UsageError(
            f"ed2k link of {printable(name)}: the eDonkey network is not joined here; name a URL of the file with -m, "
            "and the link will name and check it."
        )
    checksum = options.checksum or Digest("ed2k", facts.root)
    return Ed2kPlan(urls, replace(options, checksum=checksum, out=options.out or name), facts.size_bytes)
