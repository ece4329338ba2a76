"""aria2's command line, read as its getopt_long reads it.

Long names may be cut short as long as they stay unique; options and URIs mix; ``--`` ends the options; a value that
may be left out stands behind an equals sign, or right behind its letter. ``-Zx16`` is therefore a value of ``-Z``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from thunderdl.aria2.option import Option
from thunderdl.aria2.table import BY_LETTER, SETTABLE
from thunderdl.errors import UsageError, printable

Options = dict[str, "str | list[str]"]
_MOST_MEANT = 5


class BadCommandLine(UsageError):
    """``reason``: getopt's sentence; ``meant``: long options that may have been meant; ``is_known``: whether the option
    itself is one, or a letter."""

    def __init__(self, reason: str, meant: tuple[str, ...] = (), *, is_known: bool = False) -> None:
        super().__init__(reason, meant, is_known)
        self.reason, self.meant, self.is_known = reason, meant, is_known

    def __str__(self) -> str:
        return printable(self.reason)


class CommandLine(NamedTuple):
    """``options``: as typed, by full name, lists for what repeats; ``uris``: all else, in order."""

    options: Options
    uris: tuple[str, ...]


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """What was typed; no value is judged. Raises BadCommandLine."""
    options: Options = {}
    uris: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            uris.extend(rest)
        elif word.startswith("--"):
            put(options, *_long(word, rest))
        elif word.startswith("-") and word != "-":
            put(options, *_short(word, rest))
        else:
            uris.append(word)
    return CommandLine(options, tuple(uris))


def put(options: Options, option: Option, value: str) -> None:
    """Lay one more value to those of the option where it repeats, else in place of it."""
    before = options.get(option.name)
    if not option.repeats:
        options[option.name] = value
    else:
        options[option.name] = [*(before if isinstance(before, list) else []), value]


def _long(word: str, rest: Iterator[str]) -> tuple[Option, str]:
    typed, equals, value = word[2:].partition("=")
    option = _named(typed, word)
    if equals:
        if option.name == "version":
            raise BadCommandLine("option '--version' doesn't allow an argument", ("--version",))
        return option, value
    if not option.needs_value:
        return option, ""
    return option, _next(rest, f"option '--{option.name}' requires an argument")


def _named(typed: str, word: str) -> Option:
    if typed in SETTABLE:
        return SETTABLE[typed]
    fitting = [name for name in SETTABLE if typed and name.startswith(typed)]
    if len(fitting) == 1:
        return SETTABLE[fitting[0]]
    meant = tuple(_meant(typed))
    if fitting:
        listed = " ".join(f"'--{name}'" for name in fitting)
        raise BadCommandLine(f"option '{word}' is ambiguous; possibilities: {listed}", meant)
    raise BadCommandLine(f"unrecognized option '{word}'", meant)


def _meant(typed: str) -> Iterator[str]:
    # Loaded when first used: most lines are right.
    import difflib

    return (f"--{name}" for name in difflib.get_close_matches(typed[:100], SETTABLE, _MOST_MEANT, 0.5))


def _short(word: str, rest: Iterator[str]) -> tuple[Option, str]:
    """One letter takes the rest of its word, but for ``-v``, behind which the next letter may stand."""
    letter, behind = word[1], word[2:]
    option = BY_LETTER.get(letter)
    if option is None:
        raise BadCommandLine(f"invalid option -- '{letter}'", is_known=True)
    if option.name == "version" and behind:
        # Its own word ends here; the rest is judged as if it stood alone.
        _short(f"-{behind}", rest)
        return option, ""
    if behind or not option.needs_value:
        return option, behind
    return option, _next(rest, f"option requires an argument -- '{letter}'")


def _next(rest: Iterator[str], complaint: str) -> str:
    value = next(rest, None)
    if value is None:
        raise BadCommandLine(complaint, is_known=True)
    return value
