"""What was named must name a place to fetch it from."""

from __future__ import annotations

from collections.abc import Sequence

from thunderdl.formats.old_links import is_ed2k


def checked_sources(url: str, mirrors: Sequence[str], torrent: str | None = None) -> None:
    """Raise UsageError where what is named names no place to fetch it from: an ed2k link alone."""
    if is_ed2k(url):
        from thunderdl.engine.ed2k import ed2k_plan
        from thunderdl.options import Options

        ed2k_plan(url, mirrors, Options(torrent=torrent))
