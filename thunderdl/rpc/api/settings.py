"""The queue's settings as the API tells and takes them: texts, as in config.toml, under the names of the page."""

from __future__ import annotations

from typing import Any

from thunderdl.daemon.rules import Rules
from thunderdl.rpc.api.fields import ANYTHING, TEXT, Field, or_none, whole

Json = dict[str, Any]
_TEXTS = ("limit", "upload_limit", "task_limit", "ratio")
FIELDS = (
    Field("dir", TEXT, "Folder that is saved into, below one of the roots."),
    Field("categories", ANYTHING, "Folder of each category, relative ones below dir."),
    Field("active", whole(1, 1000), "How many run at once."),
    *(Field(name, or_none(TEXT), f"As the option {name}; null for none.") for name in _TEXTS),
    Field("hours", or_none(TEXT), "When downloads run, as 'mon-fri 22:00-06:00, sat-sun'; null for always."),
)


def settings_of(rules: Rules) -> Json:
    """What holds now."""
    options = rules.options
    told = {name: _text(getattr(options, name)) for name in _TEXTS}
    return {
        "dir": options.dir, "categories": dict(rules.categories), "active": options.jobs, **told,
        "roots": list(rules.roots), "hours": str(rules.hours) if rules.hours is not None else None,
    }  # fmt: skip


def changes_of(given: Json) -> dict[str, object]:
    """The same as the queue takes it: what was given only."""
    told = {{"active": "jobs"}.get(name, name): value for name, value in given.items()}
    return {name: str(value) if name == "jobs" else value for name, value in told.items()}


def _text(value: object) -> str | None:
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)
