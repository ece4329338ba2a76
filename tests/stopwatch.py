"""Upper bounds of time that hold on a machine which others use, too."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

# https://docs.kernel.org/accounting/psi.html: microseconds in which somebody waited for a core.
_PRESSURE = Path("/proc/pressure/cpu")


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._began, self._stalled = time.monotonic(), _stalled_s()

    @property
    def wall_s(self) -> float:
        """What the clock on the wall says, for lower bounds."""
        return time.monotonic() - self._began

    @property
    def took_s(self) -> float:
        """The same less the time in which somebody waited for a core, for upper bounds: on a quiet machine nothing, on
        a crowded one it may be all of it."""
        return self.wall_s - (_stalled_s() - self._stalled)


def _stalled_s() -> float:
    with contextlib.suppress(OSError):
        if (found := re.search(r"some .*total=(\d+)", _PRESSURE.read_text())) is not None:
            return int(found[1]) / 1e6
    return 0.0
