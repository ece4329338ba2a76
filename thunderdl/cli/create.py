"""``thunderdl create``: a torrent of a file or folder, and the link that names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.progress import Gauge
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.option_texts import parse_rate, parse_text
from thunderdl.quantities import size
from thunderdl.reach import parse_tracker

if TYPE_CHECKING:
    from thunderdl.engine.creating import Created

VERSIONS = ("v1", "v2", "hybrid")


def create(typed: Typed) -> int:
    """Make it, tell of it."""
    from thunderdl.engine.creating import create_torrent

    # Not those of the settings: what is published names what its maker typed.
    trackers = [_tracker(url) for url in typed.texts("trackers")]
    exists = settings.load(typed.settings()).options().exists
    quiet, as_json = typed.is_on("quiet"), typed.is_on("json")
    with Gauge("hashing", shown=not quiet and sys.stderr.isatty()) as gauge:
        created = create_torrent(
            typed.text("path") or "", typed.text("torrent_out"), version=_version(typed),
            piece_length=_piece_length(typed.text("piece_length")),
            trackers=trackers, web_seeds=typed.texts("web_seeds"),
            private=typed.is_on("private"), comment=_comment(typed.text("comment")), exists=exists,
            on_hashed=gauge.show,
        )  # fmt: skip
    if not quiet or as_json:
        write_line(sys.stdout, _as_json(created) if as_json else _told(created))
    if created.left_out and not quiet:
        sys.stderr.write(f"{_left_out(created.left_out)}\n")
    return 0


def _version(typed: Typed) -> str:
    chosen = [version for version in VERSIONS if typed.is_on(version)]
    if len(chosen) > 1:
        raise UsageError(" and ".join(f"--{version}" for version in chosen) + " exclude each other.")
    return chosen[0] if chosen else "hybrid"


def _piece_length(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return parse_rate(text.removesuffix("/s")) or 0
    except ValueError:
        raise UsageError(f"--piece-length: {printable(text)[:80]!r}: write bytes, as 256K or 1M.") from None


def _tracker(url: str) -> str:
    try:
        return parse_tracker(url)
    except ValueError as error:
        raise UsageError(f"--tracker: {printable(url)[:200]!r}: {error}.") from None


def _comment(text: str | None) -> str:
    try:
        return parse_text(text) if text is not None else ""
    except ValueError as error:
        raise UsageError(f"--comment: {error}.") from None


def _told(created: Created) -> str:
    count, pieces = _count(created.files, "file"), _count(created.pieces, "piece")
    word, what = ("skipped", "it exists already: ") if created.skipped else ("saved", "")
    lines = [
        f"{word} {printable(created.path)}  {what}{count}, {size(created.size_bytes)}, "
        f"{pieces} of {size(created.piece_length)}"
    ]
    lines += [f"info-hash v1  {created.info_hash_v1}"] if created.info_hash_v1 else []
    lines += [f"info-hash v2  {created.info_hash_v2}"] if created.info_hash_v2 else []
    return "\n".join([*lines, created.magnet])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _left_out(paths: tuple[str, ...]) -> str:
    rest = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"left out, being links or devices: {printable(paths[0])}{rest}"


def _as_json(created: Created) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(created))
