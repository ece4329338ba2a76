"""thunderdl: a P2SP download manager. The public names; each is loaded when first used.

client.py    get(), download(), Client, Task        options.py   every option, once
mirroring.py mirror(): whole trees                  leftovers.py what earlier runs left
model.py     Progress, Result and other values      errors.py    the error tree
cli/         the command line                       engine/      sessions and downloads
core/        decisions, pure                        formats/     parsers, pure
sources/     who brings bytes                       storage/, verify.py   files, journal, hashes
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thunderdl.client import Client, Request, Task, download, get
    from thunderdl.engine.creating import Created, create_torrent
    from thunderdl.engine.seeding import Seeding, SeedProgress
    from thunderdl.errors import ThunderdlError
    from thunderdl.mirroring import Mirror, Mirrored, mirror
    from thunderdl.model import ContentKey, Digest, ExpiredLink, PieceHashes, Progress, Result, Status, Whole
    from thunderdl.options import Exists, Options, Priority
    from thunderdl.timetable import Timetable

__version__ = "0.1.0"

_HOME = {
    "client": ("Client", "Request", "Task", "download", "get"),
    "engine.creating": ("Created", "create_torrent"),
    "engine.seeding": ("SeedProgress", "Seeding"),
    "errors": ("ThunderdlError",),
    "mirroring": ("Mirror", "Mirrored", "mirror"),
    "model": ("ContentKey", "Digest", "ExpiredLink", "PieceHashes", "Progress", "Result", "Status", "Whole"),
    "options": ("Exists", "Options", "Priority"),
    "timetable": ("Timetable",),
}

__all__ = [
    "Client", "ContentKey", "Created", "Digest", "Exists", "ExpiredLink", "Mirror", "Mirrored", "Options",
    "PieceHashes", "Priority", "Progress", "Request", "Result", "SeedProgress", "Seeding", "Status", "Task",
    "ThunderdlError", "Timetable", "Whole", "__version__", "create_torrent", "download", "get", "mirror",
]  # fmt: skip


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"thunderdl.{module}"), name)
    raise AttributeError(f"module 'thunderdl' has no attribute {name!r}")
