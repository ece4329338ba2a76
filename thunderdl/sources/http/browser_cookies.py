"""Cookies out of a browser's own store, for one host at a time: nothing else of it is looked at.

The library is an extra (``pip install 'thunderdl[browser]'``), loaded when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import cookiejar
from typing import cast

from thunderdl.errors import UsageError, clause, printable
from thunderdl.formats.cookies import Cookie, is_below
from thunderdl.sources.http.suffixes import registered_domain

BROWSERS = (
    "firefox", "chrome", "chromium", "edge", "brave", "opera", "opera_gx", "vivaldi", "librewolf", "safari", "arc",
)  # fmt: skip
_Read = Callable[..., Iterable[cookiejar.Cookie]]


def browser_cookies(browser: str, host: str) -> list[Cookie]:
    """The cookies that ``host`` may have of ``browser``: its name, or ``NAME:FILE`` for another store of that kind.

    Blocking: reads a database, and may ask the system's keyring. Raises UsageError.
    """
    name, _, file = browser.partition(":")
    if name.lower() not in BROWSERS:
        raise UsageError(f"--cookies-from-browser {printable(name)[:40]}: none of {', '.join(BROWSERS)}.")
    try:
        import browser_cookie3
    except ImportError:
        raise UsageError("--cookies-from-browser needs one more library: pip install 'thunderdl[browser]'.") from None
    read = cast(_Read, getattr(browser_cookie3, name.lower()))
    try:
        found = list(read(cookie_file=file or None, domain_name=registered_domain(host)))
    except Exception as error:  # the library raises what it meets: of SQLite, of the file system, of ciphers
        reason = error.strerror if isinstance(error, OSError) and error.strerror else clause(error)[:200]
        raise UsageError(f"--cookies-from-browser {printable(name)}: {reason}.") from None
    return [cookie for each in found if (cookie := _ours(each)) and _is_for(cookie, host)]


def _is_for(cookie: Cookie, host: str) -> bool:
    return cookie.domain == host or (cookie.is_for_below and is_below(host, cookie.domain))


def _ours(cookie: cookiejar.Cookie) -> Cookie | None:
    if not all((text or "").isprintable() for text in (cookie.name, cookie.value, cookie.domain, cookie.path)):
        return None
    return Cookie(
        name=cookie.name, value=cookie.value or "", domain=cookie.domain.lower().removeprefix("."),
        path=cookie.path or "/", is_for_below=cookie.domain.startswith("."), is_secure=cookie.secure,
        expires=cookie.expires,
    )  # fmt: skip
