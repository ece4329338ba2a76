"""What a link is, told from its text alone."""

from __future__ import annotations

import re

# What files can be downloaded by; the second kind is the user's alone to name (C12): these read what is here.
REMOTE_SCHEMES = ("http", "https", "ftp", "ftps", "ftpes", "sftp")
# What others than the user may name: nobody but the user has a file of this machine read, or keys offered to a host.
FOREIGN_SCHEMES = frozenset({"http", "https", "ftp", "ftps", "ftpes"})
LOCAL_SCHEMES = ("file", "data")
_MAGNET = re.compile(r"magnet:\?", re.IGNORECASE)
_UNALTERED = frozenset({"https", "ftps", "ftpes", "sftp", "file", "data"})
_LOOPBACK = re.compile(r"(?:127(?:\.[0-9]{1,3}){3}|localhost|\[::1\])(?::[0-9]*)?")
_METALINK_TYPES = ("application/metalink4+xml", "application/metalink+xml")
_WEB_SEED = re.compile(r"https?://[^\s/?#\x00-\x20\x7f-\x9f][^\s\x00-\x20\x7f-\x9f\ud800-\udfff]*", re.IGNORECASE)


def is_magnet(text: str) -> bool:
    """Whether it is a magnet link, good or bad."""
    return _MAGNET.match(text) is not None


def scheme_of(text: str) -> str:
    """The scheme of a URL in lower case; empty where there is none."""
    scheme, colon, _ = text.lstrip(" ").partition(":")
    return scheme.lower() if colon else ""


def taken_apart(url: str) -> tuple[str, str]:
    """Authority and path of a URL whose ``?`` is none of a query's (RFC 1738 section 3.2, RFC 8089), as written.

    The authority ends at a ``?`` all the same (RFC 3986 section 3.2): that is the host a connection goes to.
    """
    rest = url.strip(" ").partition(":")[2].partition("#")[0]
    if not rest.startswith("//"):
        return "", rest
    authority = re.split(r"[/?]", rest[2:], maxsplit=1)[0]
    path = rest[2 + len(authority) :]
    # An empty one is the root's (section 6.2.3 there): whoever reads a path counts on its slash.
    return authority, f"/{path}" if path.startswith("?") else path


def names_torrent(text: str) -> bool:
    """Whether what it names is a torrent: a magnet link, a file or a URL that ends in ``.torrent``."""
    if is_magnet(text):
        return True
    path = re.split(r"[?#]", text, maxsplit=1)[0] if "://" in text else text
    return path.lower().endswith(".torrent")


def names_metalink(text: str) -> bool:
    """Whether it is a file or a URL that ends in ``.meta4`` or ``.metalink`` (RFC 5854 section 1; version 3), or the
    gzip of such a file here: of a URL it is a file to be saved, as aria2 and curl do."""
    path = re.split(r"[?#]", text, maxsplit=1)[0].lower() if "://" in text else text.lower().removesuffix(".gz")
    return path.endswith((".meta4", ".metalink"))


def is_metalink_type(content_type: str) -> bool:
    """Whether an answer's Content-Type is a metalink's: version 4 (RFC 5854 section 7) or 3."""
    return content_type.partition(";")[0].strip().lower() in _METALINK_TYPES


def is_unaltered(url: str) -> bool:
    """Whether nobody on the way can have changed what comes from there: over TLS or SSH, or from this machine itself
    (W3C Secure Contexts section 3.1 draws the same line)."""
    authority, _ = taken_apart(url)
    host = authority.rpartition("@")[2].lower()
    return scheme_of(url) in _UNALTERED or _LOOPBACK.fullmatch(host) is not None


def web_seed(text: str) -> str | None:
    """The URL of a web seed (BEP 19) without the space around it; None for what is no URL over HTTP.

    libtorrent takes whatever a torrent says; a file: URL or a newline in one is not to get so far (bad-inputs B7).
    """
    url = text.strip()
    return url if _WEB_SEED.fullmatch(url) else None
