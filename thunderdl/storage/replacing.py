"""A small file of ours that is written anew: it holds what it held or what it is to hold, whenever the program ends."""

from __future__ import annotations

import contextlib
import os

from thunderdl.storage.files import sync_data


def replace_file(path: str, data: bytes) -> None:
    """Put ``data`` in its place, on the disk before it has the name; through no link. Raises OSError."""
    new = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        # Of a run that was killed here.
        os.unlink(new)
    with open(new, "xb") as stream:
        stream.write(data)
        stream.flush()
        sync_data(stream.fileno())
    os.replace(new, path)
