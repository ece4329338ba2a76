"""A tracker that wants us not: who is told that nobody has it is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import failed, fetch
from tests.engine.swarm import ALONE, made_torrent
from tests.engine.test_facts import Everywhere
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from tests.servers.torrents import content, metainfo, write_tree
from thunderdl.sources.swarm.host import SwarmFault

SAID = b"\x1b[31mNot registered."
ANSWER = b"d14:failure reason%d:%se" % (len(SAID), SAID)


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_the_tracker_said_is_told(tmp_path: Path, *, is_folder: bool) -> None:
    torrent, origin = tmp_path / "t.torrent", tmp_path / "origin"
    write_tree(origin, {"Set/a": content(100), "Set/b": content(100, 2)})
    torrent.write_bytes(metainfo(origin / "Set") if is_folder else made_torrent(origin))
    with LoopbackServer(Everywhere(Resource(body=ANSWER))) as tracker:
        url = tracker.url("/announce?passkey=SECRET")
        result = fetch(str(torrent), tmp_path / "target", timeout=2.0, **{**ALONE, "trackers": (url,)})
    failed(result, SwarmFault, 4, "no peer has it", "its tracker failed: ", "[31mnot registered);")
    assert "SECRET" not in str(result.error)
