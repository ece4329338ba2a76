"""Files of aria2 as text: its configuration, its input lists, which are also what ``--save-session`` writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from thunderdl.aria2.command_line import Options, put
from thunderdl.aria2.option import Form
from thunderdl.aria2.table import OPTIONS, SETTABLE
from thunderdl.formats.input_lists import ListedFile, ListedSetting, parse_line

#: Of one file, as for other lists: beyond that it is rubbish, or an attempt to fill memory.
MOST_SETTINGS = 256


class Read(NamedTuple):
    """``options``: by name, lists for what repeats; ``unknown``: lines that name no option."""

    options: Options
    unknown: tuple[str, ...] = ()


class Listed(NamedTuple):
    """One file of an input list: ``uris`` are mirrors of each other; ``line``: where it stands, from 1."""

    uris: tuple[str, ...]
    options: Options
    unknown: tuple[str, ...]
    line: int


def read_conf(text: str, *, home: str) -> Read:
    """aria2.conf: ``name=value`` lines, ``#`` comments; ``${HOME}`` in paths is ``home``. A name alone is a value that
    was left out. No value is judged."""
    options: Options = {}
    unknown: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            _take(stripped, options, unknown, home)
    return Read(options, tuple(unknown))


def _take(line: str, options: Options, unknown: list[str], home: str | None = None) -> None:
    name, _, value = (part.strip() for part in line.partition("="))
    option = SETTABLE.get(name)
    if option is None:
        unknown.append(line)
        return
    if home is not None and option.form is Form.PATH:
        value = value.replace("${HOME}", home)
    put(options, option, value)


def read_list(lines: Iterable[str]) -> Iterator[Listed]:
    """The files of an input list, each with the options that are indented below it. Raises UsageError for a line of
    JSON that names no file, and for too many options of one."""
    listed: Listed | None = None
    for number, line in enumerate(lines, 1):
        found = parse_line(line.lstrip("\ufeff") if number == 1 else line)
        if isinstance(found, ListedFile):
            if listed is not None:
                yield listed
            listed = _listed(found, number)
        elif isinstance(found, ListedSetting) and listed is not None:
            listed = _with_setting(listed, found)
    if listed is not None:
        yield listed


def _listed(found: ListedFile, number: int) -> Listed:
    listed = Listed(found.urls, {}, (), number)
    for name, value in found.settings:
        listed = _with_setting(listed, ListedSetting(name, value))
    return listed


def _with_setting(listed: Listed, setting: ListedSetting) -> Listed:
    option = SETTABLE.get(setting.name)
    if option is None or not option.reach.of_a_download:
        # aria2 passes over what is no option of one download, too.
        room = len(listed.unknown) < MOST_SETTINGS
        return listed._replace(unknown=(*listed.unknown, f"{setting.name}={setting.value}")) if room else listed
    put(listed.options, option, setting.value)
    return listed


def session_entry(gid: str, uris: Sequence[str], options: Mapping[str, str | Sequence[str]]) -> str:
    """One download as ``--save-session`` writes it: its URIs, each with a tab behind it, its options indented, an
    option that repeats on a line for each. :func:`read_list` reads it."""
    lines = ["".join(f"{_one_line(uri)}\t" for uri in uris), f" gid={gid}"]
    for name, value in options.items():
        option = OPTIONS[name]
        if option.reach.of_a_download and name != "gid":
            values = [value] if isinstance(value, str) else value
            lines.extend(f" {name}={_one_line(each)}" for each in values)
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    # What would begin a line of its own was never a URI or a value; this is the last fence.
    return text.translate({0: None, 9: " ", 10: None, 13: None})
