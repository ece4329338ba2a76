"""``--glob``: patterns of URLs on the command line, and ``#1`` in ``--out`` for what stands for the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from thunderdl.formats.targets import checked_target
from thunderdl.formats.url_patterns import UrlPattern, parse_pattern, with_chosen
from thunderdl.options import Options


def checked_patterns(urls: Sequence[str]) -> tuple[UrlPattern, ...]:
    """The patterns, the first and the last URL of each looked at. Raises UsageError."""
    patterns = tuple(map(parse_pattern, urls))
    for pattern in patterns:
        for index in (0, pattern.count - 1):
            checked_target(pattern.at(index)[0])
    return patterns


def targets(patterns: Sequence[UrlPattern], options: Options) -> Iterator[tuple[str, Options | None]]:
    """Each URL, with options of its own where ``--out`` names what stood for a pattern. Raises InvalidUrl."""
    for pattern in patterns:
        for url, chosen in pattern:
            out = options.out and with_chosen(options.out, chosen, pattern.names)
            yield checked_target(url), None if out == options.out else replace(options, out=out)
