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
from thunderdl.options import Exists, Kind, Row, table


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
    """``target``: ``module:function`` that takes the :class:`Typed`; imported only when it is run."""

    name: str
    target: str
    help: str
    flags: tuple[Flag, ...]
    argument: Argument | None = None


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
        policies = [policy for policy in _POLICY_HELP if self.is_on(policy.value)]
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


_POLICY_HELP = {
    Exists.OVERWRITE: "Replace a file of that name.",
    Exists.RENAME: "Save beside it under a free name.",
    Exists.SKIP: "Leave it and count the download as done.",
}


def _flags_of(row: Row) -> Iterator[Flag]:
    if row.kind is Kind.EXISTS:
        for policy, text in _POLICY_HELP.items():
            yield Flag(name=policy.value, names=(f"--{policy.value}",), takes=Takes.NOTHING, help=text)
        return
    if not row.kind.has_flag:
        return
    if row.kind is Kind.IP_VERSION:
        yield Flag(name=row.name, names=("--ip-version",), takes=Takes.VALUE, help=row.help, metavar=row.kind.value)
        for digit in ("4", "6"):
            text = f"Connect by IPv{digit} alone."
            yield Flag(name=f"ipv{digit}", names=(f"-{digit}", f"--ipv{digit}"), takes=Takes.NOTHING, help=text)
        return
    takes = Takes.ON_OFF if row.kind is Kind.SWITCH else Takes.VALUES if row.kind.repeats else Takes.VALUE
    yield Flag(name=row.name, names=row.flags, takes=takes, help=_help(row), metavar=row.kind.value)


def _help(row: Row) -> str:
    if row.default in (None, (), False, True):
        return row.help
    if isinstance(row.default, enum.Enum):
        return f"{row.help} [default: {row.default.value}]"
    shown = f"{row.default:g}" if isinstance(row.default, float) else f"{row.default}"
    return f"{row.help} [default: {shown}]"


def _options(*names: str) -> tuple[Flag, ...]:
    return tuple(flag for row in table() if row.name in names for flag in _flags_of(row))


