"""``--ask-password``: passwords that are typed, so that they are in no history and no list of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit

from thunderdl.errors import UsageError, printable


class Asked:
    """``ask``: shows a prompt, returns what was typed. Each user of each host is asked for once."""

    def __init__(self, ask: Callable[[str], str] | None = None) -> None:
        self._ask = ask or _on_terminal
        self._known: dict[str, str] = {}

    def all(self, urls: Sequence[str]) -> tuple[str, ...]:
        """The URLs, with a password where they name a user and none. Raises UsageError where nobody can be asked."""
        return tuple(map(self._with_password, urls))

    def _with_password(self, url: str) -> str:
        parts = urlsplit(url)
        userinfo, at, host = parts.netloc.rpartition("@")
        if not at or not userinfo or ":" in userinfo:
            return url
        if parts.netloc not in self._known:
            self._known[parts.netloc] = self._ask(f"Password of {printable(unquote(userinfo))} at {printable(host)}: ")
        return parts._replace(netloc=f"{userinfo}:{quote(self._known[parts.netloc], safe='')}@{host}").geturl()


def _on_terminal(prompt: str) -> str:
    import getpass
    import os

    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        # getpass would read from standard input then, with an echo.
        raise UsageError("--ask-password needs a terminal; use --netrc instead.") from None
    return getpass.getpass(prompt)
