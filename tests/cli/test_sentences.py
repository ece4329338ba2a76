from __future__ import annotations

import json

from tests.cli.fakes import MIB, NAUGHTY, failed, saved, source, stopped
from thunderdl.cli import sentences
from thunderdl.errors import AccessDenied, BadContent, ConnectFailed, DiskFull, DownloadFailed, TargetExists, printable
from thunderdl.model import Status

URL = "http://user:s3cret@h/file"


def test_saved() -> None:
    assert sentences.outcome(saved(URL)) == "saved file  256 MiB in 3.2 s (80.0 MiB/s)"
    result = saved(URL, verified=("sha256=00ff", "pieces:sha1"), resumed_bytes=128 * MIB, wasted_bytes=MIB)
    assert sentences.outcome(result) == (
        "saved file  256 MiB in 3.2 s (40.0 MiB/s), 128 MiB were there, 1.00 MiB wasted, verified sha256, pieces:sha1"
    )
    assert sentences.outcome(saved(URL, bytes=0, seconds=0.0)) == "saved file  0 B in 0.00 s"


def test_what_lies_in_this_folder_is_called_by_its_name_alone() -> None:
    """As the tutorial shows it: "saved big.iso", not "saved ./big.iso"."""
    assert sentences.outcome(saved(URL, path="./big.iso")).startswith("saved big.iso  ")
    assert json.loads(sentences.json_line(saved(URL, path="./big.iso")))["path"] == "big.iso"
    errors = TargetExists("./big.iso"), DiskFull("./big.iso", "no room"), BadContent("./big.iso", "md5=0", "md5=1")
    for error in errors:
        assert str(error).startswith("big.iso")


def test_other_ends() -> None:
    assert sentences.outcome(saved(URL, status=Status.SKIPPED)) == "skipped file  it exists already"
    assert sentences.outcome(stopped(URL)) == "stopped http://h/file"
    assert sentences.outcome(failed(URL, AccessDenied(URL, "the server answered 401", "give -H"))) == (
        "failed http://h/file: the server answered 401; give -H."
    )
    assert "this is a bug" in sentences.outcome(failed(URL, KeyError(URL)))


def test_nothing_from_outside_gets_out_raw() -> None:
    for result in (saved(URL, path=NAUGHTY), failed(URL, ValueError(NAUGHTY)), failed(URL, AccessDenied(URL, NAUGHTY))):
        line = sentences.outcome(result)
        assert line == printable(line)
        assert "[red]x[/red]" in line
        assert "%s %n {0}" in line


def test_no_credentials() -> None:
    result = saved(URL, sources=(source(1), source(2)), error=ConnectFailed(URL, f"no {URL}"))
    for text in (sentences.outcome(result), sentences.json_line(result), *sentences.details(result)):
        assert "s3cret" not in text


def test_details_name_every_attempt() -> None:
    error = DownloadFailed(URL, (ConnectFailed(URL, "refused"), AccessDenied(URL, "the server answered 403")))
    lines = list(sentences.details(failed(URL, error)))
    assert lines == ["attempt: http://h/file: refused.", "attempt: http://h/file: the server answered 403."]


def test_what_peers_had_is_told() -> None:
    told = sentences.outcome(saved(URL, uploaded_bytes=128 * MIB))
    assert "shared 128 MiB (ratio 0.50)" in told


def test_json_has_exactly_these_keys() -> None:
    good = json.loads(sentences.json_line(saved(URL, sources=(source(1, bytes=5),), verified=("sha256=00",))))
    assert good == {
        "path": "file", "bytes": 256 * MIB, "seconds": 3.2, "status": "complete", "verified": ["sha256=00"],
        "wasted_bytes": 0, "uploaded_bytes": 0, "error": None,
        "sources": [{"url": "http://mirror1.example.org/pub/file.iso", "kind": "http", "bytes": 5}],
    }  # fmt: skip
    bad = json.loads(sentences.json_line(failed(URL, AccessDenied(URL, "the server answered 403"))))
    assert bad["error"] == {"code": 5, "kind": "AccessDenied", "message": "http://h/file: the server answered 403."}


def test_json_is_ascii_and_keeps_the_path() -> None:
    line = sentences.json_line(saved(URL, path=NAUGHTY))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == NAUGHTY
