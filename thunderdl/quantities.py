"""Numbers as people read them: sizes, rates, durations. Pure; binary units everywhere, as IEC writes them."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(amount_bytes: float) -> str:
    """Three figures and a unit: ``512 B``, ``1.50 KiB``, ``80.2 MiB``, ``256 MiB``."""
    value, unit = float(max(amount_bytes, 0)), 0
    # 999.5 would round to a fourth figure; the next unit shows it better.
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{value:.0f} B"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {_UNITS[unit]}"


def peers(count: int, seeds: int) -> str:
    """``1 peer, a seed``, ``3 peers, 2 of them seeds``."""
    if count == 1:
        return "1 peer, a seed" if seeds else "1 peer, not a seed"
    return f"{count} peers, {'1 of them a seed' if seeds == 1 else f'{seeds} of them seeds'}"


def rate(bytes_per_s: float) -> str:
    return f"{size(bytes_per_s)}/s"


def duration(seconds: float) -> str:
    """How long something took: ``0.31 s``, ``3.2 s``, ``2 min 05 s``, ``3 h 12 min``, ``2 d 04 h``."""
    seconds = max(seconds, 0.0)
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def clock(seconds: float | None) -> str:
    """Time left: ``0:07``, ``12:05``, ``3:12:05``, ``4 d``; ``-:--`` where no guess makes sense."""
    if seconds is None or not 0 <= seconds < 100 * 86400:
        return "-:--"
    whole = round(seconds)
    if whole >= 2 * 86400:
        return f"{whole // 86400} d"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def percent(done_bytes: int, size_bytes: int | None) -> str:
    """``62 %``, never ``100 %`` before the last byte; ``? %`` while the size is unknown."""
    if size_bytes is None:
        return "? %"
    return "100 %" if done_bytes >= size_bytes else f"{min(99, done_bytes * 100 // size_bytes)} %"
