"""What may be a URL on the command line or in an input list: one check, before anything is tried.

It refuses what could be read twice (bad-inputs T5: a newline makes a second entry elsewhere) and says what
was probably meant. It resolves nothing and keeps the URL as typed. No urllib: its import costs 2 ms of the
start-up budget, and the parser that decides about hosts is the client's, not a second one here.
"""

from __future__ import annotations

import re

from thunderdl.errors import InvalidUrl
from thunderdl.formats.links import LOCAL_SCHEMES, REMOTE_SCHEMES, is_magnet, names_metalink, names_torrent
from thunderdl.formats.old_links import is_ed2k, opened, parse_ed2k

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_HOST_LIKE = r"(localhost|\[[0-9A-Fa-f:.]+\]|[^\s/:?#@]+\.[^\s/:?#@]+)(:\d+)?([/?#].*)?"
_AUTHORITY = re.compile(r"[^/?#]*")
_BRACKET = re.compile(r"[\[\]]")
_IN_BRACKETS = re.compile(r"([^@\[\]]*@)?\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\](:\d*)?")
_PORT = re.compile(r":([^@:\]]*)$")
LONGEST = 65536


def checked_target(text: str) -> str:
    """What may name a download: a URL, a magnet or ed2k link, the path of a .torrent or metalink. Raises InvalidUrl.

    Of a thunder, flashget or qqdl link it is what is inside.
    """
    if "://" not in text and (names_torrent(text) or names_metalink(text)) and not is_magnet(text):
        # A path may hold spaces; whether it is there is seen when it is opened.
        return text
    url = _opened(text)
    if is_ed2k(url):
        parse_ed2k(_without_controls(url))
        return url
    return checked(url)


def checked(url: str) -> str:
    """The URL itself, or what is inside a link of the old tools; InvalidUrl says why it cannot be one, and what was
    probably meant."""
    if not url:
        raise InvalidUrl(url, "it is empty")
    if len(url) > LONGEST:
        raise InvalidUrl(url, f"it is longer than {LONGEST} characters")
    url = _opened(url)
    if unsafe := _UNSAFE.search(url):
        raise InvalidUrl(url, f"it holds {_what_is_unsafe(unsafe[0])}")
    if is_ed2k(url):
        raise InvalidUrl(url, "an ed2k link names a file and no place to fetch it from; give it in place of the URL")
    if is_magnet(url):
        return url
    _check_scheme(url)
    return url


def _check_scheme(url: str) -> None:
    if "://" not in url and re.fullmatch(_HOST_LIKE, url):
        raise InvalidUrl(url, f"it has no scheme; write {f'https://{url[:200]}'!r}")
    match = _SCHEME.match(url)
    if match is None:
        raise InvalidUrl(url, "it must begin with https://, http://, ftp://, sftp:// or magnet:?")
    scheme = match[1].lower()
    if scheme in LOCAL_SCHEMES:
        return
    if scheme not in REMOTE_SCHEMES:
        raise InvalidUrl(url, f"the scheme {match[1]!r} is not supported")
    rest = url[match.end() :]
    if not rest.startswith("//") or rest[2:3] in ("", "/", "?", "#"):
        raise InvalidUrl(url, "it names no host")
    authority = _AUTHORITY.match(rest, 2)
    if authority and _BRACKET.search(authority[0]) and not _IN_BRACKETS.fullmatch(authority[0]):
        raise InvalidUrl(url, "its host is no IPv6 address in brackets")
    port = _PORT.search(authority[0]) if authority else None
    if port and port[1] and not (re.fullmatch("[0-9]{1,5}", port[1]) and int(port[1]) < 65536):
        raise InvalidUrl(url, "its port is no number from 0 to 65535")


def _opened(text: str) -> str:
    return opened(text) if len(text) <= LONGEST else text


def _without_controls(link: str) -> str:
    # Names in ed2k links hold spaces as they are.
    unsafe = _UNSAFE.search(link.replace(" ", ""))
    if unsafe or len(link) > LONGEST:
        raise InvalidUrl(link, f"it holds {_what_is_unsafe(unsafe[0])}" if unsafe else "it is too long")
    return link


def _what_is_unsafe(character: str) -> str:
    if character == " ":
        return "a space (write %20)"
    # Bytes that are no UTF-8 arrive as lone surrogates (PEP 383).
    return "bytes that are not UTF-8" if character >= "\ud800" else "a newline or another control character"
