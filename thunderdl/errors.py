"""Every error that thunderdl raises, as one tree.

    ThunderdlError                 exit code 1
    ├── UsageError                 2   the caller's mistake: nothing was tried
    │   ├── InvalidUrl             2
    │   └── TargetExists          10   the name is taken and no policy was given
    ├── SourceError                    one attempt at one source went wrong
    │   ├── PassingFault           4   may work later: back off and try again
    │   │   ├── ConnectFailed      4
    │   │   ├── TimedOut           4
    │   │   ├── ConnectionLost     4   closed before the promised bytes came
    │   │   └── ServerBusy         6   429 or 5xx, perhaps with Retry-After
    │   └── LastingFault           6   will not work later: leave this source
    │       ├── NoSuchHost         4
    │       ├── TlsFailure        12
    │       ├── NotFound           3   404, 410
    │       ├── AccessDenied       5   401, 403, 407, 451
    │       │   └── LinkExpired    5   and no new link of the same file could be had
    │       ├── RedirectRefused    6   loop, downgrade, foreign scheme, inward
    │       ├── BadResponse        6   against RFC 9110/9112, or other bytes than asked
    │       │   └── IsFolder       6   a file server has a folder of that name
    │       └── RangesUnsupported  6   answered 200 to a range
    ├── ContentChanged             8   the resource is another version than the one begun
    ├── BadContent                 7   bytes do not match a hash that was given
    ├── BadSignature               7   not signed as the user wants it
    ├── StorageError               9   disk, folder, journal
    │   ├── DiskFull               9
    │   ├── FolderNotMade          9
    │   ├── TargetLocked          11   another process is at work on it
    │   └── JournalUnusable        9   newer version, or not ours
    ├── DownloadFailed                 no source is left; holds every attempt; its
    │                                  exit code is that of the most telling one
    ├── InternalError              1   a bug of ours, or no memory left
    └── Cancelled                130

Errors carry facts; ``__str__`` makes one sentence of them: what, where, what to do.
No message holds credentials: URLs pass through :func:`shown_url` first.
"""

from __future__ import annotations

import re

_USERINFO = r"(?<=://)[^/?#]*@"
# C0, DEL, C1, and the characters that reorder or hide text (bidi, zero width).
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"

# The whole file is in such a URL.
_MOST_DATA_SHOWN = 60


def printable(text: str) -> str:
    """The text with control, bidi and zero-width characters replaced by U+FFFD, safe for any terminal."""
    # Compiled when first needed: most texts are harmless, and start-up counts.
    return text if text.isprintable() else re.sub(_UNPRINTABLE, "\ufffd", text)


def shown_path(path: str) -> str:
    """The path as it is shown: what lies in this folder by its name alone, as everybody writes it."""
    return printable(path).removeprefix("./")


def without_userinfo(url: str) -> str:
    """The URL as it is kept: neither user name nor password, otherwise as it is."""
    return re.sub(_USERINFO, "", url) if "@" in url else url


def shown_url(url: str) -> str:
    """The URL as it may be shown or logged: no user name, no password, no control character."""
    if url.startswith("data:") and len(url) > _MOST_DATA_SHOWN:
        url = url[:_MOST_DATA_SHOWN] + "…"
    return printable(without_userinfo(url))


class ThunderdlError(Exception):
    """Root of the tree."""

    exit_code = 1


class UsageError(ThunderdlError):
    exit_code = 2


