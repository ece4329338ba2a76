"""The exit codes, once: what each means, and which of several is told.

The numbers themselves live on the classes of :mod:`thunderdl.errors`; a test keeps both in step.
"""

from __future__ import annotations

from collections.abc import Iterable

from thunderdl.errors import ThunderdlError
from thunderdl.model import Result, Status

# The worst first: what stops every file, what endangers bytes, what needs the user, what may pass by itself.
MEANINGS: dict[int, str] = {
    130: "stopped by Ctrl-C or SIGTERM; the same command goes on from here",
    1: "a fault in thunderdl itself",
    9: "the disk, the folder or the journal: full, read-only, unusable",
    7: "bytes do not match a hash that was given; no file was saved under its final name",
    8: "the file on the server is another version than the one begun",
    12: "TLS: the certificate or the handshake",
    5: "access denied (401, 403, 407, 451)",
    3: "not found (404, 410)",
    6: "the server's answer cannot be used (5xx, 429, redirect refused, against HTTP)",
    4: "the network: no such host, refused, timed out, connection lost",
    11: "another process is at work on the same file",
    10: "the name is taken and neither --overwrite, --rename nor --skip was given",
    2: "a mistake in the command, a setting or an input line",
    0: "every file is there (or was skipped as asked)",
}
_SEVERITY = {code: rank for rank, code in enumerate(MEANINGS)}


def of_error(error: BaseException) -> int:
    return error.exit_code if isinstance(error, ThunderdlError) else 1


def of_result(result: Result) -> int:
    if result.error is not None:
        return of_error(result.error)
    if result.status is Status.CANCELLED:
        return 130
    return 0 if result.status in (Status.COMPLETE, Status.SKIPPED) else 1


def worst(codes: Iterable[int]) -> int:
    """The code to exit with after all of these; 0 for none."""
    return min(codes, key=lambda code: _SEVERITY.get(code, 1), default=0)
