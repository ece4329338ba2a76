"""Another wish for a task that runs.

Invariant: all of it holds, or nothing."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.places import folder_of
from thunderdl.daemon.rules import Rules
from thunderdl.errors import UsageError
from thunderdl.options import table
from thunderdl.task import Task


def change_running(task: Task, rules: Rules, before: Wish, wish: Wish) -> None:
    """What can change while it runs changes at once, for the rest the task begins again. Raises UsageError."""
    old, new = (replace(rules.options_of(each), dir=folder_of(each, rules)) for each in (before, wish))
    names = [row.name for row in table() if getattr(old, row.name) != getattr(new, row.name)]
    task.change_options(**{name: getattr(new, name) for name in names})
    gone = [url for url in before.urls if url not in wish.urls]
    added = [url for url in wish.urls if url not in before.urls]
    try:
        if gone or added:
            task.change_urls(gone, added)
    except UsageError:
        task.change_options(**{name: getattr(old, name) for name in names})
        raise
