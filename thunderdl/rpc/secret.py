"""The secret of the daemon: made at the first start, proven in constant time, and slowly where it was wrong.

Cookies are signed with it, so that they outlive a restart and need no list; who has another secret has no cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable

from thunderdl.errors import UsageError, printable
from thunderdl.options import Exists
from thunderdl.storage.files import sync_folder, write_small

# As aria2 does after "Unauthorized".
DELAY_S = 1.0
# So many guesses wait at once; those that come then are not looked at.
MOST_DELAYED = 32
COOKIE_S = 30 * 24 * 3600
_MOST_REVOKED = 10_000
_MOST_SECRET_BYTES = 4096


class TooManyGuesses(Exception):
    """So many wrong secrets wait that this one was not looked at."""


class Secret:
    """The secret itself is not kept, but its hash and a key made of it."""

    def __init__(
        self, text: str, *, delay_s: float = DELAY_S, most_delayed: int = MOST_DELAYED,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._hash = _hash_of(text)
        self._key = hashlib.sha256(b"thunderdl: key of cookies\0" + text.encode()).digest()
        self._delay_s, self._most_delayed, self._clock = delay_s, most_delayed, clock
        self._delayed = 0
        self._revoked: dict[str, None] = {}

    def is_it(self, text: str) -> bool:
        """Whether that is the secret, in a time that says nothing of it."""
        return hmac.compare_digest(_hash_of(text), self._hash)

    async def proven(self, text: str) -> bool:
        """The same for a guess from outside: False only after a second. Raises TooManyGuesses."""
        if self._delayed >= self._most_delayed:
            raise TooManyGuesses
        if self.is_it(text):
            return True
        self._delayed += 1
        try:
            await asyncio.sleep(self._delay_s)
        finally:
            self._delayed -= 1
        return False

    async def is_proven(self, text: str) -> bool:
        """:meth:`proven` for an interface that has no answer for too many guesses: they are wrong, unlooked at."""
        try:
            return await self.proven(text)
        except TooManyGuesses:
            return False

    def cookie(self) -> str:
        """A new cookie."""
        told = f"{int(self._clock())}.{secrets.token_hex(8)}"
        return f"{told}.{self._signed(told)}"

    def admits(self, cookie: str) -> bool:
        """Whether a cookie is one of ours that still holds. Nobody guesses a signature: this answers at once."""
        if not cookie:
            return False
        told, _, signature = cookie.rpartition(".")
        began = told.partition(".")[0]
        if not hmac.compare_digest(self._signed(told).encode(), signature.encode("utf-8", "replace")):
            return False
        return cookie not in self._revoked and 0 <= self._clock() - int(began) < COOKIE_S

    def revoke(self, cookie: str) -> None:
        """Take a cookie back, until the daemon ends."""
        if self.admits(cookie):
            self._revoked[cookie] = None
            if len(self._revoked) > _MOST_REVOKED:
                del self._revoked[next(iter(self._revoked))]

    def _signed(self, told: str) -> str:
        return hmac.new(self._key, told.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def kept_secret(folder: str) -> str:
    """The secret in the state folder's file ``secret``, made where there is none. Raises UsageError, StorageError."""
    path = os.path.join(folder, "secret")
    if os.path.lexists(path):
        return secret_in(path)
    text = secrets.token_urlsafe(24)
    before = os.umask(0o077)
    try:
        write_small(path, f"{text}\n".encode(), Exists.REFUSE)
    finally:
        os.umask(before)
    sync_folder(folder)
    return text


def secret_in(path: str) -> str:
    """The first line of a file that nobody else may read. Raises UsageError."""
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            line = stream.read(_MOST_SECRET_BYTES).partition(b"\n")[0].strip()
    except OSError as error:
        raise UsageError(f"{printable(path)}: {(error.strerror or str(error)).lower()}.") from error
    if mode & 0o077:
        raise UsageError(f"{printable(path)}: others than you may read it; chmod 600 {printable(path)}.")
    try:
        return checked_secret(line.decode("ascii"), printable(path))
    except UnicodeDecodeError:
        raise UsageError(f"{printable(path)}: a secret is made of ASCII characters.") from None


def checked_secret(text: str, origin: str) -> str:
    """A secret that can be one. Raises UsageError that begins with ``origin``."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{origin}: a secret is at least one ASCII character, without spaces.")
    return text
