"""What is said of a finished file, as text. Pure; nothing from outside gets in unescaped, no credentials."""

from __future__ import annotations

from collections.abc import Iterator

from thunderdl.cli import exit_codes
from thunderdl.errors import DownloadFailed, InternalError, ThunderdlError, printable, shown_path, shown_url
from thunderdl.model import Result, SourceKind, Status
from thunderdl.quantities import duration, rate, size


def outcome(result: Result) -> str:
    """One line: ``saved PATH  256 MiB in 3.2 s (80 MiB/s), verified sha256``."""
    path = shown_path(result.path or "")
    match result.status:
        case Status.COMPLETE if result.error is None:
            return f"saved {path}  {_measures(result)}"
        case Status.SKIPPED:
            return f"skipped {path}  it exists already"
        case Status.CANCELLED:
            return f"stopped {shown_url(result.url)}"
    return f"failed {complaint(result.error)}"


def complaint(error: Exception | None) -> str:
    """The error as one sentence; one that is not ours is called a bug."""
    if error is None:
        return "for an unknown reason."
    if isinstance(error, ThunderdlError):
        # Reasons are the words of servers and libraries, which may repeat the URL as it was sent.
        return shown_url(str(error))
    return bug(error)


def bug(error: BaseException) -> str:
    """The sentence for an exception that should not have come this far."""
    return str(InternalError(error))


def remarks(result: Result) -> Iterator[str]:
    """What the user should know beside the outcome: what was thrown away, and why."""
    return (printable(note) for note in result.notes)


def details(result: Result) -> Iterator[str]:
    """For -v: each source with what it gave, each failed attempt."""
    whole = sum(source.bytes for source in result.sources) or 1
    for source in result.sources:
        wasted = f", {size(source.wasted_bytes)} wasted" if source.wasted_bytes else ""
        note = f": {printable(source.note)}" if source.note else ""
        share = f"{source.bytes / whole:.0%} of the bytes ({size(source.bytes)}){wasted}"
        yield f"{shown_url(source.url)}  {share}, in the end {source.state.value}{note}"
    if isinstance(result.error, DownloadFailed):
        yield from (f"attempt: {complaint(attempt)}" for attempt in result.error.attempts)
    if result.content_key is not None:
        yield f"content key {result.content_key}"


def json_line(result: Result) -> str:
    """The object of ``--json``, pure ASCII: control and bidi characters of names arrive as escapes."""
    import json  # 3 ms that only --json pays

    error = result.error
    return json.dumps(
        {
            "path": result.path and result.path.removeprefix("./"),
            "bytes": result.bytes,
            "seconds": round(result.seconds, 3),
            "status": result.status.value,
            "verified": list(result.verified),
            "wasted_bytes": result.wasted_bytes,
            "uploaded_bytes": result.uploaded_bytes,
            "sources": [{"url": shown_url(s.url), "kind": s.kind.value, "bytes": s.bytes} for s in result.sources],
            "error": error
            and {"code": exit_codes.of_error(error), "kind": type(error).__name__, "message": complaint(error)},
        }
    )


def shared(uploaded_bytes: int, of_bytes: int) -> str:
    """``12.0 MiB (ratio 0.50)``."""
    return f"{size(uploaded_bytes)} (ratio {uploaded_bytes / max(of_bytes, 1):.2f})"


def _measures(result: Result) -> str:
    fetched = max(result.bytes - result.resumed_bytes, 0)
    # Below a millisecond a rate says nothing.
    speed = f" ({rate(fetched / result.seconds)})" if result.seconds >= 0.001 and fetched else ""
    parts = [f"{size(result.bytes)} in {duration(result.seconds)}{speed}"]
    by_peers = sum(source.bytes for source in result.sources if source.kind is SourceKind.PEERS)
    if by_peers and fetched > by_peers:
        parts.append(f"{size(by_peers)} from peers, {size(fetched - by_peers)} from mirrors")
    elif by_peers:
        parts.append("from peers")
    if result.resumed_bytes:
        parts.append(f"{size(result.resumed_bytes)} were there")
    if result.wasted_bytes:
        parts.append(f"{size(result.wasted_bytes)} wasted")
    if result.uploaded_bytes:
        parts.append(f"shared {shared(result.uploaded_bytes, result.bytes)}")
    if result.verified:
        parts.append("verified " + ", ".join(digest.partition("=")[0] for digest in result.verified))
    return ", ".join(parts)
