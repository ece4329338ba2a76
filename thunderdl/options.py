"""Every option once: name, kind, unit, default, help, flags, aria2's name for it.

The fields of :class:`Options` are the table: command line, configuration file, environment, documentation
(and later the RPC) are made from it through :func:`table`. A default is the right answer for most users.
What they are as text :mod:`thunderdl.option_texts` reads.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from thunderdl.errors import UsageError, printable
from thunderdl.model import Digest, ExpiredLink, PieceHashes
from thunderdl.reach import (
    IpVersion,
    Resolve,
    parse_command,
)

if TYPE_CHECKING:
    from thunderdl.timetable import Timetable

DEFAULT_USER_AGENT = "thunderdl"


class Exists(enum.Enum):
    """What to do when the target's name is taken."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    RENAME = "rename"
    SKIP = "skip"


class Priority(enum.Enum):
    """How much of what downloads share one of them gets: each step is worth three times the one below it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def weight(self) -> float:
        return _WEIGHTS[self._value_]


class Encryption(enum.Enum):
    """Whether what peers say to each other is scrambled, so that boxes on the way cannot tell what it is."""

    PREFER = "prefer"
    REQUIRE = "require"
    OFF = "off"


_WEIGHTS = {"low": 1 / 3, "normal": 1.0, "high": 3.0}


class Kind(enum.Enum):
    """What a value is; the member's value is what help shows for it."""

    TEXT = "TEXT"
    PATH = "PATH"
    URL = "URL"
    COUNT = "N"
    SECONDS = "SECONDS"
    RATE = "RATE"
    SWITCH = ""
    HEADER = "NAME: VALUE"
    EXISTS = "POLICY"
    PRIORITY = "LEVEL"
    DIGEST = "ALGO=HEX"
    PIECE_HASHES = "FILE"
    TORRENT = "FILE|URL|MAGNET"
    METALINK = "FILE|URL|-"
    DOCUMENT = "FILE|URL"
    FILES = "LIST"
    PEER = "HOST:PORT"
    TRACKER = "TRACKER"
    RATIO = "RATIO"
    ENCRYPTION = "POLICY "
    SECRET = "SECRET"
    HOSTS = "HOSTS"
    PROXY_FOR = "HOSTS=URL"
    RESOLVE = "HOST:PORT:ADDRESS"
    IP_VERSION = "4|6"
    COMMAND = "COMMAND"
    BROWSER = "BROWSER"

    @property
    def repeats(self) -> bool:
        """Whether the flag may be given several times, all of which count."""
        return self in (Kind.HEADER, Kind.PEER, Kind.TRACKER, Kind.PROXY_FOR, Kind.RESOLVE)

    @property
    def has_flag(self) -> bool:
        """Whether it may stand on a command line, where everybody on the machine can read it."""
        return self is not Kind.SECRET


def _option(
    default: Any,
    text: str,
    kind: Kind = Kind.TEXT,
    *,
    short: str = "",
    flag: str = "",
    least: int = 0,
    once: bool = False,
    unit: str = "",
    aria2: str = "",
    scope: str = "task",
) -> Any:
    """One row of the table.

    ``short``: one-letter flag; ``flag``: the long flag where it is not the field's name; ``least``: the smallest
    value allowed; ``once``: belongs to one file, so it is a flag only, never a lasting setting;
    ``scope``: ``task`` may differ for each download, ``session`` is shared by all of a client.
    """
    metadata = {"help": text, "kind": kind, "short": short, "flag": flag, "least": least, "once": once}
    # What is secret is not in a repr, which ends up in logs and reports.
    return field(
        default=default,
        repr=kind is not Kind.SECRET,
        metadata=metadata | {"unit": unit, "aria2": aria2, "scope": scope},
    )


