"""What every test of the engine takes for granted: no proxy of the machine's, no netrc of the user's, quick looks."""

from __future__ import annotations

import pytest

from thunderdl import task
from thunderdl.engine import driver, single

QUICK_S = 0.01


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent/netrc")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions and progress are looked at more often, so that what waits for them takes milliseconds."""
    monkeypatch.setattr(task, "PROGRESS_S", QUICK_S)
    monkeypatch.setattr(driver, "TICK_S", QUICK_S)
    monkeypatch.setattr(single, "POLL_S", QUICK_S)
