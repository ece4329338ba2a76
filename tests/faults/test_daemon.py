"""A short round of the campaign that ``make kill9-daemon`` runs at length."""

from __future__ import annotations

from pathlib import Path

from tests.faults.kill9_daemon import campaign


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert campaign(2, 7, tmp_path) == []
