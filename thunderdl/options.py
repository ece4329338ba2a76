"""Every option once: name, type, unit, default, help, aria2's name for it.

The fields of :class:`Options` are the table: command line, configuration file, environment, documentation
(and later the RPC) are made from it. A default is the right answer for most users.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from thunderdl.model import Digest, PieceHashes

DEFAULT_USER_AGENT = "thunderdl"


class Exists(enum.Enum):
    """What to do when the target's name is taken."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    RENAME = "rename"
    SKIP = "skip"


def _option(default: Any, text: str, *, unit: str = "", aria2: str = "", scope: str = "task") -> Any:
    """One row. ``scope``: ``task`` may differ for each download, ``session`` is shared by all of a client."""
    return field(default=default, metadata={"help": text, "unit": unit, "aria2": aria2, "scope": scope})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a client and of one download. Immutable; ``dataclasses.replace`` makes variants."""

    dir: str = _option(".", "Folder to save into; made if absent.", aria2="dir")
    out: str | None = _option(None, "File name to save as, instead of the URL's.", aria2="out")
    exists: Exists = _option(Exists.REFUSE, "What to do when the name is taken.", aria2="allow-overwrite")
    checksum: Digest | None = _option(None, "Digest of the whole file, as ALGO=HEX.", aria2="checksum")
    piece_hashes: PieceHashes | None = _option(None, "Digests of the pieces, from a file.")
    key: bool = _option(False, "Also compute the content key (BEP 52 root).")
    connections: int = _option(32, "Connections in all.", scope="session")
    per_host: int = _option(16, "Connections to one host at most.", aria2="max-connection-per-server", scope="session")
    jobs: int = _option(16, "Files at once.", aria2="max-concurrent-downloads", scope="session")
    limit: int | None = _option(
        None, "Most bytes a second over all downloads, as 500K, 2.5M …", unit="bytes/s",
        aria2="max-overall-download-limit", scope="session",
    )  # fmt: skip
    headers: tuple[tuple[str, str], ...] = _option((), "Header to send, as NAME: VALUE.", aria2="header")
    user_agent: str = _option(DEFAULT_USER_AGENT, "User-Agent to send.", aria2="user-agent")
    timeout: float = _option(30.0, "Give a silent server up after this long.", unit="s", aria2="timeout")
    retries: int = _option(5, "Times in a row to try a source again after a passing fault.", aria2="max-tries")
    proxy: str | None = _option(None, "Proxy for all traffic: http, https, socks4, socks5 URL.", aria2="all-proxy")
    ca: str | None = _option(None, "File or folder of certificates to trust.", aria2="ca-certificate", scope="session")
    insecure: bool = _option(False, "Do not check certificates.", aria2="check-certificate", scope="session")
    netrc: bool = _option(False, "Take passwords from ~/.netrc.", aria2="no-netrc", scope="session")
    cookies: str | None = _option(None, "Netscape cookie file to send from.", aria2="load-cookies", scope="session")
    verify_resumed: bool = _option(False, "On resume, read back and check all that is there.", aria2="check-integrity")
