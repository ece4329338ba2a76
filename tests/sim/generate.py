"""Random worlds, each from its seed alone."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from tests.sim.script import FOREVER, HOST_LANES, Script, SourceScript, Span

MIN_RATE, MAX_RATE = 10e3, 1e9
MIN_RTT_S, MAX_RTT_S = 0.001, 0.5
# Faults begin before this share of the ideal time: who is a moment late for a source that leaves just before the
# end is late by all that it brought, whatever it does.
LATEST = 0.8
PIECES = 2000
MIN_ALIGN, MAX_ALIGN = 256 * 1024, 16 * 1024 * 1024


def random_script(seed: int) -> Script:
    """The world of this seed: 1-32 sources, whose ideal takes at least 10 s."""
    rng = random.Random(seed)
    count = min(32, int(math.exp(rng.uniform(0, math.log(33)))))
    target_s = 10 * math.exp(rng.uniform(0, math.log(6)))
    centre = _log_uniform(rng, MIN_RATE, MAX_RATE)
    alike = rng.random() < 0.5
    calm = rng.random() < 0.3
    sources = []
    for number in range(1, count + 1):
        rate = _log_uniform(rng, MIN_RATE, MAX_RATE)
        if alike:
            rate = min(MAX_RATE, max(MIN_RATE, centre * 10 ** rng.uniform(-0.7, 0.7)))
        source = SourceScript(
            id=number, host=f"host{number}", rtt_s=_log_uniform(rng, MIN_RTT_S, MAX_RTT_S), rates=((0.0, rate),)
        )
        sources.append(source if calm else _troubled(rng, source, rate, target_s, lasting=number == 1))
    script = Script(sources=tuple(sources), size=0, align=MIN_ALIGN, seed=seed)
    # A world that is dark for most of the time asked for goes on until there is a file worth the name.
    while (size := script.volume(target_s)) < 64 * 1024 or target_s < 10:
        target_s *= 1.5
    return replace(script, size=size, align=_align(size))


def _align(size: int) -> int:
    align = MIN_ALIGN
    while align < MAX_ALIGN and align * PIECES < size:
        align *= 2
    return align


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _troubled(rng: random.Random, source: SourceScript, rate: float, span_s: float, *, lasting: bool) -> SourceScript:
    """``source`` with its faults; a ``lasting`` one does not go for good."""
    source = _limited(rng, _varied(rng, source, rate, span_s), rate)
    if rng.random() < 0.1:
        source = replace(source, dark=(_spell(rng, span_s, 20.0),))
    if rng.random() < 0.12:
        died = _spell(rng, span_s, 15.0)
        if not lasting and rng.random() < 0.5:
            died = Span(died.start)
        source = replace(source, dead=(died,))
    elif rng.random() < 0.06:
        spell, wait = _spell(rng, span_s, 5.0), rng.choice((None, 1.0, 3.0))
        if wait is not None:
            # A server that says so is right: whoever obeys Retry-After cannot be back before it has passed.
            spell = Span(spell.start, spell.start + wait * math.ceil((spell.end - spell.start) / wait))
        source = replace(source, busy=(spell,))
        source = replace(source, retry_after_s=wait)
    if not lasting and rng.random() < 0.05:
        source = replace(source, corrupt=rng.choice((0.01, 0.2, 1.0)))
    if rng.random() < 0.05:
        source = replace(source, opens_after_s=rng.uniform(0, span_s / 2))
    return source


def _spell(rng: random.Random, span_s: float, most_s: float) -> Span:
    start = rng.uniform(0.5, LATEST * span_s)
    return Span(start, start + rng.uniform(1.0, most_s))


def _varied(rng: random.Random, source: SourceScript, rate: float, span_s: float) -> SourceScript:
    kind = rng.random()
    rates = [(0.0, rate)]
    if kind < 0.3:
        for _ in range(rng.randint(1, 3)):
            rates.append((rng.uniform(0, LATEST * span_s), min(MAX_RATE, rate * 10 ** rng.uniform(-1.7, 0.5))))
    elif kind < 0.5:
        rates += [(0.5 * n, rate * rng.uniform(0.7, 1.3)) for n in range(1, int(2 * span_s))]
    return replace(source, rates=tuple(sorted(rates)))


def _limited(rng: random.Random, source: SourceScript, rate: float) -> SourceScript:
    lane_limit, most, answer = FOREVER, HOST_LANES, FOREVER
    if rng.random() < 0.15:
        lane_limit = rate / rng.uniform(2, 12)
    if rng.random() < 0.1:
        most = rng.randint(1, 8)
    if rng.random() < 0.03:
        answer = max(rate, 1024 * 1024.0)
    return replace(source, lane_limit=lane_limit, max_connections=most, answer_bytes=answer)
