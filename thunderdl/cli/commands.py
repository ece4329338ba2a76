"""The commands, with their arguments and flags: a table for both readers (``grammar.py``), for help and docs."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from thunderdl.cli.grammar import POLICY_HELP, Argument, Command, Flag, Takes
from thunderdl.cli.serving_flags import SERVING
from thunderdl.options import Kind, Row, table


def _flags_of(row: Row) -> Iterator[Flag]:
    if row.kind is Kind.EXISTS:
        for policy, text in POLICY_HELP.items():
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
_STATE = Flag("state", ("--state",), Takes.VALUE, "Folder of the daemon's queue.", "DIR")
_IN_LINE = (
    Flag("category", ("--category",), Takes.VALUE, "Category, whose folder it is saved in.", "NAME"),
    Flag("paused", ("--paused",), Takes.NOTHING, "Stay out until it is resumed."),
    Flag("top", ("--top",), Takes.NOTHING, "Before all others that wait."),
    Flag("at", ("--at",), Takes.VALUE, "Not before then: 22:30, or 2026-12-24 22:30.", "TIME"),
)
_EVERY = Flag("all", ("--all",), Takes.NOTHING, "The whole queue.")
_GIDS = Argument(name="gids", metavar="GID…", help="As list shows them; their beginning is enough.", many=True)
# A task has those of one file, which the daemon does not know beforehand.
_LASTING = tuple(row.name for row in table() if not row.once)
# What a task may have that the daemon does not know already.
_OF_ONE = tuple(row.name for row in table() if row.scope == "task")
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
            flags=(
                *_options(*_ALL),
                _MIRROR,
                _INPUT,
                _GLOB,
                _ASK_PASSWORD,
                Flag("hand_over", ("--daemon",), Takes.NOTHING, "Hand them over to the daemon, and return at once."),
                _QUIET,
                _VERBOSE,
                _JSON,
            ),
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
            help="Finish every download that was left in a folder, or one of them; let tasks of the daemon go on.",
            flags=(
                *_options(*_RESUMABLE),
                _NEW_URL,
                _EVERY._replace(help="All tasks of the daemon."),
                _STATE,
                _QUIET,
                _VERBOSE,
                _JSON,
            ),
            argument=Argument(
                name="places",
                metavar="[DIR|FILE|GID…]",
                help="The folder, or one file; without it the folder to save into; or tasks of the daemon.",
                many=True,
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
            flags=(*SERVING, *_options(*_LASTING), _QUIET),
        ),
        Command(
            name="add",
            target="thunderdl.cli.handing_over:add",
            help="Queue each URL, torrent or metalink with the daemon.",
            flags=(*_IN_LINE, *_options(*_OF_ONE), _MIRROR, _INPUT, _STATE, _QUIET, _JSON),
            argument=Argument(name="urls", metavar="URL…", help="Each a task of its own.", many=True),
        ),
        Command(
            name="list",
            target="thunderdl.cli.queueing:show",
            help="Show what runs and waits in the daemon's queue.",
            flags=(
                Flag("ended", ("--ended",), Takes.NOTHING, "What has ended, the newest first."),
                Flag("all", ("--all",), Takes.NOTHING, "All of it."),
                Flag("search", ("--search",), Takes.VALUE, "What has ended whose name or link holds TEXT.", "TEXT"),
                _STATE,
                _JSON,
            ),
        ),
        Command(
            name="watch",
            target="thunderdl.cli.attending:watch",
            help="Show the daemon's queue as it goes, until Ctrl-C.",
            flags=(_STATE, _JSON),
        ),
        Command(
            name="pause",
            target="thunderdl.cli.queueing:pause",
            help="Pause tasks of the daemon.",
            flags=(_EVERY, _STATE),
            argument=_GIDS,
        ),
        Command(
            name="retry",
            target="thunderdl.cli.queueing:retry",
            help="Try again what failed or was removed.",
            flags=(_STATE,),
            argument=_GIDS._replace(least=1),
        ),
        Command(
            name="remove",
            target="thunderdl.cli.queueing:remove",
            help="Take tasks out of the daemon's queue.",
            flags=(Flag("with_files", ("--files",), Takes.NOTHING, "And delete what is there of their files."), _STATE),
            argument=_GIDS._replace(least=1),
        ),
        Command(
            name="move",
            target="thunderdl.cli.queueing:move",
            help="Change a task's place in line.",
            flags=(_STATE,),
            argument=Argument(
                name="place", metavar="GID PLACE", help="top, up, down, bottom, or a number from 0.", least=2, many=True
            ),
        ),
        Command(
            name="set",
            target="thunderdl.cli.queueing:change",
            help="Change settings of the daemon, or of a task; without any show them.",
            flags=(Flag("task", ("--task",), Takes.VALUE, "Of this task alone.", "GID"), _STATE),
            argument=Argument(name="pairs", metavar="NAME=VALUE…", help="As limit=2M, active=4.", many=True),
        ),
        Command(
            name="aria2c",
            target="thunderdl.cli.aria2c.main:main",
            help="Download as aria2 would: its options, files and exit status; see aria2c --help.",
            flags=(),
            argument=Argument(name="words", metavar="ARGS…", help="What aria2c takes.", many=True),
            is_foreign=True,
        ),
        Command(
            name="config",
            target="thunderdl.cli.config:config",
            help="Show each setting and where it came from.",
            flags=_options(*_ALL),
        ),
    )
}
