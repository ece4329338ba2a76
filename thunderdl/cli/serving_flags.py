"""The flags of ``thunderdl daemon`` that no download has, which may stand in config.toml, too: ``[daemon]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from thunderdl.cli.grammar import Flag, Takes
from thunderdl.errors import UsageError, printable, shown_url

TABLE = "daemon"
# By what happens to a task; see daemon/events.py.
HOOKED = ("started", "paused", "stopped", "shared", "completed", "failed")
SERVING = (
    Flag("state", ("--state",), Takes.VALUE, "Folder of the queue, the secret and kept documents.", "DIR"),
    Flag("listen", ("--listen",), Takes.VALUES, "Where to listen [default: 127.0.0.1:6800]; may be repeated.",
         "HOST:PORT"),
    Flag("roots", ("--root",), Takes.VALUES, "Folder that tasks may be saved below, beside --dir.", "DIR"),
    Flag("secret_file", ("--secret-file",), Takes.VALUE, "File whose first line is the secret that clients need.",
         "FILE"),
    Flag("host_names", ("--host-name",), Takes.VALUES, "Name by which the daemon may be called.", "NAME"),
    Flag("watched", ("--watch",), Takes.VALUES, "Folder whose .torrent, .meta4, .magnet files are queued.", "DIR"),
    *(Flag(f"on_{what}", (f"--on-{what}",), Takes.VALUE, f"Program to run on tasks that are {what}; no shell.",
           "COMMAND") for what in HOOKED),
    Flag("webhook", ("--webhook",), Takes.VALUE, "Address to tell the same, by POST.", "URL"),
    Flag("origins", ("--allow-origin",), Takes.VALUES, "Web page of another origin that may ask; * for any.", "ORIGIN"),
)  # fmt: skip

Values = Mapping[str, "str | tuple[str, ...]"]


def values_of(file: Mapping[str, object], file_name: str) -> Values:
    """What the table ``[daemon]`` of config.toml says, by name, as the flags would. Raises UsageError that names file
    and key."""
    given = file.get(TABLE, {})
    if not isinstance(given, Mapping):
        raise UsageError(f"{printable(file_name)}: {TABLE}: a table, [{TABLE}], is expected.")
    flags = {flag.name: flag for flag in SERVING}
    return {name: _value(flags, name, value, file_name) for name, value in given.items()}


def _value(flags: Mapping[str, Flag], name: str, value: object, file_name: str) -> str | tuple[str, ...]:
    where = f"{printable(file_name)}: {TABLE}.{printable(name)}"
    flag = flags.get(name)
    if flag is None:
        raise UsageError(f"{where}: no such key; there are {', '.join(flags)}.")
    if flag.takes is Takes.VALUE and isinstance(value, str):
        return value
    if flag.takes is Takes.VALUES:
        lines = [value] if isinstance(value, str) else value
        if isinstance(lines, Sequence) and all(isinstance(line, str) for line in lines):
            return tuple(lines)
    expected = "text" if flag.takes is Takes.VALUE else "a list of texts"
    raise UsageError(f"{where}: {expected} is expected.")


def shown(values: Values, file_name: str) -> Iterator[tuple[str, str, str]]:
    """Name, value and origin of each that is given, for people: what an address may hold of secrets is left out."""
    for name, value in values.items():
        texts = (value,) if isinstance(value, str) else value
        if name == "webhook":
            texts = tuple(shown_url(text).partition("?")[0] for text in texts)
        yield f"{TABLE}.{name}", printable(", ".join(texts)) or "–", f"{printable(file_name)}: {TABLE}.{name}"
