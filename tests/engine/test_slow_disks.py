"""A disk that is slower than peers: what is called saved is written by then, what a state claims is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from tests.engine.test_collections import FILES, scene_of
from tests.servers.torrents import tree_of
from thunderdl.sources.swarm.collector import Collector
from thunderdl.storage.folders import PartFolder

SLOW_S = 0.3


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_folder_is_saved_once_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """libtorrent calls pieces finished before they are written: files came to lie where the folder had been."""
    scene, told = scene_of(tmp_path, kind), list[str]()
    hear, state, publish = Collector._hear, PartFolder.write_state, PartFolder.publish

    def heard(self: Collector, alert: object) -> None:
        if isinstance(alert, lt.cache_flushed_alert):
            asyncio.get_running_loop().call_later(SLOW_S, written, self, alert)
        else:
            hear(self, alert)

    def written(self: Collector, alert: object) -> None:
        told.append("written")
        hear(self, alert)

    def noted(self: PartFolder, *given: Any, **more: Any) -> None:
        told.append("state")
        state(self, *given, **more)

    def published(self: PartFolder, *given: Any) -> str:
        told.append("published")
        return publish(self, *given)

    monkeypatch.setattr(Collector, "_hear", heard)
    monkeypatch.setattr(PartFolder, "write_state", noted)
    monkeypatch.setattr(PartFolder, "publish", published)
    with scene.seeding() as seed:
        assert scene.fetch(seed).error is None
    assert told[0] == "written"
    # What comes after it is of a flush that libtorrent began by itself.
    assert "written" in told[told.index("state") : told.index("published")]
    assert tree_of(scene.target) == FILES
