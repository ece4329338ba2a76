"""A client that downloads nothing: it hands out scripted snapshots and results."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field

from thunderdl.errors import Cancelled
from thunderdl.model import Explanation, Progress, Result, SourceProgress, SourceState, Status
from thunderdl.options import Options

MIB = 1024 * 1024
# ESC, C1, CR, BS, bidi override, zero width, rich markup, percent and brace formats (bad-inputs T1, T2, T6, T8).
NAUGHTY = "a\x1b[31m\x9b2J\r\x08\u202egpj.exe\u200b[red]x[/red][/blue][link=http://e]%s %n {0}\x07.bin"


@dataclass(frozen=True)
class FakeRequest:
    url: str
    mirrors: tuple[str, ...] = ()
    options: Options | None = None


@dataclass
class FakeTask:
    snapshot: Progress
    cancelled: bool = False
    reasons: tuple[Explanation, ...] = ()

    def progress(self) -> Progress:
        return self.snapshot

    def explanations(self) -> Sequence[Explanation]:
        return self.reasons

    def cancel(self) -> None:
        self.cancelled = True

    __hash__ = object.__hash__


@dataclass
class FakeTotals:
    files_done: int = 0
    files_failed: int = 0
    bytes_done: int = 0
    rate_bytes_per_s: float = 0.0


@dataclass
class FakeClient:
    """``results``: what each URL ends with; any other URL is saved as its last part."""

    results: dict[str, Result] = field(default_factory=dict)
    active: list[FakeTask] = field(default_factory=list)
    counted: FakeTotals = field(default_factory=FakeTotals)
    asked: list[FakeRequest] = field(default_factory=list)

    async def run(self, requests: AsyncIterable[FakeRequest]) -> AsyncIterator[Result]:
        async for request in requests:
            self.asked.append(request)
            self.active = [FakeTask(progress(name=request.url))]
            result = self.results.get(request.url) or saved(request.url)
            if self.active[0].cancelled:
                result = stopped(request.url)
            self.active = []
            yield result

    def stop(self) -> None:
        for task in self.active:
            task.cancel()

    def tasks(self) -> Sequence[FakeTask]:
        return tuple(self.active)

    def totals(self) -> FakeTotals:
        return self.counted


def saved(url: str, path: str = "", **more: object) -> Result:
    facts: dict[str, object] = {"bytes": 256 * MIB, "seconds": 3.2, "status": Status.COMPLETE} | more
    return Result(url=url, path=path or url.rpartition("/")[2], **facts)  # type: ignore[arg-type]


def failed(url: str, error: Exception) -> Result:
    return Result(url=url, path=None, bytes=0, seconds=0.1, status=Status.FAILED, error=error)


def stopped(url: str) -> Result:
    return Result(url=url, path=None, bytes=0, seconds=0.1, status=Status.CANCELLED, error=Cancelled())


def progress(name: str = "file.iso", **more: object) -> Progress:
    """Half-way through 256 MiB, four sources in different states."""
    cells = bytes([255] * 90 + [200, 120, 30] + [0] * 40 + [255] * 30 + [90] + [0] * 92)
    facts: dict[str, object] = {
        "status": Status.ACTIVE,
        "size_bytes": 256 * MIB,
        "done_bytes": 120 * MIB,
        "rate_bytes_per_s": 84.3 * MIB,
        "eta_s": 1.6,
        "piece_map": cells,
        "sources": (
            source(1, bytes=70 * MIB, rate_bytes_per_s=52.1 * MIB, lanes=4),
            source(2, bytes=34 * MIB, rate_bytes_per_s=25.0 * MIB, lanes=2),
            source(3, bytes=12 * MIB, state=SourceState.BANNED, note="wrong bytes in piece 17"),
            source(4, bytes=4 * MIB, state=SourceState.BACKING_OFF, note="connection lost; again in 4 s", lanes=0),
        ),
    } | more
    return Progress(name=name, **facts)  # type: ignore[arg-type]


def source(number: int, **more: object) -> SourceProgress:
    return SourceProgress(url=f"http://mirror{number}.example.org/pub/file.iso", **more)  # type: ignore[arg-type]
