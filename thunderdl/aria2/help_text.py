"""``--help`` and ``--version`` of aria2's command line, made from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from thunderdl.aria2.option import Form, Option, State
from thunderdl.aria2.table import SETTABLE

USAGE = "Usage: aria2c [OPTIONS] [URI | MAGNET | TORRENT_FILE | METALINK_FILE]...\nSee 'aria2c -h'."
#: The version of aria2 whose options and answers these are.
LIKE_ARIA2 = "1.37.0"
TAGS = (
    "basic", "advanced", "http", "https", "ftp", "metalink", "bittorrent", "cookie", "hook", "file", "rpc", "checksum",
    "experimental", "deprecated", "help", "all",
)  # fmt: skip
#: aria2's names of what there is here, too. GZip: lists and session files may be, and answers that come so are
#: unpacked; they are not asked for, as ranges are those of the file itself.
FEATURES = (
    "Async DNS", "BitTorrent", "Firefox3 Cookie", "GZip", "HTTPS", "Message Digest", "Metalink", "XML-RPC", "SFTP",
)  # fmt: skip
_HASHES = "sha-1, sha-224, sha-256, sha-384, sha-512, md5"
_INDENT, _WIDTH = 30, 80


def version_text(ours: str) -> str:
    """``-v``: the first words are what clients look for; ``ours``: thunderdl's version."""
    return (
        f"aria2 version {LIKE_ARIA2}\n"
        f"thunderdl {ours}, with aria2's command line.\n\n"
        f"** Configuration **\nEnabled Features: {', '.join(FEATURES)}\nHash Algorithms: {_HASHES}"
    )


def help_text(asked: str = "#basic") -> str:
    """Options of a ``#tag``, or with a word in their names."""
    tag = asked[1:] if asked.startswith("#") else None
    if tag == "all":
        heading, chosen = "Printing all options.", list(SETTABLE.values())
    elif tag is not None:
        heading = f"Printing options tagged with '#{tag}'.\nSee 'aria2c -h#help' to know all available tags."
        chosen = [option for option in SETTABLE.values() if tag in option.tags]
    else:
        heading = f"Printing options whose name includes '{asked}'."
        chosen = [option for option in SETTABLE.values() if asked in option.name]
        if not chosen:
            return USAGE
    return "\n".join([USAGE.partition("\n")[0], heading, "Options:", *_options(chosen)])


def option_text(option: Option) -> str:
    """One option: how it is written, what it is for, its values, its default, what it does here."""
    return "\n".join(_lines(option))


def _options(chosen: Sequence[Option]) -> Iterator[str]:
    for option in chosen:
        yield option_text(option)
        yield ""


def _lines(option: Option) -> Iterator[str]:
    head = f" -{option.short}, " if option.short else " "
    head += f"--{option.name}{_value(option)} "
    told = list(_told(option))
    yield f"{head:<{_INDENT}}{told[0]}"
    yield from (f"{'':<{_INDENT}}{line}".rstrip() for line in told[1:])


def _value(option: Option) -> str:
    if option.name == "version":
        return ""
    return f"={option.metavar}" if option.needs_value else f"[={option.metavar}]"


def _told(option: Option) -> Iterator[str]:
    yield from textwrap.wrap(option.help, _WIDTH - _INDENT)
    here = here_told(option)
    if here:
        yield from textwrap.wrap(f"Here: {here}.", _WIDTH - _INDENT)
    yield ""
    if values := possible_values(option):
        yield f"Possible Values: {values}"
    if option.default is not None:
        yield f"Default: {option.default}"
    if option.tags:
        yield f"Tags: {', '.join(f'#{tag}' for tag in option.tags)}"


def here_told(option: Option) -> str:
    """What becomes of it here, as one clause; empty where the help says all."""
    state, _, why = option.here
    if state in (State.MOOT, State.MISSING):
        return f"no effect: {why}"
    return why if state is State.OURS else ""


def possible_values(option: Option) -> str:
    """The values that there are, empty where any text is one."""
    if option.name == "help":
        return ", ".join(f"#{tag}" for tag in TAGS)
    if option.form in (Form.NUMBER, Form.SIZE, Form.RANGES):
        return f"{'*' if option.least is None else option.least}-{'*' if option.most is None else option.most}"
    if option.form is Form.DECIMAL:
        return "0.0-*"
    if option.form is Form.SWITCH and option.name != "version":
        return "true, false"
    return ", ".join(option.choices)
