"""Metalinks that are made: what is read of them is what was here, and a download by one brings it back."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.engine.runs import content_of, fetch, names
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.engine.creating_metalinks import Recipe, create_metalink, fitting_piece_length
from thunderdl.errors import StorageError, TargetExists, ThunderdlError, UsageError
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.metalink_model import Metalink
from thunderdl.options import Exists
from thunderdl.storage.paths import safe_name

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.bin").write_bytes(CONTENT)
    return tmp_path


def read(path: str) -> Metalink:
    return parse_metalink(Path(path).read_bytes(), safe_name)


def test_one_file(here: Path) -> None:
    recipe = Recipe(
        urls=("https://a.example/pub/", "https://b.example/x?f=1"), torrents=("https://a.example/f.torrent",),
        publisher="P & Q", publisher_url="https://a.example/", description="<about>", identity="It", version="1.0",
        origin="https://a.example/f.meta4",
    )  # fmt: skip
    created = create_metalink(["f.bin"], recipe=recipe)
    assert (created.path, created.files, created.size_bytes, created.mirrors) == ("f.bin.meta4", 1, len(CONTENT), 2)
    (file,) = read("f.bin.meta4").files
    assert {digest.algorithm: digest.value for digest in file.digests} == {
        "sha256": hashlib.sha256(CONTENT).digest(), "sha512": hashlib.sha512(CONTENT).digest()
    }  # fmt: skip
    assert file.pieces is not None
    assert file.pieces.piece_length == 256 * 1024
    assert file.pieces.digests[3] == hashlib.sha256(CONTENT[768 * 1024 :]).digest()
    assert [mirror.url for mirror in file.mirrors] == ["https://a.example/pub/f.bin", "https://b.example/x?f=1"]
    assert file.torrents == recipe.torrents
    assert file.publisher is not None
    assert (file.publisher.name, file.description, file.identity, file.version) == ("P & Q", "<about>", "It", "1.0")
    assert read("f.bin.meta4").origin == recipe.origin
    assert names(here) == ["f.bin", "f.bin.meta4"]


def test_folders_and_files_together(here: Path) -> None:
    (here / "d" / "é ü").mkdir(parents=True)
    (here / "d" / "é ü" / "x%.txt").write_bytes(b"x")
    (here / "d" / "empty").touch()
    os.symlink("/etc/passwd", here / "d" / "link")
    os.symlink("/etc", here / "d" / "folder-link")
    created = create_metalink(["d", "f.bin"], "out.meta4", recipe=Recipe(urls=("http://h/p/",)))
    files = read("out.meta4").files
    assert [file.name for file in files] == ["d/empty", "d/é ü/x%.txt", "f.bin"]
    assert files[1].mirrors[0].url == "http://h/p/d/%C3%A9%20%C3%BC/x%25.txt"
    assert files[0].size == 0
    assert [os.path.basename(each) for each in created.left_out] == ["folder-link", "link"]


def test_a_download_by_it(here: Path) -> None:
    with LoopbackServer({"/p/f.bin": Resource(body=CONTENT)}) as server:
        create_metalink(["f.bin"], "x.meta4", recipe=Recipe(urls=(server.url("/p/"),), piece_length=16384))
        result = fetch("x.meta4", here / "got")
        assert content_of(result) == CONTENT
        assert "pieces:sha256" in result.verified


def test_the_document_in_the_folder_that_it_describes(here: Path) -> None:
    (here / "d").mkdir()
    (here / "d" / "f").write_bytes(b"x")
    for _ in range(2):
        create_metalink(["d"], "d/all.meta4", exists=Exists.OVERWRITE)
    assert [file.name for file in read("d/all.meta4").files] == ["d/f"]


def test_names_that_are_taken(here: Path) -> None:
    (here / "f.bin.meta4").write_bytes(b"mine")
    with pytest.raises(TargetExists):
        create_metalink(["f.bin"])
    assert create_metalink(["f.bin"], exists=Exists.SKIP).skipped
    assert (here / "f.bin.meta4").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        (Recipe(urls=("file:///etc/",)), "--url"),
        (Recipe(urls=("https://u:secret@h/p/",)), "password"),
        (Recipe(urls=("not a url",)), "--url"),
        (Recipe(torrents=("f.torrent",)), "--torrent"),
        (Recipe(piece_length=17 * 1024), "power of two"),
        (Recipe(piece_length=1024), "power of two"),
        (Recipe(publisher_url="https://h/"), "--publisher"),
        (Recipe(publisher="x", publisher_url="javascript:x"), "--publisher-url"),
        (Recipe(origin="nowhere"), "--origin"),
    ],
)
def test_what_cannot_be_said(here: Path, recipe: Recipe, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        create_metalink(["f.bin"], recipe=recipe)
    assert "secret" not in str(caught.value)
    assert names(here) == ["f.bin"]


def test_what_cannot_be_described(here: Path) -> None:
    (here / "d").mkdir()
    (here / "e").mkdir()
    (here / "e" / "f.bin").touch()
    cases: list[tuple[list[str], str | None, type[ThunderdlError]]] = [
        (["none"], None, StorageError), (["d"], None, UsageError), (["f.bin", "e/f.bin"], "o", UsageError),
        (["f.bin", "d"], None, UsageError), (["f.bin"], "no/where.meta4", StorageError),
        (["/dev/null"], "o", UsageError),
    ]  # fmt: skip
    for paths, out, kind in cases:
        with pytest.raises(kind):
            create_metalink(paths, out)
    with pytest.raises(UsageError, match="slash"):
        create_metalink(["f.bin", "e"], "o", recipe=Recipe(urls=("http://h/f.bin",)))
    assert names(here) == ["d", "e", "f.bin"]


def test_a_file_that_grows_meanwhile(here: Path) -> None:
    def grow(done: int, whole: int) -> None:
        with open("f.bin", "ab") as file:
            file.write(b"more" if done == whole else b"")

    with pytest.raises(StorageError, match="changed"):
        create_metalink(["f.bin"], recipe=Recipe(on_hashed=grow))
    assert names(here) == ["f.bin"]


@pytest.mark.parametrize(
    ("size", "length"), [(0, 1 << 18), (1 << 29, 1 << 18), ((1 << 29) + 2048, 1 << 19), (1 << 50, 1 << 26)]
)
def test_a_piece_length_that_fits(size: int, length: int) -> None:
    assert fitting_piece_length(size) == length
