"""What an ed2k link gives a download: its name, its checksum, and the web addresses that the link may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thunderdl.errors import UsageError, printable
from thunderdl.formats.old_links import parse_ed2k
from thunderdl.model import Digest
from thunderdl.options import Options
from thunderdl.storage.paths import safe_name


def sources_and_options(link: str, mirrors: Sequence[str], options: Options) -> tuple[tuple[str, ...], Options]:
    """Where to fetch the file, and the options that check and name it. What the user said of either counts first.

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
    return urls, replace(options, checksum=checksum, out=options.out or name)