class InvalidUrl(UsageError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"{shown_url(self.url)[:200]!r} is not a URL that can be downloaded: {printable(self.reason)}."


class TargetExists(UsageError):
    exit_code = 10

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{shown_path(self.path)} exists already; choose --overwrite, --rename or --skip."


class SourceError(ThunderdlError):
    """One attempt at one source.

    ``url``: the source; ``reason``: a clause without a full stop; ``advice``: what to do, or empty; ``status``: what
    the server answered, None where it did not.
    """

    exit_code = 4
    status: int | None = None

    def __init__(self, url: str, reason: str, advice: str = "") -> None:
        super().__init__(url, reason, advice)
        self.url, self.reason, self.advice = url, reason, advice

    def __str__(self) -> str:
        # A library's message may repeat the URL: what stands before its @ is cut out of that too.
        tail = f"; {shown_url(self.advice)}" if self.advice else ""
        return f"{shown_url(self.url)}: {shown_url(self.reason)}{tail}."


def clause(error: Exception) -> str:
    """What went wrong, where the URL is told already: without it, without advice, without a full stop."""
    return printable(shown_url(error.reason if isinstance(error, SourceError) else str(error))).rstrip(".")


class PassingFault(SourceError):
    pass


class ConnectFailed(PassingFault):
    pass


class TimedOut(PassingFault):
    pass


class ConnectionLost(PassingFault):
    pass


class ServerBusy(PassingFault):
    """429 or 5xx, or what means the same elsewhere (``reason`` says it then). ``retry_after_s``: the server's own wish
    in seconds, None where it gave none.

    ``one_too_many``: other connections to it work, it wanted no further one.
    """

    exit_code = 6

    def __init__(self, url: str, status: int, retry_after_s: float | None = None, reason: str = "") -> None:
        super().__init__(url, reason or f"the server answered {status}")
        self.status: int = status
        self.retry_after_s = retry_after_s
        self.one_too_many = False


class LastingFault(SourceError):
    exit_code = 6


class NoSuchHost(LastingFault):
    exit_code = 4


class TlsFailure(LastingFault):
    exit_code = 12


class NotFound(LastingFault):
    exit_code = 3


class AccessDenied(LastingFault):
    """``challenges``: how the server would let somebody in, as it wrote that."""

    exit_code = 5
    challenges: tuple[str, ...] = ()


class LinkExpired(AccessDenied):
    """The link holds no more, and no new one of the same file could be had."""


class RedirectRefused(LastingFault):
    pass


class BadResponse(LastingFault):
    pass


class IsFolder(BadResponse):
    def __init__(self, url: str) -> None:
        super().__init__(url, "it is a folder; name one file in it, or use thunderdl mirror")


class RangesUnsupported(LastingFault):
    pass


class ContentChanged(ThunderdlError):
    exit_code = 8

    def __init__(self, url: str, was: str, now: str) -> None:
        super().__init__(url, was, now)
        self.url, self.was, self.now = url, was, now

    def __str__(self) -> str:
        return (
            f"{shown_url(self.url)}: the file on the server is another version "
            f"(was {printable(self.was)}, now {printable(self.now)})."
        )


class BadContent(ThunderdlError):
    """``where``: path or piece; ``expected`` and ``found``: ``algorithm=hex``; ``blame``: who served it."""

    exit_code = 7

    def __init__(self, where: str, expected: str, found: str, blame: tuple[str, ...] = ()) -> None:
        super().__init__(where, expected, found, blame)
        self.where, self.expected, self.found, self.blame = where, expected, found, blame

    def __str__(self) -> str:
        by = f"; served by {', '.join(map(shown_url, self.blame))}" if self.blame else ""
        return f"{shown_path(self.where)}: expected {self.expected}, found {self.found}{by}."


class BadSignature(ThunderdlError):
    """``what``: the file; ``reason``: a clause."""

    exit_code = 7

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def __str__(self) -> str:
        return f"{shown_url(self.what)}: {shown_url(self.reason)}."


class StorageError(ThunderdlError):
    """``path``: the file or folder; ``reason``: a clause; ``advice``: what to do, or empty."""

    exit_code = 9

    def __init__(self, path: str, reason: str, advice: str = "") -> None:
        super().__init__(path, reason, advice)
        self.path, self.reason, self.advice = path, reason, advice

    def __str__(self) -> str:
        tail = f"; {printable(self.advice)}" if self.advice else ""
        return f"{shown_path(self.path)}: {printable(self.reason)}{tail}."


class DiskFull(StorageError):
    pass


class FolderNotMade(StorageError):
    """The folder to save in is not there, and could not be made."""


class TargetLocked(StorageError):
    exit_code = 11


class JournalUnusable(StorageError):
    pass


class Cancelled(ThunderdlError):
    exit_code = 130

    def __str__(self) -> str:
        return "stopped; the same command goes on from here."


class InternalError(ThunderdlError):
    """``bug``: the exception that nobody foresaw; also ``__cause__``, for the traceback."""

    def __init__(self, bug: BaseException) -> None:
        super().__init__(bug)
        self.bug = self.__cause__ = bug

    def __str__(self) -> str:
        told = shown_url(str(self.bug))[:300]
        what = f"{type(self.bug).__name__}: {told}" if told else type(self.bug).__name__
        return f"{what} – this is a bug in thunderdl; with THUNDERDL_DEBUG=1 in the environment it shows where."


def foreseen(error: Exception) -> ThunderdlError:
    """The error itself where it is one of the tree, else an InternalError."""
    return error if isinstance(error, ThunderdlError) else InternalError(error)


class DownloadFailed(ThunderdlError):
    """No source is left. ``attempts``: every failure, oldest first; also ``__cause__`` as an ExceptionGroup."""

    # The most telling first: what the user can act on beats what the network did.
    _TELLING = (
        InternalError,
        BadContent,
        BadSignature,
        ContentChanged,
        StorageError,
        AccessDenied,
        NotFound,
        TlsFailure,
        LastingFault,
    )

    def __init__(self, what: str, attempts: tuple[ThunderdlError, ...]) -> None:
        super().__init__(what, attempts)
        self.what, self.attempts = what, attempts
        if attempts:
            self.__cause__ = ExceptionGroup("every attempt", list(attempts))

    @property
    def most_telling(self) -> ThunderdlError | None:
        """The attempt that explains the failure best, None where nothing was tried."""
        for kind in self._TELLING:
            for attempt in reversed(self.attempts):
                if isinstance(attempt, kind):
                    return attempt
        return self.attempts[-1] if self.attempts else None

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        told = self.most_telling
        return told.exit_code if told else 4

    def __str__(self) -> str:
        told = self.most_telling
        if told is None:
            return f"{printable(self.what)}: no source could be used."
        more = len({str(a) for a in self.attempts}) - 1
        return str(told) if more < 1 else f"{str(told)[:-1]} (and {more} more; -v lists them)."
