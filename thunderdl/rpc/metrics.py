"""The numbers over all as Prometheus reads them (its text format 0.0.4): few, and none for each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_GAUGES = (
    ("rate_bytes_per_s", "download_bytes_per_second", "What is fetched now."),
    ("upload_rate_bytes_per_s", "upload_bytes_per_second", "What peers have from us now."),
    ("free_bytes", "free_bytes", "Room in the folder that is saved into."),
)
_STATES = ("active", "waiting", "paused", "ended")


def metrics(stat: Mapping[str, Any], totals: Mapping[str, float], version: str) -> bytes:
    """``stat``: of :class:`thunderdl.rpc.api.live.Live`; ``totals``: counters since the daemon began, by name."""
    return "".join(f"{line}\n" for line in _lines(stat, totals, version)).encode()


def _lines(stat: Mapping[str, Any], totals: Mapping[str, float], version: str) -> Iterator[str]:
    yield from _head("info", "gauge", "Which daemon this is.")
    yield f'thunderdl_info{{version="{version}"}} 1'
    yield from _head("tasks", "gauge", "Tasks by where they stand.")
    yield from (f'thunderdl_tasks{{state="{state}"}} {stat[state]}' for state in _STATES)
    for key, name, text in _GAUGES:
        if stat[key] is not None:
            yield from _head(name, "gauge", text)
            yield f"thunderdl_{name} {stat[key]}"
    for name, value in totals.items():
        yield from _head(f"{name}_total", "counter", "Since the daemon began.")
        yield f"thunderdl_{name}_total {value:g}" if value < 1e6 else f"thunderdl_{name}_total {value:.0f}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP thunderdl_{name} {text}"
    yield f"# TYPE thunderdl_{name} {kind}"
