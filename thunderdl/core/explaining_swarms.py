"""Why a swarm brings what it brings, in plain words: from facts to a sentence. Pure; it decides nothing.

As for single sources (:mod:`thunderdl.core.explaining`) the reason stays in the same words for as long as it holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from thunderdl.core.explaining import Reason
from thunderdl.model import PeerProgress, TrackerProgress
from thunderdl.quantities import duration, peers, rate


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmState:
    """A swarm at one moment. ``has_metadata``: whether the torrent itself is known; ``rate_bytes_per_s``: what peers
    bring; ``here``: the share of the torrent that is here; ``is_limited``: whether a limit of the user's holds;
    ``is_seeding``: all is here; ``is_private``: its own trackers alone tell of peers."""

    peers: tuple[PeerProgress, ...] = ()
    trackers: tuple[TrackerProgress, ...] = ()
    rate_bytes_per_s: float = 0.0
    up_bytes_per_s: float = 0.0
    here: float = 0.0
    is_checking: bool = False
    is_seeding: bool = False
    is_private: bool = False
    is_limited: bool = False


def explain_swarm(state: SwarmState) -> Reason:
    """The reason of what the swarm brings now."""
    if state.is_checking:
        return Reason(
            "what is there is compared with its hashes first", "what is there is compared with its hashes first"
        )
    if not state.peers:
        why = f"no peer yet: {_why_nobody(state)}" if not state.is_seeding else "shared, and nobody asks for it"
        return Reason(why, why + _next_announce(state.trackers))
    seeds = sum(peer.is_seed for peer in state.peers)
    if state.is_seeding:
        return _with("shared", peers(len(state.peers), seeds), rate(state.up_bytes_per_s))
    return _with(_why(state, seeds), peers(len(state.peers), seeds), rate(state.rate_bytes_per_s))


def _why(state: SwarmState, seeds: int) -> str:
    choking = sum(peer.peer_choking for peer in state.peers)
    if not seeds and max(peer.progress for peer in state.peers) <= state.here and not state.rate_bytes_per_s:
        return "nobody there has more than we have"
    if choking == len(state.peers):
        return "all peers choke us: they serve others first, and let new ones in in turn"
    if state.is_limited:
        return "a limit holds it back"
    if not state.rate_bytes_per_s:
        return "connected, and nothing has come yet"
    if not seeds:
        return "no seed is there: peers have parts of it, and bring what they have"
    if choking * 2 > len(state.peers):
        return "most peers choke us: they serve others first"
    return "peers bring what they can"


def _why_nobody(state: SwarmState) -> str:
    if any(each.is_working for each in state.trackers):
        known = max((each.seeders or 0) + (each.leechers or 0) for each in state.trackers)
        return "its tracker knows of nobody" if known <= 1 else "those that its tracker knows do not answer"
    if failed := why_no_tracker(state.trackers):
        return failed
    if any(each.is_updating for each in state.trackers):
        return "its tracker is asked"
    if state.is_private and not state.trackers:
        return "it is private, and has no tracker"
    return "they are looked for"


def why_no_tracker(trackers: tuple[TrackerProgress, ...]) -> str:
    """What the first said, where none works and one failed; else ""."""
    failed = [each for each in trackers if each.fails]
    if not failed or any(each.is_working for each in trackers):
        return ""
    said = failed[0].message or "no answer"
    return f"its tracker failed: {said}" if len(trackers) == 1 else f"no tracker works, the first one: {said}"


def _next_announce(trackers: tuple[TrackerProgress, ...]) -> str:
    due = [each.next_announce_s for each in trackers if each.next_announce_s is not None and not each.is_updating]
    return f" (asked again in {duration(min(due))})" if due else ""


def _with(why: str, *numbers: str) -> Reason:
    return Reason(why, f"{why} ({', '.join(numbers)})")