Refresh = Callable[["ExpiredLink"], "str | Awaitable[str]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a client and of one download. Immutable; ``dataclasses.replace`` makes variants.

    ``refresh``, for the library alone: asked for a new URL when a link has expired, sync or async.

    Raises UsageError for a number below its least, and for control characters where they could become
    a header of their own (RFC 9112 section 11.1).
    """

    dir: str = _option(".", "Folder to save into; made if absent.", Kind.PATH, short="d", aria2="dir")
    out: str | None = _option(
        None, "File name to save as, instead of the URL's.", Kind.PATH, short="o", once=True, aria2="out"
    )
    exists: Exists = _option(
        Exists.REFUSE, "What to do when the name is taken.", Kind.EXISTS, aria2="allow-overwrite"
    )  # fmt: skip
    checksum: Digest | None = _option(
        None, "Digest of the whole file (sha-256, sha-512, sha-1, md5, blake3 …).", Kind.DIGEST,
        once=True, aria2="checksum",
    )  # fmt: skip
    checksum_files: bool = _option(
        True, "Look for checksum files beside a download (X.sha256, SHA256SUMS) and check with them.", Kind.SWITCH
    )  # fmt: skip
    signed_by: str | None = _option(
        None, "Key that must have signed the file: minisign's public key, or an OpenPGP keyring.", Kind.PATH, once=True
    )
    save_signatures: bool = _option(
        False, "Save the signatures that a metalink holds beside the file.", Kind.SWITCH
    )  # fmt: skip
    piece_hashes: PieceHashes | None = _option(
        None, "Digests of the pieces, from a file.", Kind.PIECE_HASHES, once=True
    )  # fmt: skip
    remote_time: bool = _option(
        False, "Give the file the time that the server states.", Kind.SWITCH, aria2="remote-time"
    )  # fmt: skip
    xattr: bool = _option(False, "Note in extended attributes where the file came from, without secrets.", Kind.SWITCH)
    quarantine: bool = _option(True, "On macOS: have the file checked when it is first opened.", Kind.SWITCH)
    key: bool = _option(False, "Also compute the content key (BEP 52 root).", Kind.SWITCH)
    connections: int = _option(64, "Connections in all.", Kind.COUNT, least=1, scope="session")
    per_host: int = _option(
        16, "Connections to one host at most, over all downloads.", Kind.COUNT,
        least=1, aria2="max-connection-per-server", scope="session",
    )  # fmt: skip
    jobs: int = _option(
        16, "Files at once.", Kind.COUNT, short="j", least=1, aria2="max-concurrent-downloads", scope="session"
    )
    limit: int | Timetable | None = _option(
        None, "Most bytes a second over all downloads: 500K, 2.5M (1K is 1024); by the clock: '08:00-18:00=1M'.",
        Kind.RATE, unit="bytes/s", aria2="max-overall-download-limit", scope="session",
    )  # fmt: skip
    task_limit: int | Timetable | None = _option(
        None, "Most bytes a second of each single download, written as for --limit.", Kind.RATE, unit="bytes/s",
        aria2="max-download-limit",
    )  # fmt: skip
    priority: Priority = _option(
        Priority.NORMAL, "Share of connections and of the limit, beside other downloads: low, normal, high.",
        Kind.PRIORITY,
    )  # fmt: skip
    headers: tuple[tuple[str, str], ...] = _option(
        (), "Header to send; may be repeated.", Kind.HEADER, short="H", flag="header", aria2="header"
    )
    user_agent: str = _option(DEFAULT_USER_AGENT, "User-Agent to send.", aria2="user-agent")
    timeout: float = _option(
        30.0, "Give a silent server up after this long: 30, 1.5, 2m.", Kind.SECONDS, unit="s", aria2="timeout"
    )
    retries: int = _option(
        5, "Times in a row to try a source again after a passing fault.", Kind.COUNT, aria2="max-tries"
    )
    proxy: str | None = _option(
        None, "Proxy for all traffic: http, https, socks4, socks5 URL.", Kind.URL, aria2="all-proxy"
    )
    proxy_for: tuple[tuple[str, str], ...] = _option(
        (), "Another proxy for some hosts, 'direct' for none; may be repeated.", Kind.PROXY_FOR
    )
    no_proxy: str | None = _option(
        None, "Hosts to reach without a proxy: names, blocks of addresses, ports; * for all.", Kind.HOSTS,
        aria2="no-proxy",
    )  # fmt: skip
    resolve: tuple[Resolve, ...] = _option(
        (), "Addresses to use for a host, in place of DNS; may be repeated.", Kind.RESOLVE, scope="session"
    )
    interface: str | None = _option(
        None, "Network interface, or address of this machine, to connect from.", aria2="interface", scope="session"
    )
    ip_version: IpVersion = _option(
        IpVersion.ANY, "Connect by IPv4 or IPv6 alone; without it by what answers first.", Kind.IP_VERSION,
        scope="session",
    )  # fmt: skip
    http2: bool = _option(
        False, "Speak HTTP/2 to https servers that know it: many streams, one connection.", Kind.SWITCH, scope="session"
    )
    ca: str | None = _option(
        None, "File or folder of certificates to trust.", Kind.PATH, aria2="ca-certificate", scope="session"
    )
    insecure: bool = _option(
        False, "Do not check certificates.", Kind.SWITCH, aria2="check-certificate", scope="session"
    )
    cert: str | None = _option(
        None, "Certificate to show to servers that you name (PEM).", Kind.PATH, aria2="certificate", scope="session"
    )
    cert_key: str | None = _option(
        None, "Its private key, where that is in another file.", Kind.PATH, aria2="private-key", scope="session"
    )
    cert_password: str | None = _option(None, "Password of that key.", Kind.SECRET, scope="session")
    user: str | None = _option(None, "User name for the URL's server; its password is asked for.", aria2="http-user")
    password: str | None = _option(None, "Password for --user.", Kind.SECRET, aria2="http-passwd")
    password_file: str | None = _option(None, "File whose first line is the password for --user.", Kind.PATH)
    token: str | None = _option(
        None, "Bearer token for the URL's server (https, or this machine); THUNDERDLTOKEN_EXAMPLE_ORG for that host.",
        Kind.SECRET,
    )  # fmt: skip
    keyring: bool = _option(False, "Take tokens and passwords from the system's keyring.", Kind.SWITCH)
    netrc: bool = _option(False, "Take passwords from ~/.netrc.", Kind.SWITCH, aria2="no-netrc", scope="session")
    accept_new_host_keys: bool = _option(
        False, "Over SFTP, trust servers that known_hosts does not name yet, and remember them.", Kind.SWITCH,
        scope="session",
    )  # fmt: skip
    cookies: str | None = _option(
        None, "Netscape cookie file to send from.", Kind.PATH, aria2="load-cookies", scope="session"
    )
    cookies_from_browser: str | None = _option(
        None, "Send the cookies of a browser: firefox, chrome, chromium, edge …", Kind.BROWSER, scope="session"
    )
    downgrade: bool = _option(
        False, "Follow a redirect from https to http.", Kind.SWITCH, flag="allow-downgrade", scope="session"
    )
    refresh_cmd: str | None = _option(
        None, "Command that prints a new URL when a link has expired; run without a shell.", Kind.COMMAND, once=True
    )
    # Not an option of the command line: asked for a new URL when a link has expired.
    refresh: Refresh | None = None
    verify_resumed: bool = _option(
        False, "On resume, read back and check all that is there.", Kind.SWITCH, aria2="check-integrity"
    )
    torrent: str | None = _option(
        None, "Torrent of the same file: its peers join the URLs.", Kind.TORRENT, short="t", once=True
    )
    metalink: str | None = _option(
        None, "Metalink that tells of the file, whatever the document is called; - for standard input.", Kind.METALINK,
        short="M", once=True,
    )  # fmt: skip
    mirror_list: str | None = _option(
        None,
        "List of mirrors (base URLs, as projects publish them) to find the file on, too.",
        Kind.DOCUMENT,
        once=True,
    )
    follow: bool = _option(
        True,
        "Download what a .torrent or metalink names, not the document itself.",
        Kind.SWITCH,
        aria2="follow-torrent",
    )
    files: str | None = _option(
        None, "Files of a torrent: numbers as 1,3-5, or patterns as '*.iso'; info lists them.", Kind.FILES,
        once=True, aria2="select-file",
    )  # fmt: skip
    sequential: bool = _option(False, "Pieces in order, to play while it downloads.", Kind.SWITCH)
    peers: tuple[tuple[str, int], ...] = _option(
        (), "A peer to connect to; may be repeated.", Kind.PEER, flag="peer", once=True
    )
    trackers: tuple[str, ...] = _option(
        (), "One more tracker; may be repeated.", Kind.TRACKER, flag="tracker", aria2="bt-tracker"
    )
    upload_limit: int | Timetable | None = _option(
        None, "Most bytes a second to peers, over all torrents.", Kind.RATE, unit="bytes/s",
        aria2="max-overall-upload-limit", scope="session",
    )  # fmt: skip
    task_upload_limit: int | Timetable | None = _option(
        None, "Most bytes a second to peers of each single torrent.", Kind.RATE, unit="bytes/s",
        aria2="max-upload-limit",
    )  # fmt: skip
    ratio: float | None = _option(
        None, "Go on sharing until so many times its size was sent; without it not at all.", Kind.RATIO,
        aria2="seed-ratio",
    )  # fmt: skip
    seed_time: float | None = _option(
        None, "Go on sharing for so long, or until --ratio.", Kind.SECONDS, unit="s", aria2="seed-time"
    )
    port: int = _option(
        0, "Port for peers; without it the first free one from 6881.", Kind.COUNT, aria2="listen-port", scope="session"
    )
    dht: bool = _option(True, "Find peers by the DHT.", Kind.SWITCH, aria2="enable-dht", scope="session")
    pex: bool = _option(True, "Find peers by those that are there.", Kind.SWITCH, aria2="enable-peer-exchange")
    lsd: bool = _option(True, "Find peers on the local network.", Kind.SWITCH, aria2="bt-enable-lpd", scope="session")
    utp: bool = _option(True, "Also connect to peers over UDP.", Kind.SWITCH, scope="session")
    encryption: Encryption = _option(
        Encryption.PREFER, "Scramble what peers say: prefer, require, off.", Kind.ENCRYPTION,
        aria2="bt-require-crypto", scope="session",
    )  # fmt: skip
    trace: str | None = _option(
        None, "Record what the scheduler hears and says, for thunderdl replay.", Kind.PATH,
        once=True, scope="session",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for row in table():
            _check_row(row, getattr(self, row.name))
        self._check_sharing()
        if not self.timeout > 0:
            raise UsageError(f"timeout must be more than 0 seconds, not {self.timeout}.")
        for text in (self.user_agent, *(part for header in self.headers for part in header)):
            if CONTROL.search(text):
                raise UsageError(f"{printable(text)!r}: a header must not hold control characters.")
        for name, _ in self.headers:
            if not re.fullmatch(TOKEN, name):
                raise UsageError(f"{printable(name)!r} is not a header's name.")

    def _check_sharing(self) -> None:
        if self.ratio is not None and not 0 <= self.ratio < math.inf:
            raise UsageError(f"ratio must be 0 or more, not {self.ratio}.")
        if self.port > 65535:
            raise UsageError(f"port must be at most 65535, not {self.port}.")


class Row(NamedTuple):
    """One option as the command line, the settings and the documentation see it; see :func:`_option`."""

    name: str
    kind: Kind
    default: object
    help: str
    unit: str
    aria2: str
    scope: str
    short: str
    flag: str
    least: int
    once: bool

    @property
    def flags(self) -> tuple[str, ...]:
        """As typed, short form first: ``("-d", "--dir")``."""
        long = "--" + (self.flag or self.name.replace("_", "-"))
        return (f"-{self.short}", long) if self.short else (long,)

    @property
    def environment(self) -> str:
        return f"THUNDERDL_{self.name.upper()}"


def _check_row(row: Row, value: Any) -> None:
    if row.kind is Kind.COUNT and value < row.least:
        raise UsageError(f"{row.name} must be at least {row.least}, not {value}.")
    if row.kind is Kind.RATE:
        check_limit(row.name, value)
    if row.kind is Kind.SECRET and value is not None and CONTROL.search(value):
        raise UsageError(f"{row.name} must not hold control characters.")
    if row.kind is Kind.COMMAND and value is not None:
        try:
            parse_command(value)
        except ValueError as error:
            raise UsageError(f"{row.name}: {printable(str(error)).lower()}.") from None


_TABLE: list[Row] = []


def table() -> tuple[Row, ...]:
    """Every option, in the order of help."""
    if not _TABLE:
        _TABLE.extend(
            Row(name=each.name, default=each.default, **cast(Mapping[str, Any], each.metadata))
            for each in fields(Options)
            if each.metadata
        )
    return tuple(_TABLE)


# RFC 9110 section 5.6.2.
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_limit(name: str, limit: object) -> None:
    """Raise UsageError for what is no limit: a rate below one byte a second, text that was not parsed."""
    if isinstance(limit, str) or (isinstance(limit, int | float) and not 1 <= limit < math.inf):
        raise UsageError(f"{name} must be at least 1 byte a second, or None for no limit, not {limit!r}.")
