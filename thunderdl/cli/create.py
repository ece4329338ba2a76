"""``thunderdl create``: a torrent of a file or folder, and the link that names it; or a metalink of several."""

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
    if typed.is_on("as_metalink"):
        from thunderdl.cli.create_metalink import create_metalink

        return create_metalink(typed)
    return _create_torrent(typed)


def _create_torrent(typed: Typed) -> int:
    from thunderdl.engine.creating import create_torrent

    _check(typed)
    # Not those of the settings: what is published names what its maker typed.
    trackers = [_tracker(url) for url in typed.texts("trackers")]
    exists = settings.load(typed.settings()).options().exists
    quiet, as_json = typed.is_on("quiet"), typed.is_on("json")
    with Gauge("hashing", shown=not quiet and sys.stderr.isatty()) as gauge:
        created = create_torrent(
            typed.texts("paths")[0], typed.text("torrent_out"), version=_version(typed),
            piece_length=piece_length(typed.text("piece_length")),
            trackers=trackers, web_seeds=typed.texts("web_seeds"),
            private=typed.is_on("private"), comment=text_of(typed, "comment"), exists=exists,
            on_hashed=gauge.show,
        )  # fmt: skip
    if not quiet or as_json:
        write_line(sys.stdout, _as_json(created) if as_json else _told(created))
    if created.left_out and not quiet:
        sys.stderr.write(f"{left_out(created.left_out)}\n")
    return 0


def _version(typed: Typed) -> str:
    chosen = [version for version in VERSIONS if typed.is_on(version)]
    if len(chosen) > 1:
        raise UsageError(" and ".join(f"--{version}" for version in chosen) + " exclude each other.")
    return chosen[0] if chosen else "hybrid"


def piece_length(text: str | None) -> int:
    """Bytes of ``--piece-length``, 0 where it was not given. Raises UsageError."""
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


def text_of(typed: Typed, name: str) -> str:
    """What was typed, empty where nothing was. Raises UsageError for control characters."""
    text = typed.text(name)
    try:
        return parse_text(text) if text is not None else ""
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')}: {error}.") from None


def _check(typed: Typed) -> None:
    of_metalinks = ("urls_there", "torrents_there", "publisher", "publisher_url", "identity", "file_version", "origin")
    if any(name in typed.values for name in of_metalinks):
        raise UsageError("--url, --torrent, --publisher, --identity, --file-version, --origin belong to --metalink.")
    if len(typed.texts("paths")) > 1:
        raise UsageError("a torrent is of one file or folder; give one path, or make a metalink with --metalink.")


def _told(created: Created) -> str:
    count, pieces = counted(created.files, "file"), counted(created.pieces, "piece")
    word, what = ("skipped", "it exists already: ") if created.skipped else ("saved", "")
    lines = [
        f"{word} {printable(created.path)}  {what}{count}, {size(created.size_bytes)}, "
        f"{pieces} of {size(created.piece_length)}"
    ]
    lines += [f"info-hash v1  {created.info_hash_v1}"] if created.info_hash_v1 else []
    lines += [f"info-hash v2  {created.info_hash_v2}"] if created.info_hash_v2 else []
    return "\n".join([*lines, created.magnet])


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def left_out(paths: tuple[str, ...]) -> str:
    """The sentence that tells of them."""
    rest = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"left out, being links or devices: {printable(paths[0])}{rest}"


def _as_json(created: Created) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(created))