_QUIET = Flag(name="quiet", names=("-q", "--quiet"), takes=Takes.NOTHING, help="Say nothing but errors.")
_VERBOSE = Flag(name="verbose", names=("-v", "--verbose"), takes=Takes.NOTHING, help="Tell each event and attempt.")
_JSON = Flag(name="json", names=("--json",), takes=Takes.NOTHING, help="JSON on stdout, nothing else there.")
_MIRROR = Flag(
    name="mirror", names=("-m", "--mirror"), takes=Takes.VALUES, metavar="URL", help="One more source of the one file."
)
_INPUT = Flag(
    name="input",
    names=("-i", "--input"),
    takes=Takes.VALUE,
    metavar="FILE",
    help="A URL a line, - for stdin; tab-separated URLs of a line are mirrors; aria2's input files, JSON lines.",
)
_GLOB = Flag(
    name="glob", names=("--glob",), takes=Takes.NOTHING, help="URLs are patterns: {a,b}, [1-10], [a-z]; #1 in --out."
)
_NEW_URL = Flag(
    name="new_url", names=("--url",), takes=Takes.VALUE, metavar="URL",
    help="A new link of the one file, where its old one has expired.",
)  # fmt: skip
_ASK_PASSWORD = Flag(
    name="ask_password",
    names=("--ask-password",),
    takes=Takes.NOTHING,
    help="Ask for the password of each user that a URL names without one.",
)
_CHART = Flag(
    name="chart",
    names=("-o", "--out"),
    takes=Takes.VALUE,
    metavar="PATH",
    help="Where to draw to (SVG); without it beside FILE.",
)
_DOWNLOAD = Flag(
    name="download",
    names=("--download",),
    takes=Takes.VALUE,
    metavar="N",
    help="Which download of the trace; without it the largest.",
)
_CREATING = (
    Flag("torrent_out", ("-o", "--out"), Takes.VALUE, "Where to write it, in place of NAME.torrent or .meta4.", "PATH"),
    Flag("as_metalink", ("--metalink",), Takes.NOTHING, "Make a metalink, of any number of files and folders."),
    Flag("urls_there", ("--url",), Takes.VALUES, "Mirror for the metalink, a folder with a slash at its end.", "URL"),
    Flag("torrents_there", ("--torrent",), Takes.VALUES, "Torrent or magnet link for the metalink.", "URL|MAGNET"),
    Flag("publisher", ("--publisher",), Takes.VALUE, "Who publishes it, for the metalink.", "NAME"),
    Flag("publisher_url", ("--publisher-url",), Takes.VALUE, "The publisher's page.", "URL"),
    Flag("identity", ("--identity",), Takes.VALUE, "What it is, for the metalink: the product's name.", "TEXT"),
    Flag("file_version", ("--file-version",), Takes.VALUE, "Its version, for the metalink.", "TEXT"),
    Flag("origin", ("--origin",), Takes.VALUE, "Where the metalink itself will be found.", "URL"),
    Flag("v1", ("--v1",), Takes.NOTHING, "For clients that know BitTorrent v1 alone."),
    Flag("v2", ("--v2",), Takes.NOTHING, "For clients that know BitTorrent v2 alone."),
    Flag("hybrid", ("--hybrid",), Takes.NOTHING, "For both; this is what is made without a flag."),
    Flag("piece_length", ("--piece-length",), Takes.VALUE, "A power of two from 16K; one that fits else.", "SIZE"),
    Flag("web_seeds", ("--web-seed",), Takes.VALUES, "A URL of the content; may be repeated.", "URL"),
    Flag("private", ("--private",), Takes.NOTHING, "Peers from its trackers only: no DHT, PEX, local search."),
    Flag("comment", ("--comment",), Takes.VALUE, "Text to put into it.", "TEXT"),
)  # fmt: skip
_SEEDING = (
    "dir", "torrent", "peers", "trackers", "upload_limit", "ratio", "seed_time", "port", "dht", "pex", "lsd", "utp",
    "encryption", "proxy",
)  # fmt: skip
_ALL = tuple(row.name for row in table())
_SERVING = (
    Flag("state", ("--state",), Takes.VALUE, "Folder of the queue, the secret and kept documents.", "DIR"),
    Flag("listen", ("--listen",), Takes.VALUES, "Where to listen [default: 127.0.0.1:6800]; may be repeated.",
         "HOST:PORT"),
    Flag("roots", ("--root",), Takes.VALUES, "Folder that tasks may be saved below, beside --dir.", "DIR"),
    Flag("secret_file", ("--secret-file",), Takes.VALUE, "File whose first line is the secret that clients need.",
         "FILE"),
    Flag("host_names", ("--host-name",), Takes.VALUES, "Name by which the daemon may be called.", "NAME"),
    Flag("origins", ("--allow-origin",), Takes.VALUES, "Web page of another origin that may ask; * for any.", "ORIGIN"),
)  # fmt: skip
# A task has those of one file, which the daemon does not know beforehand.
_LASTING = tuple(row.name for row in table() if not row.once)
# What a source is reached with, for a command that looks at a URL but saves nothing.
_REACH = (
    "headers", "user_agent", "timeout", "retries", "proxy", "proxy_for", "no_proxy", "resolve", "interface",
    "ip_version", "ca", "insecure", "cert", "cert_key", "user", "password_file", "keyring", "netrc",
    "accept_new_host_keys", "cookies", "cookies_from_browser", "downgrade",
)  # fmt: skip
# How peers are found that know what a magnet link names.
_PEERS = ("peers", "trackers", "port", "dht", "pex", "lsd", "utp", "encryption")
_TREE = (
    Flag("delete", ("--delete",), Takes.NOTHING, "Remove local files that a list read to its end does not name."),
    Flag("include", ("--include",), Takes.VALUES, "Only these paths, as '*.iso' or 'src'; may be repeated.", "PATTERN"),
    Flag("exclude", ("--exclude",), Takes.VALUES, "None of these, neither fetched nor removed.", "PATTERN"),
    Flag("dry_run", ("-n", "--dry-run"), Takes.NOTHING, "Show what would be done, and write nothing."),
)
# A tree comes from servers; what is there already is compared, never in the way.
_MIRRORED = tuple(
    row.name
    for row in table()
    if not row.once
    and row.name not in ("exists", "verify_resumed", "follow", "sequential", "ratio", "seed_time", "remote_time")
)
# What the journal already knows is not asked again.
_RESUMABLE = tuple(
    row.name
    for row in table()
    if row.name in ("trace", "peers", "refresh_cmd") or (not row.once and row.name not in ("dir", "exists"))
)

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command(
            name="get",
            target="thunderdl.cli.get:get",
            help="Download each URL: in parallel ranges, resumed where it stopped, verified.",
            flags=(*_options(*_ALL), _MIRROR, _INPUT, _GLOB, _ASK_PASSWORD, _QUIET, _VERBOSE, _JSON),
            argument=Argument(name="urls", metavar="URL…", help="Each a file of its own.", many=True),
        ),
        Command(
            name="mirror",
            target="thunderdl.cli.mirror:mirror",
            help="Make a folder the same as a tree that an index page, a metalink or a manifest lists.",
            flags=(*_TREE, *_options(*_MIRRORED), _QUIET, _VERBOSE, _JSON),
            argument=Argument(
                name="places",
                metavar="URL [DIR]",
                help="The list, and the folder; without it the one to save into.",
                least=1,
                many=True,
            ),
        ),
        Command(
            name="info",
            target="thunderdl.cli.info:info",
            help="Show what a server says of a URL, or what is in a torrent or metalink.",
            flags=(*_options("follow", *_REACH, *_PEERS), _JSON),
            argument=Argument(
                name="url",
                metavar="URL",
                help="A URL, a .torrent or metalink, a magnet link; - for a metalink on standard input.",
                least=1,
            ),
        ),
        Command(
            name="verify",
            target="thunderdl.cli.check:verify",
            help="Check a file against a checksum, piece hashes or both.",
            flags=(*_options("checksum", "piece_hashes"), _QUIET),
            argument=Argument(name="file", metavar="FILE", help="What to check.", least=1),
        ),
        Command(
            name="resume",
            target="thunderdl.cli.get:resume",
            help="Finish every download that was left in a folder, or one of them.",
            flags=(*_options(*_RESUMABLE), _NEW_URL, _QUIET, _VERBOSE, _JSON),
            argument=Argument(
                name="folder", metavar="[DIR|FILE]", help="The folder, or one file; without it the folder to save into."
            ),
        ),
        Command(
            name="create",
            target="thunderdl.cli.create:create",
            help="Make a torrent of a file or folder, and print the magnet link that names it; or a metalink.",
            flags=(*_CREATING, *_options("trackers", "exists"), _QUIET, _JSON),
            argument=Argument(
                name="paths", metavar="PATH…", help="The file or folder; several for a metalink.", least=1, many=True
            ),
        ),
        Command(
            name="seed",
            target="thunderdl.cli.seed:seed",
            help="Share what is there with peers, until --ratio, --seed-time or Ctrl-C.",
            flags=(*_options(*_SEEDING), _QUIET, _JSON),
            argument=Argument(
                name="paths",
                metavar="PATH…",
                help="Torrents whose data is in --dir, or plain files.",
                least=1,
                many=True,
            ),
        ),
        Command(
            name="replay",
            target="thunderdl.cli.replay:replay",
            help="Run a trace through the scheduler again and draw who fetched what when.",
            flags=(_CHART, _DOWNLOAD),
            argument=Argument(name="file", metavar="FILE", help="What --trace wrote.", least=1),
        ),
        Command(
            name="daemon",
            target="thunderdl.cli.daemon:daemon",
            help="Keep a queue of downloads, with a web page, an API and aria2's interface.",
            flags=(*_SERVING, *_options(*_LASTING), _QUIET),
        ),
        Command(
            name="config",
            target="thunderdl.cli.config:config",
            help="Show each setting and where it came from.",
            flags=_options(*_ALL),
        ),
    )
}
