"""Every option once: name, kind, unit, default, help, flags, aria2's name for it.

The fields of :class:`Options` are the table: command line, configuration file, environment, documentation
(and later the RPC) are made from it through :func:`table`. A default is the right answer for most users.
The parsers here are pure: text in, value out, ValueError with a clause that says what was expected.
What needs another layer (digests: ``formats.hashes``) is parsed where that layer may be imported.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from thunderdl.errors import UsageError, printable
from thunderdl.model import Digest, PieceHashes

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
    FILES = "LIST"
    PEER = "HOST:PORT"
    TRACKER = "TRACKER"
    RATIO = "RATIO"
    ENCRYPTION = "POLICY "

    @property
    def repeats(self) -> bool:
        """Whether the flag may be given several times, all of which count."""
        return self in (Kind.HEADER, Kind.PEER, Kind.TRACKER)


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
    return field(default=default, metadata=metadata | {"unit": unit, "aria2": aria2, "scope": scope})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a client and of one download. Immutable; ``dataclasses.replace`` makes variants.

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
    piece_hashes: PieceHashes | None = _option(
        None, "Digests of the pieces, from a file.", Kind.PIECE_HASHES, once=True
    )  # fmt: skip
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
    ca: str | None = _option(
        None, "File or folder of certificates to trust.", Kind.PATH, aria2="ca-certificate", scope="session"
    )
    insecure: bool = _option(
        False, "Do not check certificates.", Kind.SWITCH, aria2="check-certificate", scope="session"
    )
    netrc: bool = _option(False, "Take passwords from ~/.netrc.", Kind.SWITCH, aria2="no-netrc", scope="session")
    accept_new_host_keys: bool = _option(
        False, "Over SFTP, trust servers that known_hosts does not name yet, and remember them.", Kind.SWITCH,
        scope="session",
    )  # fmt: skip
    cookies: str | None = _option(
        None, "Netscape cookie file to send from.", Kind.PATH, aria2="load-cookies", scope="session"
    )
    verify_resumed: bool = _option(
        False, "On resume, read back and check all that is there.", Kind.SWITCH, aria2="check-integrity"
    )
    torrent: str | None = _option(
        None, "Torrent of the same file: its peers join the URLs.", Kind.TORRENT, short="t", once=True
    )
    follow: bool = _option(
        True, "Download what a .torrent names, not the .torrent itself.", Kind.SWITCH, aria2="follow-torrent"
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
            value = getattr(self, row.name)
            if row.kind is Kind.COUNT and value < row.least:
                raise UsageError(f"{row.name} must be at least {row.least}, not {value}.")
            if row.kind is Kind.RATE:
                check_limit(row.name, value)
        self._check_sharing()
        if not self.timeout > 0:
            raise UsageError(f"timeout must be more than 0 seconds, not {self.timeout}.")
        for text in (self.user_agent, *(part for header in self.headers for part in header)):
            if _CONTROL.search(text):
                raise UsageError(f"{printable(text)!r}: a header must not hold control characters.")
        for name, _ in self.headers:
            if not re.fullmatch(_TOKEN, name):
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


_TABLE: list[Row] = []


def table() -> tuple[Row, ...]:
    """Every option, in the order of help."""
    if not _TABLE:
        _TABLE.extend(
            Row(name=each.name, default=each.default, **cast(Mapping[str, Any], each.metadata))
            for each in fields(Options)
        )
    return tuple(_TABLE)


# Patterns of the parsers are compiled when first used: most runs use none of them.
_RATE = r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(?:i?B)?(?:/s)?"
_SECONDS = r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|h)?"
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def parse_rate(text: str) -> int | None:
    """Bytes a second from ``500K``, ``2.5M``, ``1G`` or a plain number; 1K is 1024, as aria2 and curl count.

    None for 0: no limit. ValueError for anything else.
    """
    match = re.fullmatch(_RATE, text.strip(), re.IGNORECASE | re.ASCII)
    if match is None:
        raise ValueError("not a rate: write bytes a second, as 500K, 2.5M or 1G")
    rate = int(float(match[1]) * 1024 ** "_KMGT".index(match[2].upper() or "_"))
    if rate == 0 and float(match[1]) > 0:
        raise ValueError("less than one byte a second")
    return rate or None


def parse_limit(text: str) -> int | Timetable | None:
    """A rate as :func:`parse_rate` reads it, or one that depends on the clock: ``mon-fri 08:00-18:00=1M, 5M``.

    ValueError for anything else.
    """
    if "=" not in text:
        try:
            return parse_rate(text)
        except ValueError as error:
            raise ValueError(f"{error}, or by the clock, as 08:00-18:00=1M") from None
    # Loaded when first used: most runs have no timetable.
    from thunderdl.timetable import parse_timetable

    return parse_timetable(text, parse_rate)


def check_limit(name: str, limit: object) -> None:
    """Raise UsageError for what is no limit: a rate below one byte a second, text that was not parsed."""
    if isinstance(limit, str) or (isinstance(limit, int | float) and not 1 <= limit < math.inf):
        raise UsageError(f"{name} must be at least 1 byte a second, or None for no limit, not {limit!r}.")


def parse_seconds(text: str) -> float:
    """Seconds from ``30``, ``1.5s``, ``2m`` or ``1h``; more than 0, else ValueError."""
    match = re.fullmatch(_SECONDS, text.strip(), re.IGNORECASE | re.ASCII)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[(match[2] or "s").lower()] if match else 0.0
    if not 0 < seconds < math.inf:
        raise ValueError("not a duration: write seconds, or 2m, or 1h")
    return seconds


def parse_header(text: str) -> tuple[str, str]:
    """Name and value from ``NAME: VALUE``; ValueError without a colon, with an odd name or a control character."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(_TOKEN, name.strip()):
        raise ValueError("not a header: write NAME: VALUE")
    if _CONTROL.search(value):
        raise ValueError("a header must not hold newlines or other control characters")
    return name.strip(), value.strip()


