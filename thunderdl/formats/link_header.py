"""The Link header field, read as RFC 8288 appendix B.2 and B.3 say.

Pure, linear in its input; never raises. As the RFC wants it, the rest of a field's line is dropped from the place
on where no link begins; targets are references as sent, to be resolved by whoever knows the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

LONGEST_VALUE = 2**16
MAX_LINKS = 1000
_MAX_PARAMETERS = 64

_FOLD = re.compile(r"\r?\n[ \t]+")  # RFC 9112 section 5.2
_SPACE = re.compile(r"[ \t]*")
_NAME = re.compile(r"[^ \t=;,]*")
_TOKEN_VALUE = re.compile(r"[^;,]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'([A-Za-z0-9-]*)'((?:[^%']|%[0-9A-Fa-f]{2})*+)", re.IGNORECASE)
# Of these the first counts (RFC 8288 section 3 and appendix B.2).
_ONCE = frozenset(["rel", "anchor", "media", "title", "title*", "type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """``value``: unquoted; empty where none was given. ``language``: of a name that ends in ``*``, maybe empty."""

    name: str
    value: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``target``: the reference as sent. ``relations``: as sent. Names of parameters are in lower case."""

    target: str
    relations: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def get(self, name: str) -> str | None:
        """The first parameter of this name; None where there is none."""
        return next((one.value for one in self.parameters if one.name == name), None)

    def has_relation(self, name: str) -> bool:
        """Relation types are compared without regard to case (RFC 8288 section 2.1)."""
        return name.lower() in (relation.lower() for relation in self.relations)


def parse_links(values: Iterable[str]) -> tuple[Link, ...]:
    """The links of all Link lines of a response, in order; at most a thousand."""
    links: list[Link] = []
    for value in values:
        for link in _links(_FOLD.sub(" ", value[:LONGEST_VALUE])):
            if len(links) == MAX_LINKS:
                return tuple(links)
            links.append(link)
    return tuple(links)


def _links(text: str) -> Iterator[Link]:
    at = 0
    while True:
        at = _end(_SPACE, text, at)
        if text[at : at + 1] == ",":  # an empty member of a list (RFC 9110 section 5.6.1.2)
            at += 1
            continue
        closing = text.find(">", at)
        if text[at : at + 1] != "<" or closing < 0:
            return
        target = text[at + 1 : closing].strip()
        parameters, at = _parameters(text, closing + 1)
        yield _link(target, parameters)


def _parameters(text: str, at: int) -> tuple[list[Parameter], int]:
    """The parameters from ``at`` on, and where the next link may begin."""
    found: list[Parameter] = []
    while True:
        at = _end(_SPACE, text, at)
        if text[at : at + 1] == ",":
            return found, at + 1
        if text[at : at + 1] != ";":
            return found, at
        parameter, at = _parameter(text, _end(_SPACE, text, at + 1))
        if parameter and len(found) < _MAX_PARAMETERS:
            found.append(parameter)


def _parameter(text: str, at: int) -> tuple[Parameter | None, int]:
    name_ends = _end(_NAME, text, at)
    name = text[at:name_ends].lower()
    at = _end(_SPACE, text, name_ends)
    value = ""
    if text[at : at + 1] == "=":
        value, at = _value(text, _end(_SPACE, text, at + 1))
    if not name:
        return None, at
    if not name.endswith("*"):
        return Parameter(name=name, value=value), at
    extended = _EXTENDED.fullmatch(value)
    decoded = extended and _decoded(extended[3], extended[1].lower())
    if not extended or decoded is None:
        return None, at
    return Parameter(name=name, value=decoded, language=extended[2]), at


def _value(text: str, at: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted:
        return _ESCAPE.sub(r"\1", quoted[1]), quoted.end()
    ends = _end(_TOKEN_VALUE, text, at)
    return text[at:ends].rstrip(), ends


def _decoded(coded: str, charset: str) -> str | None:
    """The text of an RFC 8187 value; None where its bytes are not of that character set."""
    try:
        return unquote_to_bytes(coded).decode(charset)
    except UnicodeDecodeError:
        return None


def _link(target: str, parameters: list[Parameter]) -> Link:
    seen: set[str] = set()
    kept = []
    for parameter in parameters:
        if parameter.name not in _ONCE or parameter.name not in seen:
            kept.append(parameter)
        seen.add(parameter.name)
    link = Link(target=target, parameters=tuple(kept))
    relations = tuple((link.get("rel") or "").split())
    return Link(target=target, relations=relations, parameters=link.parameters)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a match that begins at ``at`` ends; the patterns match at least the empty text."""
    found = pattern.match(text, at)
    return found.end() if found else at
