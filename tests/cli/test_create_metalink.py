"""``thunderdl create --metalink`` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_create import here
from thunderdl.cli.app import main
from thunderdl.formats.metalink import parse_metalink

__all__ = ["here"]


def test_it_is_written_and_told_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "create --metalink f.bin -o x.meta4 --url https://a.example/p/ --url https://b.example/ --publisher P "
        "--torrent https://a.example/f.torrent --piece-length 16K --identity I --file-version 2"
    )
    assert main([*line.split(), "--comment", "one two"]) == 0
    assert capsys.readouterr().out == "saved x.meta4  1 file, 97.7 KiB, 2 mirrors\n"
    (file,) = parse_metalink((here / "x.meta4").read_bytes(), str).files
    assert file.pieces is not None
    assert (len(file.pieces.digests), file.description, len(file.mirrors)) == (7, "one two", 2)


def test_json_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "--metalink", "f.bin", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["files"], told["size_bytes"]) == ("f.bin.meta4", 1, 100_000)
    assert main(["create", "--metalink", "f.bin", "--skip"]) == 0
    assert "skipped f.bin.meta4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("create --metalink f.bin --v1 --tracker http://t/", "--v1 and --tracker: of torrents"),
        ("create f.bin --url http://h/", "belong to --metalink"),
        ("create f.bin f.bin", "one file or folder"),
        ("create --metalink f.bin none", "-o"),
        ("create --metalink f.bin --publisher a\x1bb", "--publisher: holds"),
        ("create --metalink f.bin --piece-length 3", "power of two"),
    ],
)
def test_mistakes_are_one_sentence(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split(" ")) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
