"""``thunderdl create --metalink``: a document that tells others what files are and where they are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.create import counted, left_out, piece_length, text_of
from thunderdl.cli.grammar import Typed
from thunderdl.cli.progress import Gauge
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.engine.creating_metalinks import CreatedMetalink

_OF_TORRENTS = {
    "v1": "--v1", "v2": "--v2", "hybrid": "--hybrid", "web_seeds": "--web-seed", "private": "--private",
    "trackers": "--tracker",
}  # fmt: skip


def create_metalink(typed: Typed) -> int:
    """Make it, tell of it."""
    from thunderdl.engine.creating_metalinks import Recipe
    from thunderdl.engine.creating_metalinks import create_metalink as create

    if other := [flag for name, flag in _OF_TORRENTS.items() if name in typed.values]:
        raise UsageError(f"{' and '.join(other)}: of torrents, not of metalinks; leave it out.")
    exists = settings.load(typed.settings()).options().exists
    quiet, as_json = typed.is_on("quiet"), typed.is_on("json")
    with Gauge("hashing", shown=not quiet and sys.stderr.isatty()) as gauge:
        recipe = Recipe(
            urls=typed.texts("urls_there"), torrents=typed.texts("torrents_there"),
            piece_length=piece_length(typed.text("piece_length")), publisher=text_of(typed, "publisher"),
            publisher_url=text_of(typed, "publisher_url"), description=text_of(typed, "comment"),
            identity=text_of(typed, "identity"), version=text_of(typed, "file_version"),
            origin=text_of(typed, "origin"), on_hashed=gauge.show,
        )  # fmt: skip
        created = create(typed.texts("paths"), typed.text("torrent_out"), recipe=recipe, exists=exists)
    if not quiet or as_json:
        write_line(sys.stdout, _as_json(created) if as_json else _told(created))
    if created.left_out and not quiet:
        sys.stderr.write(f"{left_out(created.left_out)}\n")
    return 0


def _told(created: CreatedMetalink) -> str:
    if created.skipped:
        return f"skipped {printable(created.path)}  it exists already"
    mirrors = counted(created.mirrors, "mirror") if created.mirrors else "no mirror: name some with --url"
    return f"saved {printable(created.path)}  {counted(created.files, 'file')}, {size(created.size_bytes)}, {mirrors}"


def _as_json(created: CreatedMetalink) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(created))
