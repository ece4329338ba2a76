"""What an option of aria2 is: how it is written, where it may be set and changed, and what it does here.

The rows themselves stand in the ``rows_…`` modules by subject; :mod:`thunderdl.aria2.table` puts them together.
Names, kinds, ranges and defaults are those of aria2 1.37 (``OptionHandlerFactory.cc``), the words are our own.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Form(enum.Enum):
    """How a value is written; the member's value is what help shows for it."""

    SWITCH = "true|false"
    NUMBER = "N"
    SIZE = "SIZE"  # K and M may follow: 1K is 1024
    DECIMAL = "NUM"
    RANGES = "N-M,…"
    CHOICE = "NAME"
    TEXT = "TEXT"
    PATH = "PATH"
    LINES = "TEXT "  # may be given several times, all of which count
    INDEXED = "INDEX=PATH"  # the same, of one form
    DIGEST = "TYPE=HEX"
    PROXY = "[http://][USER:PASSWORD@]HOST[:PORT]"
    HOST_PORT = "HOST:PORT"
    ENDS = "head[=SIZE],tail[=SIZE]"
    SLOTS = "true|false|A:B"


class Reach(enum.Enum):
    """Where an option may be set, and when it may still be changed."""

    START = "when aria2c starts"
    SESSION = "for all downloads, at any time"
    TASK = "for one download (a running one begins anew), or for all"
    LIVE = "for one download while it runs, or for all"
    ONE = "for one download (a running one begins anew)"
    BEFORE = "for one download before it begins, or for all"
    ADDED = "for one download when it is added"

    @property
    def of_a_download(self) -> bool:
        """Whether ``addUri`` and an input file take it."""
        return self not in (Reach.START, Reach.SESSION)

    @property
    def changes_a_download(self) -> bool:
        """Whether ``changeOption`` takes it."""
        return self in (Reach.TASK, Reach.LIVE, Reach.ONE)

    @property
    def changes_all(self) -> bool:
        """Whether ``changeGlobalOption`` takes it."""
        return self in (Reach.SESSION, Reach.TASK, Reach.LIVE, Reach.BEFORE)


class State(enum.Enum):
    """What becomes of an option here; the member's value stands in the documentation."""

    OURS = "sets ours"
    COMMAND = "done by the command"
    DAEMON = "done by the daemon"
    MOOT = "accepted, nothing to do"
    MISSING = "accepted, not done"


class Here(NamedTuple):
    """``ours``: fields of Options that it sets; ``why``: one clause for people."""

    state: State
    ours: tuple[str, ...] = ()
    why: str = ""


class Option(NamedTuple):
    """One option of aria2.

    ``default``: as aria2 answers it, None where it has none; ``least`` and ``most``: of numbers and sizes, None where
    there is no bound; ``choices``: of names; ``tags``: the groups of ``--help=#TAG``.
    """

    name: str
    form: Form
    default: str | None
    tags: tuple[str, ...]
    help: str
    here: Here
    short: str = ""
    reach: Reach = Reach.START
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    shown: str = ""
    bare: bool = False

    @property
    def needs_value(self) -> bool:
        """Whether a value must follow on the command line; else it may, behind an equals sign only."""
        return not self.bare and self.form not in (Form.SWITCH, Form.SLOTS)

    @property
    def is_hidden(self) -> bool:
        """Whether aria2 keeps it to itself: it is in no help, and neither command line nor files may set it."""
        return not self.tags and self.name != "netrc-path"

    @property
    def repeats(self) -> bool:
        """Whether each of several values counts, not the last alone."""
        return self.form in (Form.LINES, Form.INDEXED)

    @property
    def metavar(self) -> str:
        return self.shown or self.form.value.strip()


def ours(*fields: str, why: str = "") -> Here:
    """It sets fields of Options."""
    return Here(State.OURS, fields, why)


def command(why: str) -> Here:
    """``thunderdl aria2c`` itself does it."""
    return Here(State.COMMAND, (), why)


def daemon(why: str) -> Here:
    """It is for the daemon's RPC."""
    return Here(State.DAEMON, (), why)


def moot(why: str) -> Here:
    """What it regulates does not exist here, or is so anyway."""
    return Here(State.MOOT, (), why)


def missing(why: str) -> Here:
    """What it asks for is not done here, and somebody may have relied on it: it is told."""
    return Here(State.MISSING, (), why)


def row(
    name: str, form: Form, default: str | None, tags: str, help: str, here: Here, *, short: str = "",
    reach: Reach = Reach.START, least: int | None = None, most: int | None = None, choices: str = "", shown: str = "",
    bare: bool = False,
) -> Option:  # fmt: skip
    """One row of the tables. ``tags`` and ``choices`` are parted by spaces; ``shown``: for the value, in help;
    ``bare``: whether the name alone is enough."""
    words = tuple(tags.split())
    return Option(
        name, form, default, words, help, here, short, reach, least, most, tuple(choices.split()), shown, bare
    )
