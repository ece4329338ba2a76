"""aria2's exit status from our errors."""

from __future__ import annotations

import pytest

from thunderdl import errors
from thunderdl.aria2.exit_codes import MEANINGS, code_of, counted, exit_code, of_many
from thunderdl.aria2.values import BadOption
from thunderdl.sources.http.head import ResponseHead, status_fault

U = "http://h/x"


def denied(status: int, url: str = U) -> errors.AccessDenied:
    error = errors.AccessDenied(url, "no")
    error.status = status
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (ValueError(), 1),
        (errors.InternalError(ValueError()), 1),
        (errors.UsageError("x"), 1),
        (errors.InvalidUrl("x", "y"), 1),
        (errors.TimedOut(U, "x"), 2),
        (errors.NotFound(U, "x"), 3),
        (errors.ConnectFailed(U, "x"), 6),
        (errors.ConnectionLost(U, "x"), 6),
        (errors.RangesUnsupported(U, "x"), 8),
        (errors.ContentChanged(U, "a", "b"), 8),
        (errors.DiskFull("p", "x"), 9),
        (errors.TargetLocked("p", "x"), 11),
        (errors.TargetExists("p"), 13),
        (errors.StorageError("p", "x"), 17),
        (errors.FolderNotMade("p", "x"), 18),
        (errors.NoSuchHost(U, "x"), 19),
        (errors.BadResponse("ftp://h/", "x"), 21),
        (errors.BadResponse(U, "x"), 22),
        (errors.ServerBusy(U, 500), 22),
        (errors.ServerBusy(U, 503), 29),
        (errors.RedirectRefused(U, "x"), 23),
        (denied(401), 24),
        (denied(403), 22),
        (denied(530, "ftp://h/"), 24),
        (BadOption("split", "x"), 28),
        (errors.BadContent("x", "a", "b"), 32),
        (errors.Cancelled(), 7),
        (errors.DownloadFailed("x", (errors.TimedOut(U, "x"), errors.NotFound(U, "x"))), 3),
        (errors.DownloadFailed("x", ()), 1),
    ],
)
def test_each_error_has_its_number(error: BaseException | None, code: int) -> None:
    assert exit_code(error) == code


def test_the_last_failure_counts() -> None:
    assert of_many([0, 3, 0, 22, 0]) == 22
    assert of_many([0, 0]) == 0
    assert of_many([0, 7], was_stopped=True) == 7
    assert of_many([3, 7], was_stopped=True) == 3
    assert sorted(MEANINGS) == list(range(33))


@pytest.mark.parametrize(
    ("status", "code"), [(401, 24), (407, 24), (402, 22), (403, 22), (451, 22), (404, 3), (503, 29), (500, 22)]
)
def test_what_the_daemon_keeps_of_an_error_tells_the_same_number(status: int, code: int) -> None:
    head = ResponseHead(status=status, reason=b"", http_version="1.1", fields=[], first={}, keep_alive=True)
    fault = status_fault(U, head, 0.0)
    assert fault is not None
    for error in (fault, errors.DownloadFailed("x", (fault,))):
        assert exit_code(error) == code
        assert code_of(type(error).__name__, error.exit_code, str(error)) == code


@pytest.mark.parametrize(
    ("most", "tries", "uris", "code"),
    [(0, 5, 1, 3), (1, 1, 1, 4), (2, 1, 1, 3), (5, 5, 1, 4), (6, 5, 1, 3), (7, 5, 2, 4), (20, 5, 2, 3), (99, 0, 1, 4)],
)
def test_nothing_found_too_often_has_a_number_of_its_own(most: int, tries: int, uris: int, code: int) -> None:
    asked = {"max-file-not-found": str(most), "max-tries": str(tries)}
    assert counted(3, asked, uris) == code
    assert counted(22, asked, uris) == 22
    assert counted(3, {"max-file-not-found": "5"}, 1) == 4
