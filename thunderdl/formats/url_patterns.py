"""Patterns of URLs as curl reads them: ``{a,b}``, ``[1-10]``, ``[001-100]``, ``[1-10:2]``, ``[a-z]``, ``{<name>a,b}``.

Pure, and lazy: a million URLs cost what one costs. A backslash takes the meaning from a bracket or brace that follows.
Brackets that hold no range of this form are left as they are where they are empty or hold an IPv6 address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from thunderdl.errors import UsageError, printable

MOST_URLS = 1_000_000

_NUMBERS = re.compile(r"([0-9]{1,19})-([0-9]{1,19})(?::([0-9]{1,19}))?")
_LETTERS = re.compile(r"([a-z])-([a-z])(?::([0-9]{1,19}))?|([A-Z])-([A-Z])(?::([0-9]{1,19}))?")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._~-]+)?")
_NAME = re.compile(r"<([A-Za-z0-9_-]{1,64})>")
_REFERENCE = re.compile(r"#(?:([0-9]{1,3})|<([A-Za-z0-9_-]{1,64})>)")
_SPECIAL = "{}[]"


class _Wrong(Exception):
    """``args``: what is wrong, and at which character, counted from 0."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """``first`` to ``last`` in steps, filled up with zeros to ``width``."""

    first: int
    last: int
    step: int
    width: int

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __getitem__(self, index: int) -> str:
        return f"{self.first + index * self.step:0{self.width}d}"


Part = str | tuple[str, ...] | Numbers  # text as it is, or what stands there in turn


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """``parts`` in order; ``names``: of its patterns, empty for none. Iterate over it for each URL with what stood for
    each pattern."""

    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return prod(len(part) for part in self._patterns)

    @property
    def _patterns(self) -> list[tuple[str, ...] | Numbers]:
        return [part for part in self.parts if not isinstance(part, str)]

    def at(self, index: int) -> tuple[str, tuple[str, ...]]:
        """URL number ``index``, from 0 on, and what stood for each pattern; the last one changes fastest, as curl's."""
        chosen: list[str] = []
        for pattern in reversed(self._patterns):
            index, here = divmod(index, len(pattern))
            chosen.append(pattern[here])
        rest = reversed(chosen)
        url = "".join(part if isinstance(part, str) else next(rest) for part in self.parts)
        return url, tuple(reversed(chosen))

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        return map(self.at, range(self.count))


def parse_pattern(text: str) -> UrlPattern:
    """The pattern that ``text`` is; UsageError says what is wrong, and at which character."""
    try:
        names: list[str] = []
        pattern = UrlPattern(tuple(_parts(text, names)), tuple(names))
        if pattern.count > MOST_URLS:
            raise _Wrong(f"it stands for {pattern.count} URLs, and {MOST_URLS} are the most", 0)
    except _Wrong as wrong:
        reason, at = wrong.args
        raise UsageError(f"--glob: {printable(text)[:200]!r}, character {at + 1}: {reason}.") from None
    return pattern


def with_chosen(out: str, chosen: tuple[str, ...], names: tuple[str, ...] = ()) -> str:
    """``out`` with ``#1`` as what stood for the first pattern, ``#<name>`` for the one of that name; a number or name
    that no pattern has stays."""
    known: Mapping[int | str, str] = {**dict(enumerate(chosen, 1)), **dict(zip(names, chosen, strict=bool(names)))}
    return _REFERENCE.sub(lambda found: known.get(int(found[1]) if found[1] else found[2], found[0]), out)


def _parts(text: str, names: list[str]) -> Iterator[Part]:
    plain, at = "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in tuple(_SPECIAL):
            plain, at = plain + text[at + 1], at + 2
            continue
        if text[at] not in _SPECIAL:
            plain, at = plain + text[at], at + 1
            continue
        name = _NAME.match(text, at + 1)
        part, end = _special(text, at, name.end() if name else at + 1)
        if isinstance(part, str):
            plain += part
        else:
            names.append(name[1] if name else "")
            yield plain
            yield part
            plain = ""
        at = end
    yield plain


def _special(text: str, at: int, begin: int) -> tuple[Part, int]:
    """What begins with the bracket or brace at ``at``, its inside at ``begin``, and where it ends."""
    if text[at] == "{":
        return _choice(text, at, begin)
    if text[at] == "[":
        end = text.find("]", at)
        if end < 0:
            raise _Wrong("the bracket is not closed; write \\[ for one that is none", at)
        inside = text[begin:end]
        # curl's peek_ipv6: the address of a host, and what is empty.
        part = text[at : end + 1] if not inside or _ADDRESS.fullmatch(inside) else _range(inside, at)
        return part, end + 1
    raise _Wrong(f"this {text[at]} closes nothing; write \\{text[at]}", at)


def _choice(text: str, start: int, at: int) -> tuple[tuple[str, ...], int]:
    choices = [""]
    while at < len(text):
        letter = text[at]
        if letter == "\\" and text[at + 1 : at + 2] in (*_SPECIAL, ","):
            choices[-1] += text[at + 1]
            at += 2
            continue
        if letter == "}":
            if choices == [""]:
                raise _Wrong("the braces are empty", start)
            return tuple(choices), at + 1
        if letter in "{[]":
            raise _Wrong("braces hold no further pattern", at)
        if letter == ",":
            choices.append("")
        else:
            choices[-1] += letter
        at += 1
    raise _Wrong("the brace is not closed; write \\{ for one that is none", start)


def _range(inside: str, at: int) -> Part:
    if found := _NUMBERS.fullmatch(inside):
        first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
        _check_range(first, last, step, at, is_stepped=found[3] is not None)
        return Numbers(first, last, step, len(found[1]) if found[1].startswith("0") else 1)
    if found := _LETTERS.fullmatch(inside):
        low, high, by = (found[1], found[2], found[3]) if found[1] else (found[4], found[5], found[6])
        _check_range(ord(low), ord(high), int(by or 1), at, is_stepped=by is not None)
        return tuple(map(chr, range(ord(low), ord(high) + 1, int(by or 1))))
    raise _Wrong("not a range; write [1-10], [001-100], [1-10:2] or [a-z], or \\[ for a bracket", at)


def _check_range(first: int, last: int, step: int, at: int, *, is_stepped: bool) -> None:
    if first > last:
        raise _Wrong("the range ends before it begins", at)
    if step and (last - first) // step >= MOST_URLS:
        raise _Wrong(f"it stands for {(last - first) // step + 1} URLs, and {MOST_URLS} are the most", at)
    # As curl: [1-1:1] is one, [1-3:5] a mistake.
    if step < 1 or (is_stepped and first != last and step > last - first):
        raise _Wrong("the step does not fit into the range", at)
