"""aria2's exit status, and ``errorCode`` of its RPC, from our errors.

aria2's manual, section EXIT STATUS; where aria2 itself answers something else than its manual, the manual holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from thunderdl import errors
from thunderdl.aria2.values import BadOption, UnknownOption

OK, UNKNOWN, NOT_FOUND, MANY_NOT_FOUND, UNFINISHED, OPTION = 0, 1, 3, 4, 7, 28
#: What each says, in our words.
MEANINGS: dict[int, str] = {
    0: "everything is there",
    1: "an error of no other kind",
    2: "timed out",
    3: "not found",
    4: "too many mirrors do not have it",
    5: "too slow",
    6: "the network",
    7: "stopped before everything was there",
    8: "the server cannot resume",
    9: "the disk is full",
    10: "the length of pieces has changed",
    11: "the same file is being downloaded",
    12: "the same torrent is being downloaded",
    13: "a file of that name is there",
    14: "a file could not be renamed",
    15: "a file could not be opened",
    16: "a file could not be made",
    17: "a fault of the disk",
    18: "a folder could not be made",
    19: "no such host",
    20: "no metalink",
    21: "the FTP server's answer",
    22: "the HTTP server's answer",
    23: "too many redirects",
    24: "user or password",
    25: "no torrent: broken",
    26: "no torrent: something is missing",
    27: "no magnet link",
    28: "a mistake in an option",
    29: "the server is busy",
    30: "no JSON-RPC",
    31: "removed",
    32: "the checksum is another",
}
# The first that fits counts; DownloadFailed is looked through.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (BadOption, OPTION),
    (UnknownOption, OPTION),
    (errors.TargetExists, 13),
    (errors.InvalidUrl, UNKNOWN),
    (errors.UsageError, UNKNOWN),
    (errors.TimedOut, 2),
    (errors.NotFound, 3),
    (errors.NoSuchHost, 19),
    (errors.RedirectRefused, 23),
    (errors.TlsFailure, UNKNOWN),
    (errors.RangesUnsupported, 8),
    (errors.ContentChanged, 8),
    (errors.BadContent, 32),
    (errors.BadSignature, 32),
    (errors.DiskFull, 9),
    (errors.TargetLocked, 11),
    (errors.FolderNotMade, 18),
    (errors.StorageError, 17),
    (errors.Cancelled, UNFINISHED),
    (errors.ConnectFailed, 6),
    (errors.ConnectionLost, 6),
)


def exit_code(error: BaseException | None) -> int:
    """0 for None, else the number of the most telling error."""
    if error is None:
        return OK
    if isinstance(error, errors.DownloadFailed):
        return exit_code(error.most_telling) or UNKNOWN
    if isinstance(error, errors.AccessDenied | errors.ServerBusy | errors.BadResponse):
        return _of_answer(error)
    return next((code for kind, code in _CODES if isinstance(error, kind)), UNKNOWN)


def _of_answer(error: errors.SourceError) -> int:
    is_ftp = urlsplit(error.url).scheme.lower() in ("ftp", "ftps", "sftp")
    if isinstance(error, errors.AccessDenied):
        return 24 if is_ftp or error.status in (None, 401, 407) else 22
    if isinstance(error, errors.ServerBusy) and error.status == 503:
        return 29
    return 21 if is_ftp else 22


def of_many(codes: Iterable[int], *, was_stopped: bool = False) -> int:
    """The code to exit with: that of the last that failed, as aria2; UNFINISHED where nothing failed and it was
    stopped."""
    failed = [code for code in codes if code not in (OK, UNFINISHED)]
    return failed[-1] if failed else UNFINISHED if was_stopped else OK


def counted(code: int, asked: Mapping[str, object], uris: int) -> int:
    """MANY_NOT_FOUND in place of NOT_FOUND where so often as ``max-file-not-found`` says nothing was found.

    aria2 then tries each of the ``uris`` for ``max-tries`` (measured with aria2 1.36, one URI and five tries: up to 5
    answer 4, from 6 on 3). We ask each once, and it is the same where none has it.
    """
    most, tries = (
        int(str(asked.get(name, default))) for name, default in (("max-file-not-found", 0), ("max-tries", 5))
    )
    is_reached = most > 0 and (tries == 0 or most <= tries * uris)
    return MANY_NOT_FOUND if code == NOT_FOUND and is_reached else code


def code_of(kind: str, exit_code: int, sentence: str = "") -> int:
    """The number of an error that is known by the name of its class, our own exit code and its sentence alone, as the
    daemon keeps it. A status is looked for in the sentence: no blanks are in a URL, so none of a URL's is found."""
    if not kind:
        return OK
    if exit_code in (5, 6) and (said := next((code for text, code in _SAID.items() if text in sentence), None)):
        return said
    named: object = getattr(errors, kind, None)
    if isinstance(named, type) and issubclass(named, errors.ThunderdlError) and named is not errors.DownloadFailed:
        return _of_class(named)
    return _BY_EXIT_CODE.get(exit_code, UNKNOWN)


def _of_class(kind: type[errors.ThunderdlError]) -> int:
    if issubclass(kind, errors.AccessDenied):
        return 24
    if issubclass(kind, errors.BadResponse | errors.ServerBusy):
        return 22
    return next((code for each, code in _CODES if issubclass(kind, each)), UNKNOWN)


# Denied, but not for want of a password; and the one answer that has a number of its own.
_SAID = {
    **{f" access denied (the server answered {status})": 22 for status in (402, 403, 451)},
    " the server answered 503": 29,
}  # fmt: skip
# Of a download that failed at every source our exit code is that of the most telling fault (errors.py).
_BY_EXIT_CODE = {3: 3, 4: 6, 5: 24, 6: 22, 7: 32, 8: 8, 9: 17, 10: 13, 11: 11, 130: UNFINISHED}
