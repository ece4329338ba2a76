"""A download that was stopped midway, for tests of what comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.runs import drive, names, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer
from thunderdl.model import Result

SIZE = 4 * 1024 * 1024
CUT = 300_000
WHOLE = generated(SIZE, seed=1)
CONTENT = bytes(WHOLE.span(0, SIZE))
KEPT = ["f.part", "f.part.journal"]


def stop_midway(server: LoopbackServer, folder: Path, **changes: Any) -> Result:
    """Leave a part file and a journal behind; the server is well afterwards."""
    server.release.clear()
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.stall_after(CUT))
    result = drive(stopped_after(CUT), server.url("/f"), folder, **changes)
    server.release.set()
    server.resources["/f"] = generated(SIZE, seed=1)
    server.requests.clear()
    assert names(folder) == KEPT
    return result
