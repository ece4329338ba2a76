"""``--daemon``: into the background, as daemon(3) does it."""

from __future__ import annotations

import os
import sys


def into_background() -> None:
    """The process that called ends with 0; another goes on, without terminal and streams, in the same folder (aria2
    goes to ``/``: relative paths of hooks then lead elsewhere). To be called before there are threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        # A process that leads no session never gets a terminal again (setsid(2)).
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
