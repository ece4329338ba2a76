"""A sentence for each case: what is done with a source, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thunderdl.core.explaining import Facts, explain
from thunderdl.model import SourceState

MIB = 1024 * 1024
BUSY = Facts(
    state=SourceState.ACTIVE, share=0.5, rate_bytes_per_s=8 * MIB, quickest_bytes_per_s=8 * MIB, lanes=4, most_lanes=16
)
DOWN = Facts(state=SourceState.BACKING_OFF, failures=3, down_s=2.1, retry_s=0.5, fault="connection refused")
NUMBERS = " (4 connections, 50% of the bytes, 8.00 MiB/s)"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (Facts(state=SourceState.OPENING), "asked, and has not answered yet"),
        (
            Facts(state=SourceState.OPENING, fault="timed out"),
            "could not be reached so far, and is asked again: timed out",
        ),
        (
            Facts(state=SourceState.BANNED, note="served wrong bytes again"),
            "banned, nothing more is taken from it: served wrong bytes again",
        ),
        (Facts(state=SourceState.GONE, fault="not found"), "not used: not found"),
        (Facts(state=SourceState.GONE, note="its file is another version"), "not used: its file is another version"),
        (DOWN, "left alone for a while: connection refused (3 faults in a row, nothing for 2.1 s, again in 0.50 s)"),
        (replace(DOWN, failures=1, down_s=None, retry_s=None, fault=""), "left alone for a while (1 fault in a row)"),
        (
            replace(DOWN, state=SourceState.ACTIVE, retry_s=-1.0, down_s=0.0),
            "left alone for a while: connection refused (3 faults in a row)",
        ),
        (
            replace(BUSY, silent_s=3.0),
            "silent: others fetch what it held until it gives a sign of life (3.0 s)",
        ),
        (BUSY, f"begins with a few connections{NUMBERS}"),
        (replace(BUSY, trying=True), f"tries whether more connections help{NUMBERS}"),
        (replace(BUSY, lane_bound=True), f"more connections helped{NUMBERS}"),
        (replace(BUSY, lane_bound=False), f"no more connections: more did not help{NUMBERS}"),
        (replace(BUSY, most_lanes=4), f"no more connections: that is the most allowed{NUMBERS}"),
        (
            replace(BUSY, refused="the server answered 429"),
            f"no more connections: the server answered 429 to one more{NUMBERS}",
        ),
        (replace(BUSY, refused="the server answered 503", lane_bound=True), f"more connections helped{NUMBERS}"),
        (
            replace(BUSY, random_access=False, lanes=1),
            "one connection: it sends no ranges (1 connection, 50% of the bytes, 8.00 MiB/s)",
        ),
        (
            replace(BUSY, quickest_bytes_per_s=100 * MIB),
            "slow, so it gets little; begins with a few connections "
            "(4 connections, 50% of the bytes, 8.00 MiB/s, the quickest brings 100 MiB/s)",
        ),
        (
            replace(BUSY, state=SourceState.PROBATION, note="served wrong bytes"),
            f"on probation, a piece at a time: served wrong bytes{NUMBERS}",
        ),
        (
            replace(BUSY, state=SourceState.PROBATION),
            f"on probation, a piece at a time: some wrong bytes may be its{NUMBERS}",
        ),
        (replace(BUSY, note="served wrong bytes"), f"begins with a few connections; served wrong bytes{NUMBERS}"),
        (replace(BUSY, lanes=0), "waits: others bring what is left sooner (50% of the bytes)"),
        (
            replace(BUSY, lanes=0, has_work=False),
            "has nothing to do: all that is missing is under way elsewhere (50% of the bytes)",
        ),
        (
            replace(BUSY, lanes=0, random_access=False),
            "not used now: it sends no ranges, and the beginning is fetched elsewhere (50% of the bytes)",
        ),
        (replace(BUSY, lanes=0, retry_s=2.0), "left alone for a while, as the server asks (again in 2.0 s)"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_each_case_has_its_sentence(facts: Facts, told: str) -> None:
    reason = explain(facts)
    assert reason.told == told
    assert reason.told.startswith(reason.why)


@pytest.mark.parametrize("facts", [BUSY, DOWN])
def test_the_reason_stays_while_numbers_change(facts: Facts) -> None:
    later = replace(facts, share=0.7, rate_bytes_per_s=9 * MIB, lanes=facts.lanes and 5, down_s=7.0, retry_s=0.2)
    assert explain(later).why == explain(facts).why
    assert explain(later).told != explain(facts).told
