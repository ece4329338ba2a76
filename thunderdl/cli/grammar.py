"""The grammar of the command line, once: commands, their arguments, their flags.

Two readers are made from it. :func:`read` takes every well-formed line in microseconds; what it does not understand
(help, completion, mistakes) goes to typer (:mod:`thunderdl.cli.typer_app`), which tells it best but costs 150 ms of
imports (typer 0.29 parses values with pydantic). A test holds them to the same reading of every line both accept.
Values are NamedTuples: making the class takes 0.05 ms of the start-up, a frozen dataclass 0.4 ms.
No value is judged here: :mod:`thunderdl.cli.settings` does that for flags, environment and file alike.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from thunderdl.errors import UsageError
from thunderdl.options import Exists, table


class Takes(enum.Enum):
    """What follows a flag."""

    NOTHING = "nothing"
    ON_OFF = "on or off"  # --name or --no-name
    VALUE = "a value"  # the last one counts
    VALUES = "a value, repeatedly"


class Flag(NamedTuple):
    """``names``: as typed, short first; ``metavar``: what help shows for the value."""

    name: str
    names: tuple[str, ...]
    takes: Takes
    help: str
    metavar: str = ""

    @property
    def off(self) -> str:
        """The opposite of an on-off flag."""
        return f"--no-{self.names[-1][2:]}"


class Argument(NamedTuple):
    """What a command takes beside flags: at least ``least`` of them, ``many`` or at most one."""

    name: str
    metavar: str
    help: str
    least: int = 0
    many: bool = False


class Command(NamedTuple):
    """``target``: ``module:function`` that takes the :class:`Typed`; imported only when it is run. ``is_foreign``: it
    has a grammar of its own, and takes the words as they were typed."""

    name: str
    target: str
    help: str
    flags: tuple[Flag, ...]
    argument: Argument | None = None
    is_foreign: bool = False


class Typed:
    """What was typed, by name: text, tuples of text, True or False; absent names were not typed."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None and value != ()}

    def is_on(self, name: str) -> bool:
        return self.values.get(name) is True

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name, ())
        return value if isinstance(value, tuple) else ()

    def settings(self) -> dict[str, object]:
        """The part that the options table knows, unparsed; UsageError for policies that exclude each other."""
        rows = {row.name for row in table()}
        known = {name: value for name, value in self.values.items() if name in rows}
        policies = [policy for policy in POLICY_HELP if self.is_on(policy.value)]
        if len(policies) > 1:
            raise UsageError(" and ".join(f"--{policy.value}" for policy in policies) + " exclude each other.")
        if policies:
            known["exists"] = policies[0]
        if self.is_on("ipv4") and self.is_on("ipv6"):
            raise UsageError("-4 and -6 exclude each other.")
        for digit in ("4", "6"):
            if self.is_on(f"ipv{digit}"):
                known["ip_version"] = digit
        return known


def read(command: Command, arguments: Sequence[str]) -> Typed | None:
    """The line as typed, None where typer must look at it: an unknown flag, a missing value, an argument too many."""
    flags = _by_name(command)
    values: dict[str, object] = {}
    plain: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            plain.extend(rest)
        elif word.startswith("--"):
            if not _long(word, rest, flags, values):
                return None
        elif word.startswith("-") and len(word) > 1:
            if not _short(word, rest, flags, values):
                return None
        else:
            plain.append(word)
    if not _fits(command.argument, len(plain)):
        return None
    if command.argument is not None and plain:
        values[command.argument.name] = tuple(plain) if command.argument.many else plain[0]
    return Typed(values)


def _by_name(command: Command) -> dict[str, tuple[Flag, object]]:
    known: dict[str, tuple[Flag, object]] = {}
    for flag in command.flags:
        known.update(dict.fromkeys(flag.names, (flag, True)))
        if flag.takes is Takes.ON_OFF:
            known[flag.off] = (flag, False)
    return known


def _long(word: str, rest: Iterator[str], flags: Mapping[str, tuple[Flag, object]], values: dict[str, object]) -> bool:
    name, equals, attached = word.partition("=")
    if name not in flags:
        return False
    flag, meaning = flags[name]
    if flag.takes in (Takes.VALUE, Takes.VALUES):
        return _put(flag, attached if equals else next(rest, None), values)
    values[flag.name] = meaning
    return not equals


def _short(word: str, rest: Iterator[str], flags: Mapping[str, tuple[Flag, object]], values: dict[str, object]) -> bool:
    """``-qv``, ``-d DIR``, ``-dDIR`` and ``-qdDIR``."""
    for position, letter in enumerate(word[1:], start=2):
        if f"-{letter}" not in flags:
            return False
        flag, meaning = flags[f"-{letter}"]
        if flag.takes in (Takes.VALUE, Takes.VALUES):
            return _put(flag, word[position:] or next(rest, None), values)
        values[flag.name] = meaning
    return True


def _put(flag: Flag, text: str | None, values: dict[str, object]) -> bool:
    if text is None:
        return False
    before = values.get(flag.name, ())
    values[flag.name] = (*before, text) if flag.takes is Takes.VALUES and isinstance(before, tuple) else text
    return True


def _fits(argument: Argument | None, count: int) -> bool:
    if argument is None:
        return count == 0
    return argument.least <= count and (argument.many or count <= 1)


POLICY_HELP = {
    Exists.OVERWRITE: "Replace a file of that name.",
    Exists.RENAME: "Save beside it under a free name.",
    Exists.SKIP: "Leave it and count the download as done.",
}
