from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from thunderdl.core.explaining_swarms import SwarmState, explain_swarm
from thunderdl.model import PeerProgress, TrackerProgress


def peer(**more: Any) -> PeerProgress:
    plain = PeerProgress(
        peer_id=b"", client="c", address="192.0.2.1", port=1, progress=1.0, is_seed=True, am_choking=True,
        peer_choking=False, down_bytes_per_s=0, up_bytes_per_s=0,
    )  # fmt: skip
    return replace(plain, **more)


SEED, CHOKING = peer(), peer(peer_choking=True)
PART = peer(is_seed=False, progress=0.5)
FAILED = TrackerProgress(url="u", tier=0, fails=2, message="connection refused", next_announce_s=30.0)
WORKS = TrackerProgress(url="v", tier=0, is_working=True, seeders=0, leechers=1)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (SwarmState(is_checking=True), "compared with its hashes first"),
        (SwarmState(), "no peer yet: they are looked for"),
        (SwarmState(is_private=True), "no peer yet: it is private, and has no tracker"),
        (SwarmState(trackers=(FAILED,)), "no peer yet: its tracker failed: connection refused"),
        (SwarmState(trackers=(FAILED, FAILED)), "no peer yet: no tracker works, the first one: connection refused"),
        (SwarmState(trackers=(FAILED, WORKS)), "no peer yet: its tracker knows of nobody"),
        (SwarmState(trackers=(replace(WORKS, seeders=9),)), "those that its tracker knows do not answer"),
        (SwarmState(trackers=(TrackerProgress(url="u", tier=0, is_updating=True),)), "its tracker is asked"),
        (SwarmState(is_seeding=True), "shared, and nobody asks for it"),
        (SwarmState(is_seeding=True, peers=(PART,), up_bytes_per_s=2048.0), "shared"),
        (SwarmState(peers=(PART,), here=0.6), "nobody there has more than we have"),
        (SwarmState(peers=(PART,), here=0.6, rate_bytes_per_s=5.0), "no seed is there"),
        (SwarmState(peers=(CHOKING, CHOKING)), "all peers choke us"),
        (SwarmState(peers=(CHOKING, CHOKING, SEED), rate_bytes_per_s=5.0), "most peers choke us"),
        (SwarmState(peers=(SEED,), is_limited=True, rate_bytes_per_s=5.0), "a limit holds it back"),
        (SwarmState(peers=(SEED,)), "connected, and nothing has come yet"),
        (SwarmState(peers=(SEED,), rate_bytes_per_s=5.0), "peers bring what they can"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_said_of_a_swarm(state: SwarmState, why: str) -> None:
    reason = explain_swarm(state)
    assert why in reason.why
    assert reason.told.startswith(reason.why)
    assert not re.search(r"[.\n]$", reason.told)


def test_the_numbers_of_the_moment_stand_behind_it() -> None:
    assert explain_swarm(SwarmState(trackers=(FAILED,))).told.endswith("(asked again in 30.0 s)")
    assert explain_swarm(SwarmState(peers=(SEED, PART), rate_bytes_per_s=2048.0)).told.endswith("2.00 KiB/s)")
