"""What an input list may set for one file, by aria2's names or by ours, and what it may not.

A list often comes from elsewhere. So those options alone are taken that name, check and reach one file: never one
that runs something, replaces a file or holds for the whole session; and through a pipe no folder outside of ``--dir``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from thunderdl.errors import UsageError, printable
from thunderdl.formats.input_lists import Shape
from thunderdl.option_texts import parse_value
from thunderdl.options import Kind, Options, Row, table

#: Fields of Options that a list may set.
ALLOWED = (
    "dir", "out", "checksum", "headers", "user_agent", "timeout", "retries", "proxy", "task_limit", "priority",
    "follow", "files", "key", "sequential", "verify_resumed", "ratio", "seed_time", "remote_time", "xattr",
)  # fmt: skip
_OTHER_NAMES = {"header": "headers", "referer": "headers", "limit": "task_limit"}
# aria2's units and meanings where they differ: minutes; tries, of which the first is no retry, and 0 for no end.
_AS_OURS: Mapping[str, Callable[[str], str]] = {
    "seed-time": lambda text: f"{text}m",
    "max-tries": lambda text: "999999" if text == "0" else str(max(int(text) - 1, 0)) if text.isdecimal() else text,
    "referer": lambda text: f"Referer: {text}",
}
# Settings of one file beyond this are rubbish, or an attempt to fill memory.
MOST_SETTINGS = 256

Settings = Sequence[tuple[str, str]]


class ListSettings:
    """Makes the options of one file from those of the run. ``note``: told once of each name that is passed over;
    ``inside``: whether folders must lie inside ``options.dir``."""

    def __init__(self, options: Options, note: Callable[[str], None], *, inside: bool = False) -> None:
        self._options, self._note, self._inside = options, note, inside
        self._rows = _rows()
        self._told: set[str] = set()

    def check(self, shapes: Sequence[tuple[str, Shape]]) -> None:
        """Raise UsageError for a value of JSON that its option cannot have: of a list for ``out`` the last would count
        in silence, and an object would be saved as ``key: value``."""
        for name, shape in shapes:
            row = self._rows.get(name)
            wanted = _wanted(row, name, shape) if row is not None else ""
            if wanted:
                raise UsageError(f"{printable(name)[:60]!r} is {shape.value}; write {wanted}.")

    def options(self, settings: Settings, where: str) -> Options | None:
        """The options, None where nothing differs. Raises UsageError for a value that is none."""
        changes: dict[str, object] = {}
        headers: list[tuple[str, str]] = []
        for row, _, value in self._judged(settings, where):
            if row.kind is Kind.HEADER:
                headers.append(value)  # type: ignore[arg-type]  # parse_value gives a pair for it
            else:
                changes[row.name] = value
        if headers:
            changes["headers"] = (*self._options.headers, *headers)
        return replace(self._options, **changes) if changes else None  # type: ignore[arg-type]  # typed by the rows

    def texts(self, settings: Settings, where: str) -> dict[str, str | list[str]]:
        """The same as the daemon takes them: by our names, as texts, folders absolute but below one that is not known
        here. Raises UsageError."""
        texts: dict[str, str | list[str]] = {}
        headers: list[str] = []
        for row, text, value in self._judged(settings, where):
            if row.kind is Kind.HEADER:
                headers.append(text)
            elif row.name == "dir":
                is_relative = self._inside and not self._options.dir
                texts["dir"] = str(value) if is_relative else os.path.abspath(str(value))
            else:
                texts[row.name] = str(value) if row.name == "out" else text
        return {**texts, "headers": headers} if headers else texts

    def _judged(self, settings: Settings, where: str) -> Iterator[tuple[Row, str, object]]:
        """Each with its text in our units and meaning, and its value."""
        for name, text in settings:
            row = self._rows.get(name)
            if row is None:
                self._pass_over(name, where)
                continue
            ours = _AS_OURS[name](text) if name in _AS_OURS else text
            yield row, ours, self._value(row, name, ours)

    def _pass_over(self, name: str, where: str) -> None:
        if name not in self._told and len(self._told) < MOST_SETTINGS:
            self._told.add(name)
            self._note(f"{where}: {printable(name)[:60]!r} is nothing that a list sets for a file; it is passed over.")

    def _value(self, row: Row, name: str, text: str) -> object:
        from thunderdl.storage.paths import user_name

        if row.kind is Kind.DIGEST:
            from thunderdl.formats.hashes import parse_checksum

            return parse_checksum(text)
        if row.name == "out":
            return user_name(text)
        try:
            value = parse_value(row, text)
        except ValueError as error:
            # As for flags: a header or a proxy's URL may be a secret.
            shown = "" if row.kind in (Kind.HEADER, Kind.URL) else f"{printable(text)[:80]!r}: "
            raise UsageError(f"{name}: {shown}{error}.") from None
        return self._folder(text) if row.name == "dir" else value

    def _folder(self, text: str) -> str:
        if not self._inside:
            return os.path.expanduser(text)
        if text.startswith(("/", "~")) or ".." in re.split(r"[/\\]", text):
            raise UsageError(f"dir: {printable(text)[:80]!r} leads out of the folder, and the list comes from a pipe.")
        return os.path.join(self._options.dir, text)


def _wanted(row: Row, name: str, shape: Shape) -> str:
    """What is to be written instead; empty where the option can have that."""
    if row.kind is Kind.SWITCH:
        return "" if shape is Shape.TRUTH else "true or false"
    if row.kind is not Kind.HEADER:
        return "one value"
    # Headers alone may be given more than once for a file, and have a name each.
    if name == "referer":
        return "a text"
    return "" if shape in (Shape.LIST, Shape.OBJECT) else "an object or a list of texts"


def _rows() -> dict[str, Row]:
    rows = {row.name: row for row in table() if row.name in ALLOWED}
    named = {row.aria2: row for row in rows.values() if row.aria2}
    dashed = {name.replace("_", "-"): row for name, row in rows.items()}
    others = {name: rows[field] for name, field in _OTHER_NAMES.items()}
    return rows | dashed | named | others
