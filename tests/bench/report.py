"""The table, the goals and the plot, made from the outcomes. Holds no host name and no local path."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.bed import MIB
from tests.bench.measure import Cost
from tests.bench.rows import FEW_URLS, MANY_URLS, Outcome, Row
from tests.bench.special import HugeFile
from tests.bench.tools import TOOLS

BASELINE = "aria2c"


@dataclass(slots=True, kw_only=True)
class Findings:
    """All that one run of the benchmark found."""

    size_bytes: int
    runs: int
    rows: list[tuple[Row, list[Outcome]]] = field(default_factory=list)
    huge: list[HugeFile] = field(default_factory=list)
    import_s: float | None = None

    def cost(self, key: str, tool: str) -> Cost | None:
        """The cost of a tool in a row, None where it was not run or failed."""
        return next((o.cost for row, outcomes in self.rows for o in outcomes if (row.key, o.tool) == (key, tool)), None)

    def huge_of(self, tool: str) -> HugeFile | None:
        return next((huge for huge in self.huge if huge.tool == tool and not huge.note), None)


def markdown(found: Findings) -> str:
    """The whole report."""
    parts = [
        "# Benchmark",
        "Made by `make bench`. A tool's figures are medians of its runs; the tools run in turn, so that a slow "
        "moment of the machine meets all of them. Whole processes: wall, user and system time, peak memory "
        "(anything below about 9 MB is that of the process that starts them). Ratios are to aria2c in the same table.",
        _machine(found),
        _goals(found),
        *(_row_table(row, outcomes, found) for row, outcomes in found.rows),
        _huge_table(found),
        "![Wall time of each tool](bench.png)",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(found: Findings) -> str:
    tools = dict.fromkeys(outcome.tool for _, outcomes in found.rows for outcome in outcomes)
    versions = [
        f"{name}: {TOOLS[name].version_line()}" for name in tools if not TOOLS[name].absent() and name != "bare"
    ]
    kernel = ".".join(platform.release().split(".")[:2])
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    facts = [
        f"{os.cpu_count()} × {processor()}, {memory_gb:.0f} GB, {platform.system()} {kernel}, "
        f"Python {platform.python_version()}",
        f"nginx on loopback shares these cores; files are read from and written to memory; "
        f"one file means {found.size_bytes / MIB:,.0f} MiB; {found.runs} runs",
        *versions,
        "bare: threads, `recv_into`, `pwrite`, no checks: what Python can do at most",
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@dataclass(frozen=True, slots=True)
class Goal:
    text: str
    limit: float
    unit: str
    value: Callable[[Findings], float | None]


def _ratio(figure: Callable[[Cost], float], ours: str, key: str, theirs: str) -> Callable[[Findings], float | None]:
    def value(found: Findings) -> float | None:
        mine, other = found.cost(ours, "thunderdl"), found.cost(key, theirs)
        return figure(mine) / figure(other) if mine and other else None

    return value


def _wall(cost: Cost) -> float:
    return cost.wall_s


def _cpu(cost: Cost) -> float:
    return cost.cpu_s


def _cold_s(found: Findings) -> float | None:
    cost = found.cost("cold", "thunderdl")
    return cost.wall_s if cost else None


def _peak_mb(found: Findings) -> float | None:
    cost = found.cost("lanes16", "thunderdl")
    return cost.peak_bytes / 1e6 if cost else None


def _bytes_a_url(found: Findings, tool: str = "thunderdl") -> float | None:
    few, many = found.cost("urls-few", tool), found.cost("urls-many", tool)
    return (many.peak_bytes - few.peak_bytes) / (MANY_URLS - FEW_URLS) if few and many else None


def _of_huge(figure: Callable[[HugeFile], float]) -> Callable[[Findings], float | None]:
    def value(found: Findings) -> float | None:
        huge = found.huge_of("thunderdl")
        return figure(huge) if huge else None

    return value


GOALS = (
    Goal("plain HTTP, wall, of aria2c", 0.6, "", _ratio(_wall, "plain", "plain", BASELINE)),
    Goal("plain HTTP, CPU, of aria2c", 0.8, "", _ratio(_cpu, "plain", "plain", BASELINE)),
    Goal("plain HTTP, wall, of the bare program", 1.25, "", _ratio(_wall, "plain", "plain", "bare")),
    Goal("TLS, wall, of aria2c", 0.95, "", _ratio(_wall, "tls", "tls", BASELINE)),
    Goal("SHA-256 checked, wall, of aria2c", 0.6, "", _ratio(_wall, "checksum", "checksum", BASELINE)),
    Goal("with the content key, wall, of the bare program", 1.7, "", _ratio(_wall, "key", "plain", "bare")),
    Goal("100 KB, cold start", 0.2, " s", _cold_s),
    Goal("of which imports", 0.12, " s", lambda found: found.import_s),
    Goal("20,000 files of 50 KB, wall, of aria2c", 1.5, "", _ratio(_wall, "many", "many", BASELINE)),
    Goal("memory of a waiting URL", 1000, " bytes", _bytes_a_url),
    Goal("peak memory with 16 connections", 80, " MB", _peak_mb),
    Goal("1 TB file: journal after 1 GiB", 8000, " KB", _of_huge(lambda huge: huge.journal_bytes / 1e3)),
    Goal("1 TB file: start", 1, " s", _of_huge(lambda huge: huge.start_s)),
    Goal("1 TB file: resume", 1, " s", _of_huge(lambda huge: huge.resume_s)),
)


def _goals(found: Findings) -> str:
    measured = [(goal, value) for goal in GOALS if (value := goal.value(found)) is not None]
    if not measured:
        return ""
    lines = [
        f"| {goal.text} | ≤ {goal.limit:g}{goal.unit} | {_short(value)}{goal.unit} | "
        f"{'met' if value <= goal.limit else '**missed**'} |"
        for goal, value in measured
    ]
    return "\n".join(["## Goals", "", "| thunderdl | goal | measured | |", "| --- | --- | --- | --- |", *lines])


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _row_table(row: Row, outcomes: Sequence[Outcome], found: Findings) -> str:
    base = found.cost(row.key, BASELINE) or (found.cost("plain", BASELINE) if row.key == "key" else None)
    lines = [_row_line(outcome, base) for outcome in outcomes]
    head = "| | wall s | of aria2c | user s | system s | CPU of aria2c | peak MB |"
    note = _row_note(row, found)
    table = "\n".join([f"## {row.title}", "", head, "| --- |" + " ---: |" * 6, *lines])
    return f"{table}\n\n{note}" if note else table


def _row_line(outcome: Outcome, base: Cost | None) -> str:
    cost = outcome.cost
    if cost is None:
        return f"| {outcome.tool} | {outcome.note.replace('|', '/')} | | | | | |"
    wall = f"{cost.wall_s / base.wall_s:.2f}" if base else ""
    cpu = f"{cost.cpu_s / base.cpu_s:.2f}" if base and base.cpu_s else ""
    times = f"{cost.wall_s:.3f} | {wall} | {cost.user_s:.2f} | {cost.system_s:.2f} | {cpu}"
    return f"| {outcome.tool} | {times} | {cost.peak_bytes / 1e6:.1f} |"


def _row_note(row: Row, found: Findings) -> str:
    if row.key == "key":
        return "Ratios to aria2c without any check, of the first table."
    if row.key == "cold" and found.import_s is not None:
        return f"Imports of thunderdl by `-X importtime`, beyond those of Python itself: {found.import_s:.3f} s."
    if row.key == "urls-many":
        each = [(name, _bytes_a_url(found, name)) for name in row.tools]
        told = [f"{name} {value:,.0f}" for name, value in each if value is not None]
        return f"Bytes of memory for each further URL: {', '.join(told)}." if told else ""
    return ""


def _huge_table(found: Findings) -> str:
    if not found.huge:
        return ""
    lines = [_huge_line(huge) for huge in found.huge]
    head = "| | start s | resume s | journal KB | kept MiB | fetched again MiB |"
    text = (
        "A server generates the bytes; the download is killed (SIGKILL) after 1 GiB and begun again. Start and "
        "resume: until the first MiB moves. Fetched again: with what was in flight in the sockets."
    )
    return "\n".join(["## A file of 1 TB, 4 connections", "", text, "", head, "| --- |" + " ---: |" * 5, *lines])


def _huge_line(huge: HugeFile) -> str:
    if huge.note:
        return f"| {huge.tool} | {huge.note} | | | | |"
    sizes = f"{huge.journal_bytes / 1e3:,.1f} | {huge.kept_bytes / MIB:,.0f} | {huge.refetched_bytes / MIB:,.0f}"
    return f"| {huge.tool} | {huge.start_s:.3f} | {huge.resume_s:.3f} | {sizes} |"
