"""The queue's settings as the API tells and takes them: texts, as in config.toml, under the names of the page."""

from __future__ import annotations

from typing import Any

from thunderdl.daemon.rules import Rules
from thunderdl.rpc.api.fields import TEXT, TEXT_TABLE, Field, or_none, table_rows, whole
from thunderdl.rpc.api.schedule import KEYS, MOST_ROWS, plain_limit, rate_text, rows_of, settings_from

Json = dict[str, Any]
_TEXTS = ("upload_limit", "task_limit", "ratio")
FIELDS = (
    Field("dir", TEXT, "Folder that is saved into, below one of the roots."),
    Field("categories", TEXT_TABLE, "Folder of each category, relative ones below dir."),
    Field("active", whole(1, 1000), "How many run at once."),
    Field("limit", or_none(TEXT), "Most bytes a second, as 2M, outside of the schedule's hours; null for none."),
    *(Field(name, or_none(TEXT), f"As the option {name}; null for none.") for name in _TEXTS),
    Field("hours", or_none(TEXT), "When downloads run, as 'mon-fri 22:00-06:00, sat-sun'; null for always."),
    Field("schedule", table_rows(KEYS, MOST_ROWS), "What holds when: pause, or a limit, as 500K."),
)


def settings_of(rules: Rules) -> Json:
    """What holds now."""
    options = rules.options
    return {
        "dir": options.dir, "categories": dict(rules.categories), "active": options.jobs,
        "limit": plain_limit(options.limit), **{name: limit_text(getattr(options, name)) for name in _TEXTS},
        "roots": list(rules.roots), "hours": str(rules.hours) if rules.hours is not None else None,
        "schedule": rows_of(rules.hours, options.limit),
    }  # fmt: skip


def changes_of(rules: Rules, given: Json) -> dict[str, object]:
    """What was given as the queue takes it. Raises UsageError."""
    changes = {"jobs" if name == "active" else name: value for name, value in given.items() if name != "schedule"}
    if "jobs" in changes:
        changes["jobs"] = str(changes["jobs"])
    limit, now = changes.get("limit", plain_limit(rules.options.limit)), rows_of(rules.hours, rules.options.limit)
    if "schedule" in given:
        hours, changes["limit"] = settings_from(given["schedule"], limit)
        changes.setdefault("hours", hours)
    elif "limit" in changes and "=" not in (limit or ""):
        # The hours of the schedule stay; a limit by the clock, as the option takes it, is one of its own.
        changes["limit"] = settings_from(now, limit).limit
    return changes


def limit_text(value: object) -> str | None:
    """As people write it; None for none."""
    if isinstance(value, int):
        return rate_text(value)
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)
