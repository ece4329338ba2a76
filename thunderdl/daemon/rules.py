"""What holds for the whole queue: settings that last, folders that may be written to, hours in which it runs. Pure.

Settings are kept as texts, as in config.toml, over those that the daemon was started with. Invariant: what can be set
from outside runs no program and names no file of this machine but folders below the roots (vulhub aria2/rce).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from thunderdl.daemon.jobs import Text, Wish
from thunderdl.errors import UsageError, printable
from thunderdl.option_values import with_texts
from thunderdl.options import Exists, Options, table
from thunderdl.timetable import Timetable, parse_hours

# Programs that would be run, and files of this machine that would be read, written, or sent.
NEVER_FROM_OUTSIDE = frozenset((
    "refresh_cmd", "trace", "password_file", "cert", "cert_key", "cert_password", "ca", "cookies",
    "cookies_from_browser", "keyring", "netrc", "piece_hashes", "signed_by",
))  # fmt: skip
# Text that names a document: by a URL only.
DOCUMENTS = frozenset(("torrent", "metalink", "mirror_list"))
_DEFAULT_RATIO = 1.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """``base``: the options that every task has that says nothing else; ``categories``: folder of each, relative ones
    below ``base.dir``; ``roots``: folders, absolute, below which files may be saved; ``hours``: None for always."""

    base: Options
    roots: tuple[str, ...]
    categories: Mapping[str, str] = field(default_factory=dict)
    hours: Timetable | None = None
    # The texts that were set, by name, over those that it was started with.
    texts: Mapping[str, Text] = field(default_factory=dict)
    # Options of another program's interface, as Wish.foreign has those of one task.
    foreign: Mapping[str, Text] = field(default_factory=dict)

    @cached_property
    def options(self) -> Options:
        """Those of a task without any of its own."""
        options = with_texts(self.base, self.texts)
        # Nobody is there to be asked; and who takes from peers gives back.
        if options.exists is Exists.REFUSE:
            options = replace(options, exists=Exists.RENAME)
        if options.ratio is None and options.seed_time is None:
            options = replace(options, ratio=_DEFAULT_RATIO)
        return options

    def options_of(self, wish: Wish) -> Options:
        """Those of a task, its folder not settled yet. Raises UsageError."""
        options = with_texts(self.options, wish.options)
        return replace(options, priority=wish.priority)

    def runs_at(self, second_of_week: float) -> bool:
        return self.hours is None or self.hours.rate_at(second_of_week) is not None


def checked_texts(texts: Mapping[str, Text], *, scope: str | None = None) -> Mapping[str, Text]:
    """Options as they come from outside. ``scope``: "task" for those of one task. Raises UsageError for what nobody
    may set from outside, and what does not parse."""
    rows = {row.name: row for row in table()}
    for name, text in texts.items():
        row = rows.get(name)
        if name in NEVER_FROM_OUTSIDE:
            raise UsageError(f"{name} cannot be set here; set it in config.toml and restart the daemon.")
        if row is not None and scope is not None and row.scope != scope:
            raise UsageError(f"{name} is set for all downloads; change it in the settings.")
        if name in DOCUMENTS and not _is_remote(text):
            raise UsageError(f"{name}: only a link can be named here, no file of the daemon's machine.")
        if name == "dir" and _CONTROL.search("".join(text)):
            raise UsageError("dir: it holds a control character.")
    with_texts(Options(), texts)
    return texts


def changed(rules: Rules, settings: Mapping[str, object]) -> Rules:
    """The rules with those settings; None takes a setting back. Raises UsageError."""
    texts = dict(rules.texts)
    for name, value in settings.items():
        if name == "categories":
            rules = replace(rules, categories=_categories(value))
        elif name == "hours":
            rules = replace(rules, hours=_hours(value))
        elif name == "foreign":
            rules = replace(rules, foreign=_foreign(value))
        elif value is None:
            texts.pop(name, None)
        elif isinstance(value, str):
            texts[name] = value
        elif isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            texts[name] = tuple(value)
        else:
            raise UsageError(f"{printable(name)[:60]}: a value of type {type(value).__name__} cannot be used here.")
    checked_texts({name: text for name, text in texts.items() if name in settings})
    changed_rules = replace(rules, texts=texts)
    _ = changed_rules.options
    return changed_rules


def stored(rules: Rules) -> dict[str, str]:
    """The settings as the database holds them: JSON by name."""
    told: dict[str, object] = {**rules.texts, "categories": dict(rules.categories)}
    told["foreign"] = dict(rules.foreign)
    told["hours"] = str(rules.hours) if rules.hours else None
    return {name: json.dumps(value) for name, value in told.items()}


def restored(rules: Rules, found: Mapping[str, str]) -> tuple[Rules, list[str]]:
    """The rules with what the database held, and a sentence for each setting that could not be used."""
    notes = []
    for name, value in found.items():
        try:
            rules = changed(rules, {name: json.loads(value)})
        except (UsageError, ValueError) as error:
            notes.append(f"the setting {printable(name)} is not used: {error}")
    return rules, notes


def _is_remote(text: Text) -> bool:
    texts = (text,) if isinstance(text, str) else text
    return all(each.lower().startswith(("http://", "https://", "ftp://", "ftps://", "magnet:")) for each in texts)


def _categories(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise UsageError("categories: not a table of names and folders.")
    if "" in value:
        # It would be the one of all tasks that have none.
        raise UsageError("categories: one has no name; give it one.")
    for part in (part for pair in value.items() for part in pair if _CONTROL.search(part)):
        raise UsageError(f"categories: {printable(part)[:60]!r} holds a control character.")
    return dict(value)


def _foreign(value: object) -> dict[str, Text]:
    if not isinstance(value, Mapping):
        raise UsageError("foreign: not a table of options.")
    return {str(name): tuple(map(str, text)) if isinstance(text, list | tuple) else str(text)
            for name, text in value.items()}  # fmt: skip


def _hours(value: object) -> Timetable | None:
    if value in (None, ""):
        return None
    try:
        return parse_hours(str(value))
    except ValueError as error:
        raise UsageError(f"hours: {error}.") from None
