"""``thunderdl create`` as typed: what is written, what is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from thunderdl.cli.app import main
from thunderdl.sources.swarm.torrent import load

_NO_TRACKER = "--tracker: 'ftp://x': not a tracker: write its URL, udp://, http:// or https://."
_NO_FOLDER = "no/t.torrent: its folder does not exist; make the folder, or choose another place with -o."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    (tmp_path / "f.bin").write_bytes(bytes(100_000))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    told = capsys.readouterr()
    return told.out, told.err


def test_it_is_written_beside_and_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "f.bin"]) == 0
    torrent = load(Path("f.bin.torrent").read_bytes(), "x")
    out, err = said(capsys)
    assert out.splitlines() == [
        "saved f.bin.torrent  1 file, 97.7 KiB, 7 pieces of 16.0 KiB",
        f"info-hash v1  {torrent.info_hash_v1}",
        f"info-hash v2  {torrent.info_hash_v2}",
        f"{torrent.magnet}&dn=f.bin",
    ]
    assert err == ""


def test_what_was_typed_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "create f.bin -o t.torrent --v2 --piece-length 64K --tracker udp://a.example:1 --tracker http://b.example/x "
        "--web-seed https://example.org/f.bin --private --json --comment"
    )
    assert main([*line.split(), "one two"]) == 0
    torrent = load(Path("t.torrent").read_bytes(), "x")
    assert (torrent.piece_length, torrent.private, torrent.comment) == (65536, True, "one two")
    assert torrent.trackers == ("udp://a.example:1", "http://b.example/x")
    assert torrent.web_seeds == ("https://example.org/f.bin",)
    told = json.loads(said(capsys)[0])
    assert (told["info_hash_v1"], told["info_hash_v2"]) == ("", torrent.info_hash_v2)
    assert (told["path"], told["pieces"], told["size_bytes"]) == ("t.torrent", 2, 100_000)


def test_trackers_of_the_settings_are_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUNDERDL_TRACKERS", "http://mine.example/secret")
    assert main(["create", "f.bin", "-q"]) == 0
    assert load(Path("f.bin.torrent").read_bytes(), "x").trackers == ()


def test_a_name_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    main(["create", "f.bin", "-q"])
    before = Path("f.bin.torrent").read_bytes()
    assert main(["create", "f.bin", "--v1"]) == 10
    assert said(capsys)[1] == "thunderdl: f.bin.torrent exists already; choose --overwrite, --rename or --skip.\n"
    assert main(["create", "f.bin", "--v1", "--skip"]) == 0
    assert "skipped f.bin.torrent  it exists already" in said(capsys)[0]
    assert Path("f.bin.torrent").read_bytes() == before
    assert main(["create", "f.bin", "--v1", "--rename"]) == 0
    assert "saved f.bin (1).torrent" in said(capsys)[0]
    assert main(["create", "f.bin", "--v1", "--overwrite"]) == 0
    assert load(Path("f.bin.torrent").read_bytes(), "x").info_hash_v2 == ""


@pytest.mark.parametrize("flags", [["--overwrite"], ["--skip"], []], ids=str)
@pytest.mark.parametrize("kind", [[], ["--metalink"]], ids=str)
def test_an_unfinished_download_of_that_name_stays(
    here: Path, flags: list[str], kind: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    left = {"t.part": b"much", "t.part.journal": b"what is there"}
    for name, content in left.items():
        (here / name).write_bytes(content)
    assert main(["create", "f.bin", "-o", "t", *kind, *flags]) == 9
    assert "t: a download that is unfinished has this name; finish it" in said(capsys)[1]
    assert main(["create", "f.bin", "-o", "t", "--rename", *kind]) == 0
    assert "saved t (1)" in said(capsys)[0]
    assert {path.name: path.read_bytes() for path in here.glob("t.part*")} == left
    assert not (here / "t").exists()


def test_a_torrent_in_its_own_folder_is_not_part_of_it(here: Path) -> None:
    (here / "d").mkdir()
    (here / "d" / "a").write_bytes(b"a")
    for _ in range(2):
        assert main(["create", "d", "-o", "d/d.torrent", "--overwrite", "-q"]) == 0
        assert [file.path for file in load(Path("d/d.torrent").read_bytes(), "x").files] == ["d/a"]


def test_what_was_left_out_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "d").mkdir()
    (here / "d" / "a").write_bytes(b"a")
    (here / "d" / "link").symlink_to("a")
    assert main(["create", "d"]) == 0
    assert said(capsys)[1] == f"left out, being links or devices: {here / 'd' / 'link'}\n"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("f.bin --v1 --v2", 2, "--v1 and --v2 exclude each other."),
        ("f.bin --piece-length 48K", 2, "a piece length of 49152 bytes: give a power of two from 16K to 128M."),
        ("f.bin --piece-length many", 2, "--piece-length: 'many': write bytes, as 256K or 1M."),
        ("f.bin --tracker ftp://x", 2, _NO_TRACKER),
        ("f.bin --web-seed f.bin", 2, "'f.bin' is no web seed; write its URL, http:// or https://."),
        ("nowhere", 9, "nowhere: cannot be read: no such file or directory; check the path."),
        ("f.bin -o no/t.torrent", 9, _NO_FOLDER),
    ],
)  # fmt: skip
def test_mistakes(line: str, code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", *line.split()]) == code
    assert said(capsys) == ("", f"thunderdl: {sentence}\n")
    assert not list(Path().glob("*.torrent*"))


def test_a_file_system_that_is_read_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main(["create", "f.bin"]) == 9
    assert "f.bin.torrent: permission denied; choose" in said(capsys)[1]
    monkeypatch.setattr("os.statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert main(["create", "f.bin"]) == 9
    assert "f.bin.torrent: the file system is read-only; choose" in said(capsys)[1]


def test_ctrl_c_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from thunderdl.cli import progress

    def pressed(self: object, done: int, whole: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.Gauge, "show", pressed)
    assert main(["create", "f.bin"]) == 130
    assert not list(Path().glob("*.torrent*"))
