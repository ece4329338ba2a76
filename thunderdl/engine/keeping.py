"""Where secrets are kept: netrc, cookie files, browsers, the keyring, password files, the environment. Each is read
once for a session, or once for a host, in a thread; what a request carries of it is for :mod:`thunderdl.engine.access`.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from thunderdl.errors import UsageError, printable
from thunderdl.formats.cookies import CookieJar, parse_cookie_file
from thunderdl.formats.netrc import Entry, NetrcError, login_of, parse_netrc
from thunderdl.options import Options
from thunderdl.sources.http.wire import DEFAULT_PORTS, Endpoint

KEYRING_SERVICE = "thunderdl"
MAX_NETRC_CHARS = 1024 * 1024
MAX_COOKIE_FILE_BYTES = 16 * 1024 * 1024
OnDisk = Callable[..., Awaitable[None]]


class Login(NamedTuple):
    """``at_once``: with the first request, not only when it is asked for."""

    user: str
    password: str
    at_once: bool = False


class Keeping:
    """``jar``: gets the cookies of files and browsers. ``remarks``: what the user should know of it."""

    def __init__(self, options: Options, jar: CookieJar) -> None:
        self._options, self._jar = options, jar
        self.remarks: list[str] = []
        self._netrc: tuple[Entry, ...] = ()
        self._read_once = False
        self._hosts: set[str] = set()
        self._passwords: dict[str, str] = {}
        self._keyring: dict[str, str | None] = {}
        self._turn = asyncio.Lock()

    async def prepare(self, on_disk: OnDisk, endpoint: Endpoint, options: Options) -> None:
        """Have what is kept for this host at hand. Raises UsageError."""
        wanted = self._options
        if not endpoint.host:
            # file: and data:, where nobody asks who is there.
            return
        kept = wanted.netrc or wanted.cookies or wanted.cookies_from_browser
        if not (kept or options.password_file or options.keyring):
            return
        # One after the other: else whoever comes while it is read goes without, and each file is read twice.
        async with self._turn:
            await self._prepare(on_disk, endpoint, options)

    async def _prepare(self, on_disk: OnDisk, endpoint: Endpoint, options: Options) -> None:
        wanted = self._options
        if not self._read_once and (wanted.netrc or wanted.cookies):
            await on_disk(self._read_files)
            self._read_once = True
        if wanted.cookies_from_browser and endpoint.host not in self._hosts:
            await on_disk(self._read_browser, endpoint.host)
            self._hosts.add(endpoint.host)
        if options.password_file and options.password_file not in self._passwords:
            await on_disk(self._read_password, options.password_file)
        names = [_entry(endpoint), *([f"{options.user}@{endpoint.host}"] if options.user else [])]
        if options.keyring and not self._keyring.keys() >= set(names):
            await on_disk(self._ask_keyring, names)

    def netrc_login(self, host: str, user: str | None, *, with_default: bool) -> Login | None:
        """The login for a host, None for none; ``user``: the one whose password is looked for; ``with_default``: also
        the entry for all other hosts."""
        found = login_of(self._netrc, host, user, with_default=with_default)
        if found is None or (found.login is None and found.password is None):
            return None
        return Login(user or found.login or "", found.password or "", at_once=True)

    def password(self, options: Options, host: str) -> str:
        """The password for ``options.user`` at a host, empty where none is known."""
        if options.password is not None:
            return options.password
        if options.password_file is not None:
            return self._passwords.get(options.password_file, "")
        return self._keyring.get(f"{options.user}@{host}") or ""

    def token(self, endpoint: Endpoint) -> str | None:
        """The token for this host alone."""
        return environment_token(endpoint) or self._keyring.get(_entry(endpoint))

    def _read_files(self) -> None:
        if self._options.netrc:
            self._read_netrc()
        if self._options.cookies:
            self._read_cookies(self._options.cookies)

    def _read_netrc(self) -> None:
        path = netrc_path()
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                text = stream.read(MAX_NETRC_CHARS)
                if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                    told = f"{printable(path)} can be read by others on this machine; chmod 600 stops that"
                    self.remarks.append(told)
            self._netrc = parse_netrc(text)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"{printable(path)}: {error.strerror or 'unreadable'}.") from None
        except NetrcError as error:
            raise UsageError(f"{printable(path)}: {printable(str(error))}.") from None

    def _read_cookies(self, path: str) -> None:
        try:
            with open(path, "rb") as stream:
                text = stream.read(MAX_COOKIE_FILE_BYTES).decode("utf-8", "surrogateescape")
        except OSError as error:
            raise UsageError(f"--cookies {printable(path)}: {error.strerror or 'unreadable'}.") from None
        cookies, skipped = parse_cookie_file(text)
        if skipped and not cookies:
            raise UsageError(f"--cookies {printable(path)}: it is no Netscape cookie file.")
        for cookie in cookies:
            self._jar.put(cookie)
        if skipped:
            lines = "1 line was" if skipped == 1 else f"{skipped} lines were"
            self.remarks.append(f"--cookies {printable(path)}: {lines} no cookie and skipped")

    def _read_browser(self, host: str) -> None:
        from thunderdl.sources.http.browser_cookies import browser_cookies

        for cookie in browser_cookies(self._options.cookies_from_browser or "", host):
            self._jar.put(cookie)

    def _read_password(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                password = stream.readline(4096).rstrip("\r\n")
        except OSError as error:
            raise UsageError(f"--password-file {printable(path)}: {error.strerror or 'unreadable'}.") from None
        if re.search(r"[\x00-\x1f\x7f]", password):
            raise UsageError(f"--password-file {printable(path)}: its first line holds control characters.")
        self._passwords[path] = password

    def _ask_keyring(self, names: list[str]) -> None:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            raise UsageError("--keyring needs one more library: pip install 'thunderdl[keyring]'.") from None
        try:
            for name in names:
                found = keyring.get_password(KEYRING_SERVICE, name)
                self._keyring[name] = found if found and found.isprintable() else None
        except KeyringError as error:
            raise UsageError(f"--keyring: the keyring cannot be read ({printable(str(error))[:200]}).") from None


def netrc_path() -> str:
    """Where the user's netrc is, or would be."""
    return os.environ.get("NETRC") or os.path.expanduser("~/.netrc")


def _entry(endpoint: Endpoint) -> str:
    """What a host's token is called in the keyring."""
    usual = endpoint.port == DEFAULT_PORTS[endpoint.scheme]
    return endpoint.host if usual else f"{endpoint.host}:{endpoint.port}"


def token_variable(endpoint: Endpoint) -> str | None:
    """The variable that holds a token for this host alone, None where none could.

    ``-`` is written twice, or the token of ``api.example.org`` would go to ``api-example.org``, whoever registers that;
    a port that is not the usual one is written behind it.
    """
    if not re.fullmatch(r"[a-z0-9.-]+", endpoint.host):
        return None
    name = endpoint.host.replace("-", "__").replace(".", "_").upper()
    port = "" if endpoint.port == DEFAULT_PORTS[endpoint.scheme] else f"_{endpoint.port}"
    return f"THUNDERDL_TOKEN_{name}{port}"


def environment_token(endpoint: Endpoint) -> str | None:
    """The token that the environment has for this host."""
    variable = token_variable(endpoint)
    token = os.environ.get(variable) if variable else None
    return token if token and token.isprintable() else None
