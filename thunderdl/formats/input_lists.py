"""One line of an input list: URLs, an option of aria2's form for the file above it, or a file as JSON.

Pure. What a line is, its own text tells, so that one list may mix the forms and be read as it comes. A line is never
an option of the command line, whatever it begins with (bad-inputs T5, yt-dlp's CVE-2026-50574).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple

from thunderdl.errors import UsageError

# aria2 takes every line that begins with white space as an option; a URL has no "=" before its colon.
_OPTION = re.compile(r"[ \t]+([A-Za-z0-9][A-Za-z0-9_-]*)[ \t]*=(.*)", re.DOTALL)
_NOT_SETTINGS = ("url", "mirrors")


class Shape(enum.Enum):
    """What a value of JSON is where it is no text and no number; the member's value is what a sentence calls it."""

    LIST = "a list"
    OBJECT = "an object"
    NESTED = "an object of more than texts"
    TRUTH = "true or false"


class ListedFile(NamedTuple):
    """One file as a line names it: its URL, more URLs of it, settings as written; ``shapes``: of those that JSON writes
    by more than a text, which not every option can have."""

    urls: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    shapes: tuple[tuple[str, Shape], ...] = ()


class ListedSetting(NamedTuple):
    """A setting of the file above it."""

    name: str
    value: str


def parse_line(line: str) -> ListedFile | ListedSetting | None:
    """What the line says; None for a comment and a blank line. Raises UsageError for JSON that names no file."""
    text = line.strip("\r\n \t")
    if not text or text.startswith("#"):
        return None
    if option := _OPTION.fullmatch(line.rstrip("\r\n")):
        return ListedSetting(name=option[1], value=option[2].strip(" \t"))
    if text.startswith("{"):
        return _from_json(text)
    return ListedFile(urls=tuple(part.strip(" ") for part in text.split("\t") if part.strip(" ")))


def _from_json(text: str) -> ListedFile:
    # Loaded when first used: most runs have no list.
    import json

    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the line begins like JSON and is not JSON") from None
    url, mirrors = table.get("url"), table.get("mirrors", [])
    if isinstance(url, list) and url and "mirrors" not in table:
        url, mirrors = url[0], url[1:]
    if not isinstance(url, str):
        raise UsageError('the JSON object needs "url", a text')
    if not isinstance(mirrors, list) or not all(isinstance(mirror, str) for mirror in mirrors):
        raise UsageError('"mirrors" is not a list of texts')
    settings = [pair for name, value in table.items() if name not in _NOT_SETTINGS for pair in _settings(name, value)]
    shapes = [(name, shape) for name, value in table.items() if name not in _NOT_SETTINGS and (shape := _shape(value))]
    return ListedFile(urls=(url, *mirrors), settings=tuple(settings), shapes=tuple(shapes))


def _shape(value: object) -> Shape | None:
    if isinstance(value, bool):
        return Shape.TRUTH
    if isinstance(value, Mapping):
        is_flat = all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in value.values())
        return Shape.OBJECT if is_flat else Shape.NESTED
    return Shape.LIST if isinstance(value, list) else None


def _settings(name: str, value: object) -> list[tuple[str, str]]:
    """A value of JSON as the texts that lines of options would have."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    if isinstance(value, str | int | float):
        return [(name, str(value))]
    if isinstance(value, Mapping):
        return [(name, f"{key}: {text}") for key, text in value.items()]
    assert isinstance(value, list)
    if not all(isinstance(text, str) for text in value):
        raise UsageError(f"the values of {name!r} are not all texts")
    return [(name, text) for text in value]
