"""Cookies as RFC 6265bis has them: from Netscape files and Set-Cookie, and which of them a request may carry. Pure.

Invariants:
1. A cookie goes to the host that it is for, and below it only where it says so, on the border of a label: never by
   the end of a string (yt-dlp CVE-2023-35934, CPython CVE-2018-20852).
2. None goes below a public suffix (curl CVE-2014-3620, CVE-2023-46218); an address has nothing below it.
3. A value with a control character is no value; a line that is none is skipped, never guessed at (wget CVE-2018-0494).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
# RFC 6265bis section 5.6; servers must not fill our memory or their neighbours' requests.
MAX_COOKIE_CHARS = 4096
MAX_COOKIES = 3000
MAX_OF_A_DOMAIN = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """``domain``: in lower case, without a leading dot; ``is_for_below``: whether hosts under it have it too;
    ``expires``: seconds since 1970, None for the end of the session."""

    name: str
    value: str
    domain: str
    path: str = "/"
    is_for_below: bool = False
    is_secure: bool = False
    expires: float | None = None


class CookieJar:
    """``is_public_suffix``: whether anybody may register names directly under a domain."""

    def __init__(self, is_public_suffix: Callable[[str], bool]) -> None:
        self._is_public_suffix = is_public_suffix
        self._kept: dict[tuple[str, str, str], Cookie] = {}

    def __iter__(self) -> Iterator[Cookie]:
        return iter(tuple(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, cookie: Cookie) -> None:
        """Keep it in place of one of the same name, domain and path; the oldest goes where there are too many."""
        key = (cookie.domain, cookie.path, cookie.name)
        if key not in self._kept:
            here = [each for each in self._kept if each[0] == cookie.domain]
            if len(here) >= MAX_OF_A_DOMAIN:
                del self._kept[here[0]]
            elif len(self._kept) >= MAX_COOKIES:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = cookie

    def take(self, text: str, *, host: str, path: str, is_secure: bool, now: float) -> None:
        """Keep what a Set-Cookie of ``host`` says, where it may say it. ``is_secure``: by which way it came."""
        cookie = parse_set_cookie(text, host=host, path=path, now=now)
        if cookie is None or (cookie.is_secure and not is_secure):
            return
        before = self._kept.get((cookie.domain, cookie.path, cookie.name))
        if before is not None and before.is_secure and not is_secure:
            # RFC 6265bis section 5.7: who listens on the way must not write over what he cannot read.
            return
        if cookie.expires is not None and cookie.expires <= now:
            self._kept.pop((cookie.domain, cookie.path, cookie.name), None)
        else:
            self.put(cookie)

    def header(self, *, host: str, path: str, is_secure: bool, now: float, except_names: frozenset[str]) -> str:
        """The value of Cookie for a request, empty for none: the longest path first (RFC 6265bis section 5.8.3)."""
        fit = [c for c in self._kept.values() if self._fits(c, host, path, is_secure, now)]
        fit.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{c.name}={c.value}" if c.name else c.value for c in fit if c.name not in except_names)

    def _fits(self, cookie: Cookie, host: str, path: str, is_secure: bool, now: float) -> bool:
        if (cookie.is_secure and not is_secure) or (cookie.expires is not None and cookie.expires <= now):
            return False
        if not path_matches(path, cookie.path):
            return False
        if host == cookie.domain:
            return True
        return cookie.is_for_below and is_below(host, cookie.domain) and not self._is_public_suffix(cookie.domain)


def is_below(host: str, domain: str) -> bool:
    """Whether ``host`` is a name under ``domain``, both in lower case; an address is under nothing."""
    return bool(domain) and host[1:].endswith("." + domain) and not _ADDRESS.fullmatch(host)


def path_matches(path: str, of_cookie: str) -> bool:
    """RFC 6265bis section 5.1.4."""
    return path == of_cookie or (
        path.startswith(of_cookie) and (of_cookie.endswith("/") or path[len(of_cookie)] == "/")
    )


def parse_set_cookie(text: str, *, host: str, path: str, now: float) -> Cookie | None:
    """The cookie that a Set-Cookie of ``host`` for a request of ``path`` makes; None where it makes none
    (RFC 6265bis sections 5.6 and 5.7)."""
    if _CONTROL.search(text) or len(text) > 2 * MAX_COOKIE_CHARS:
        return None
    pair, *rest = text.split(";")
    name, equals, value = (part.strip(" \t") for part in pair.partition("="))
    if not equals:
        name, value = "", name
    if not (name or value) or len(name) + len(value) > MAX_COOKIE_CHARS:
        return None
    attributes: dict[str, str] = {}
    for each in rest:
        key, _, said = (part.strip(" \t") for part in each.partition("="))
        attributes[key.lower()] = said
    cookie = Cookie(name=name, value=value, domain=host, path=_default_path(path), is_secure="secure" in attributes)
    if attributes.get("path", "").startswith("/"):
        cookie = replace(cookie, path=attributes["path"])
    cookie = replace(cookie, expires=_expires(attributes, now))
    domain = attributes.get("domain", "").lower().removeprefix(".")
    if domain and domain != host:
        if not is_below(host, domain):
            return None
        cookie = replace(cookie, domain=domain)
    cookie = replace(cookie, is_for_below=bool(domain) and not _ADDRESS.fullmatch(host))
    return cookie if _prefix_holds(cookie, has_domain=bool(domain)) else None


def _prefix_holds(cookie: Cookie, *, has_domain: bool) -> bool:
    name = cookie.name.lower()
    if name.startswith("__host-"):
        return cookie.is_secure and not has_domain and cookie.path == "/"
    return cookie.is_secure or not name.startswith("__secure-")


def _default_path(path: str) -> str:
    plain = path.partition("?")[0]
    return plain[: plain.rfind("/")] or "/" if plain.startswith("/") else "/"


def _expires(attributes: dict[str, str], now: float) -> float | None:
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,18}", age):
        return now + int(age)
    # Loaded when first needed: email.utils takes 8 ms.
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(attributes["expires"].replace("-", " ")).timestamp()
    except (KeyError, ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def parse_cookie_file(text: str) -> tuple[list[Cookie], int]:
    """The cookies of a Netscape file, and how many lines were none."""
    cookies: list[Cookie] = []
    skipped = 0
    for line in re.split(r"\r?\n", text.removeprefix("\ufeff")):
        line = line.removeprefix("#HttpOnly_")
        if not line.strip() or line.startswith("#"):
            continue
        cookie = _of_line(line)
        if cookie is None:
            skipped += 1
        else:
            cookies.append(cookie)
    return cookies, skipped


def _of_line(line: str) -> Cookie | None:
    parts = line.split("\t")
    if len(parts) == 6:
        # An empty value at the end of a line is often cut with the tab before it.
        parts.append("")
    if len(parts) != 7 or _CONTROL.search(line):
        return None
    domain, below, path, secure, expires, name, value = parts
    domain = domain.lower().removeprefix(".")
    rightly = {below.upper(), secure.upper()} <= {"TRUE", "FALSE"} and re.fullmatch(r"[0-9]{1,18}(\.[0-9]*)?", expires)
    if not rightly or not domain or domain.endswith(".") or not path.startswith("/") or not (name or value):
        return None
    if re.search(r"[;\s]", name + domain) or ";" in value:
        return None
    return Cookie(
        name=name, value=value, domain=domain, path=path, is_for_below=below.upper() == "TRUE",
        is_secure=secure.upper() == "TRUE", expires=float(expires) or None,
    )  # fmt: skip