def parse_count(text: str, least: int) -> int:
    """A whole number not below ``least``; ValueError otherwise."""
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdecimal() and len(stripped) < 10) or int(stripped) < least:
        raise ValueError(f"not a whole number from {least}")
    return int(stripped)


def parse_switch(text: str) -> bool:
    """True or False from yes/no, true/false, on/off, 1/0; ValueError otherwise."""
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise ValueError("neither yes nor no") from None


def parse_exists(text: str) -> Exists:
    """The policy named; ValueError lists those there are."""
    try:
        return Exists(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(policy.value for policy in Exists)}") from None


def parse_priority(text: str) -> Priority:
    """The level named; ValueError lists those there are."""
    try:
        return Priority(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(level.value for level in Priority)}") from None


def parse_encryption(text: str) -> Encryption:
    """The policy named; ValueError lists those there are."""
    try:
        return Encryption(text.strip().lower())
    except ValueError:
        raise ValueError(f"none of {', '.join(policy.value for policy in Encryption)}") from None


def parse_peer(text: str) -> tuple[str, int]:
    """Address and port from ``192.0.2.1:6881`` or ``[2001:db8::1]:6881``; ValueError for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if not (colon and host and re.fullmatch(r"[0-9A-Fa-f.:\[\]]+", host)):
        raise ValueError("not a peer: write its address and port, as 192.0.2.1:6881")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("not a port")
    return host.strip("[]"), int(port)


def parse_tracker(text: str) -> str:
    """The URL itself; ValueError where trackers are not spoken to so."""
    if not re.match(r"(udp|https?|wss?)://[^\s/]", text) or _CONTROL.search(text):
        raise ValueError("not a tracker: write its URL, udp://, http:// or https://")
    return text


def parse_ratio(text: str) -> float:
    """A number from 0 on; ValueError for anything else."""
    if not re.fullmatch(r"\d{1,6}(\.\d*)?|\.\d+", text.strip(), re.ASCII):
        raise ValueError("not a ratio: write a number, as 1 or 0.5")
    return float(text)


def parse_text(text: str) -> str:
    """The text itself; ValueError if it is empty or holds control characters (bad-inputs T5)."""
    if not text:
        raise ValueError("empty")
    if _CONTROL.search(text):
        raise ValueError("holds newlines or other control characters")
    return text


def parse_value(row: Row, text: str) -> object:
    """The value that ``text`` means for this row; ValueError with a clause. Not for DIGEST and PIECE_HASHES."""
    if row.kind is Kind.COUNT:
        return parse_count(text, row.least)
    return _PARSERS.get(row.kind, parse_text)(text)


_PARSERS: Mapping[Kind, Callable[[str], object]] = {
    Kind.SECONDS: parse_seconds, Kind.RATE: parse_limit, Kind.SWITCH: parse_switch, Kind.HEADER: parse_header,
    Kind.EXISTS: parse_exists, Kind.PRIORITY: parse_priority, Kind.ENCRYPTION: parse_encryption,
    Kind.PEER: parse_peer, Kind.TRACKER: parse_tracker, Kind.RATIO: parse_ratio,
}  # fmt: skip
