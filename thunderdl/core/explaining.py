"""Why a source is used as it is, in plain words: from facts to a sentence. Pure; it decides nothing.

The reason stays in the same words for as long as it holds, so that a change can be seen; the numbers of the moment are
added to it. Texts from outside come in printable already.
"""

from __future__ import annotations

from dataclasses import dataclass

from thunderdl.model import SourceState
from thunderdl.quantities import duration, rate

# A source that brings less than this part of what the quickest brings is called slow.
SLOW_SHARE = 1 / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One source at one moment. Times are seconds from now, into the past or the future.

    ``share``: its part of all bytes so far; ``quickest_bytes_per_s``: what the best source brings; ``lanes``: its busy
    connections, ``most_lanes``: how many the options allow;
    ``lane_bound``: whether more of them brought more, None: not known; ``trying``: being found out; ``down_s``: for how
    long it has brought nothing but faults, ``retry_s``: when it is tried again; ``fault``: its last one, a clause;
    ``refused``: how it refused more connections, or empty; ``silent_s``: for how long no byte came, None: they come;
    ``has_work``: whether anything is missing that nobody fetches.
    """

    state: SourceState
    note: str = ""
    share: float = 0.0
    rate_bytes_per_s: float = 0.0
    quickest_bytes_per_s: float = 0.0
    lanes: int = 0
    most_lanes: int = 16
    random_access: bool = True
    lane_bound: bool | None = None
    trying: bool = False
    failures: int = 0
    down_s: float | None = None
    retry_s: float | None = None
    fault: str = ""
    refused: str = ""
    silent_s: float | None = None
    has_work: bool = True


@dataclass(frozen=True, slots=True)
class Reason:
    """``why``: the reason; ``told``: the same with the numbers of the moment."""

    why: str
    told: str


def explain(facts: Facts) -> Reason:
    """The reason of what is done with the source now."""
    match facts.state:
        case SourceState.OPENING:
            return _opening(facts)
        case SourceState.BANNED:
            return _reason(_because("banned, nothing more is taken from it", facts.note))
        case SourceState.GONE:
            return _reason(_because("not used", facts.note or facts.fault))
    if not facts.lanes and facts.failures:
        return _backing_off(facts)
    if facts.silent_s is not None:
        return _reason("silent: others fetch what it held until it gives a sign of life", duration(facts.silent_s))
    return _at_work(facts) if facts.lanes else _idle(facts)


def _opening(facts: Facts) -> Reason:
    if not facts.fault:
        return _reason("asked, and has not answered yet")
    return _reason(_because("could not be reached so far, and is asked again", facts.fault))


def _backing_off(facts: Facts) -> Reason:
    numbers = [_count(facts.failures, "fault") + " in a row"]
    if facts.down_s:
        numbers.append(f"nothing for {duration(facts.down_s)}")
    return _reason(_because("left alone for a while", facts.fault), *numbers, *_again(facts))


def _idle(facts: Facts) -> Reason:
    if facts.retry_s is not None and facts.retry_s > 0:
        return _reason("left alone for a while, as the server asks", *_again(facts))
    if not facts.random_access:
        return _reason("not used now: it sends no ranges, and the beginning is fetched elsewhere", _share(facts))
    if not facts.has_work:
        return _reason("has nothing to do: all that is missing is under way elsewhere", _share(facts))
    return _reason("waits: others bring what is left sooner", _share(facts))


def _at_work(facts: Facts) -> Reason:
    numbers = [_count(facts.lanes, "connection"), _share(facts), rate(facts.rate_bytes_per_s)]
    why = _why_so_many(facts)
    if facts.state is SourceState.PROBATION:
        why = _because("on probation, a piece at a time", facts.note or "some wrong bytes may be its")
    elif 0 < facts.rate_bytes_per_s < facts.quickest_bytes_per_s * SLOW_SHARE:
        why = f"slow, so it gets little; {why}"
        numbers.append(f"the quickest brings {rate(facts.quickest_bytes_per_s)}")
    elif facts.note:
        why = f"{why}; {facts.note}"
    return _reason(why, *numbers)


def _why_so_many(facts: Facts) -> str:
    """What the number of its connections follows from."""
    if not facts.random_access:
        return "one connection: it sends no ranges"
    if facts.refused and not facts.lane_bound:
        return f"no more connections: {facts.refused} to one more"
    if facts.lanes >= facts.most_lanes:
        return "no more connections: that is the most allowed"
    if facts.trying:
        return "tries whether more connections help"
    if facts.lane_bound is None:
        return "begins with a few connections"
    return "more connections helped" if facts.lane_bound else "no more connections: more did not help"


def _again(facts: Facts) -> list[str]:
    return [f"again in {duration(facts.retry_s)}"] if facts.retry_s is not None and facts.retry_s > 0 else []


def _because(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def _reason(why: str, *numbers: str) -> Reason:
    return Reason(why, f"{why} ({', '.join(numbers)})" if numbers else why)


def _share(facts: Facts) -> str:
    return f"{facts.share:.0%} of the bytes"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
