"""Torrents that are made, read back; compared with those of other programs where these make the same."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.servers.programs import need
from thunderdl.errors import StorageError, UsageError
from thunderdl.formats.content_key import content_key, granule_root, leaf_digests
from thunderdl.sources.swarm.making import Format, Recipe, canonical_piece_length, make, make_canonical, share_link
from thunderdl.sources.swarm.torrent import load

CONTENT = random.Random(7).randbytes(300_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "content"
    (root / "sub").mkdir(parents=True)
    (root / "b.bin").write_bytes(CONTENT)
    (root / "sub" / "a é.bin").write_bytes(CONTENT[:70_000])
    (root / "empty").write_bytes(b"")
    return root


def info_of(metainfo: bytes) -> dict[bytes, Any]:
    return cast(dict[bytes, Any], lt.bdecode(metainfo))[b"info"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", list(Format))
def test_a_file_round_trips(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "f.bin"
    path.write_bytes(CONTENT)
    made = make(str(path), Recipe(
        format=form, piece_length=32768, trackers=("http://one.example/announce", "udp://two.example:1"),
        web_seeds=("https://example.org/f.bin",), comment="hello é",
    )).torrent  # fmt: skip
    again = load(made.metainfo, "x")
    assert again == made
    assert (made.name, made.size_bytes, made.piece_length, made.comment) == ("f.bin", 300_000, 32768, "hello é")
    assert made.trackers == ("http://one.example/announce", "udp://two.example:1")
    assert made.web_seeds == ("https://example.org/f.bin",)
    assert bool(made.info_hash_v1) == (form is not Format.V2)
    assert bool(made.info_hash_v2) == (form is not Format.V1)
    assert made.piece_hashes is not None
    assert made.piece_hashes.fits(300_000)
    if form is not Format.V2:
        assert made.piece_hashes.digests[0] == hashlib.sha1(CONTENT[:32768], usedforsecurity=False).digest()


@pytest.mark.parametrize("form", list(Format))
def test_a_folder_round_trips(folder: Path, form: Format) -> None:
    made = make(str(folder), Recipe(format=form)).torrent
    assert made.name == "content"
    found = {file.path: file.size_bytes for file in made.files}
    assert found == {"content/b.bin": 300_000, "content/sub/a é.bin": 70_000, "content/empty": 0}
    for _ in range(3):
        plain, slashed = (make(f"{folder}{end}", Recipe(format=form)).torrent for end in ("", "/"))
        # It tells when it was made: the second may change between the two.
        if plain.created == slashed.created:
            break
    assert plain == slashed


TREES: dict[str, dict[str, int]] = {
    "single": {"f": 1_300_000},
    "tiny": {"f": 1},
    "a piece and one": {"f": 32_769},
    "whole pieces": {"f": 65_536, "g": 32_768},
    # "a.txt" is before "a/x" as text, and behind it as a path.
    "orders": {"b.bin": 300_000, "a.txt": 5, "a/x": 70_000, "a/deep/y": 16_384, "empty": 0, "z": 1, "é": 100},
    "nothing behind": {"a": 40_000, "b": 0},
}


@pytest.mark.parametrize("piece_length", [0, 16_384, 32_768, 1 << 20])
@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("tree", TREES)
def test_it_is_what_libtorrent_makes(tmp_path: Path, tree: str, form: Format, piece_length: int) -> None:
    root = tmp_path / "content"
    for at, (name, length) in enumerate(TREES[tree].items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(random.Random(at).randbytes(length))
    start = root if len(TREES[tree]) > 1 else root / "f"
    names = sorted(str(path.relative_to(start.parent)) for path in (start, *root.rglob("*")) if path.is_file())
    entries = [lt.create_file_entry(name, (start.parent / name).stat().st_size) for name in dict.fromkeys(names)]
    flags = {Format.V1: lt.create_torrent.v1_only, Format.V2: lt.create_torrent.v2_only, Format.HYBRID: 0}
    other = lt.create_torrent(entries, piece_length, flags[form])
    lt.set_piece_hashes(other, str(start.parent))
    theirs = cast(dict[bytes, Any], other.generate())
    made = make(str(start), Recipe(format=form, piece_length=piece_length)).torrent
    ours = info_of(made.metainfo)
    if tree == "orders" and form is not Format.V2:
        # libtorrent's list of v1 is not in the order of the tree: of such a hybrid it says, too, that it is none.
        assert sorted(map(str, ours.pop(b"files"))) == sorted(map(str, theirs[b"info"].pop(b"files")))
        del theirs[b"info"][b"pieces"]
        whole = b"".join(
            (start.parent / name).read_bytes()
            + (bytes(-entry.size % made.piece_length) if form is Format.HYBRID else b"")
            for name, entry in sorted(zip(names, entries, strict=True), key=lambda each: each[0].split("/"))
        )
        pieces = (whole[at : at + made.piece_length] for at in range(0, len(whole), made.piece_length))
        assert ours.pop(b"pieces") == b"".join(hashlib.sha1(piece).digest() for piece in pieces)
    assert ours == theirs[b"info"]
    assert cast(dict[bytes, Any], lt.bdecode(made.metainfo)).get(b"piece layers") == theirs.get(b"piece layers")


def test_the_pieces_are_what_transmission_makes(folder: Path, tmp_path: Path) -> None:
    program, out = need("transmission-create"), tmp_path / "t.torrent"
    subprocess.run([program, "-s", "32", "-o", str(out), str(folder / "b.bin")], check=True, capture_output=True)
    theirs = info_of(out.read_bytes())
    ours = info_of(make(str(folder / "b.bin"), Recipe(format=Format.V1, piece_length=32768)).torrent.metainfo)
    # Transmission 3 writes "private: 0" where others write nothing.
    assert theirs.pop(b"private", 0) == 0
    assert ours == theirs


def test_transmission_reads_what_was_made(folder: Path, tmp_path: Path) -> None:
    program, made = need("transmission-show"), make(str(folder), Recipe(format=Format.V1)).torrent
    (tmp_path / "t.torrent").write_bytes(made.metainfo)
    told = subprocess.run([program, str(tmp_path / "t.torrent")], check=True, capture_output=True, text=True).stdout
    assert made.info_hash_v1 in told
    assert "content/sub/a é.bin" in told


def test_private(folder: Path) -> None:
    assert make(str(folder), Recipe(private=True)).torrent.private
    assert not make(str(folder), Recipe()).torrent.private


def test_the_canonical_torrent_follows_from_the_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(CONTENT)
    one, other = make_canonical(str(tmp_path / "one")), make_canonical(str(tmp_path / "other"))
    assert one.metainfo == other.metainfo
    root = granule_root(leaf_digests(memoryview(CONTENT)), len(CONTENT))
    key = content_key(len(CONTENT), root)
    assert one.name == key.root.hex() == one.files[0].path
    assert set(info_of(one.metainfo)) == {b"file tree", b"meta version", b"name", b"piece length"}
    assert (one.piece_length, one.info_hash_v1) == (65536, "")


@pytest.mark.parametrize(
    ("size", "length"),
    [(1, 65536), (256 << 20, 65536), ((256 << 20) + 1, 131072), (1 << 30, 262144), (1 << 40, 16 << 20)],
)
def test_the_canonical_piece_length(size: int, length: int) -> None:
    assert canonical_piece_length(size) == length


def test_the_link_names_it(folder: Path) -> None:
    made = make(str(folder), Recipe(trackers=("udp://t.example:1/a?b&c",))).torrent
    read = lt.parse_magnet_uri(share_link(made))
    assert (str(read.info_hashes.v1), str(read.info_hashes.v2)) == (made.info_hash_v1, made.info_hash_v2)
    assert (read.name, read.trackers) == ("content", ["udp://t.example:1/a?b&c"])


def test_links_and_devices_stay_out(folder: Path) -> None:
    (folder / "link").symlink_to("b.bin")
    (folder / "sub" / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    made = make(str(folder), Recipe(leave_out=frozenset((str(folder / "b.bin"),))))
    assert sorted(map(os.path.basename, made.left_out)) == ["link", "pipe", "up"]
    assert [file.path for file in made.torrent.files] == ["content/empty", "content/sub/a é.bin"]


def test_a_link_that_was_named_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(folder / "b.bin")
    made = make(str(tmp_path / "alias"), Recipe()).torrent
    assert (made.name, made.size_bytes) == ("alias", 300_000)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "cannot be read: no such file or directory; check the path."),
        ("void", "no file in it; a torrent needs at least one byte."),
        ("hollow", "nothing but empty files; a torrent needs at least one byte."),
        ("hollow/zero", "it is empty; a torrent needs at least one byte."),
        ("pipe", "neither file nor folder; a torrent is made of files."),
    ],
)
def test_what_is_no_torrent(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "zero").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((UsageError, StorageError)) as caught:
        make(str(tmp_path / name), Recipe())
    assert str(caught.value) == f"{tmp_path / name}: {sentence}"


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "d") + b"/\xff.bin")).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"its name is no UTF-8, as torrents need; rename it\.$"):
        make(str(tmp_path / "d"), Recipe())


@pytest.mark.parametrize("name", ["a\x01b", "a\u202eb"])
def test_a_name_that_a_loader_would_change(tmp_path: Path, name: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"its name cannot be kept in a torrent; rename it\.$") as caught:
        # Before anything is read, which may take hours.
        make(str(tmp_path / "d"), Recipe(on_hashed=lambda done, whole: pytest.fail("it is hashed")))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("other", ["sub/A.BIN", "sub/a.bin/x", "SUB"])
def test_names_that_differ_in_case_alone(tmp_path: Path, form: Format, other: str) -> None:
    for name in ("d/sub/a.Bin", f"d/{other.replace('a.bin', 'A.bin')}"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="another differs in upper and lower case alone, which torrents forbid;"):
        make(str(tmp_path / "d"), Recipe(format=form))


def test_a_file_alone_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"/d/f: alone in its folder, whose name v2 cannot keep; give the file, or "):
        make(str(tmp_path / "d"), Recipe(format=Format.V2))
    assert [file.path for file in make(str(tmp_path / "d"), Recipe()).torrent.files] == ["d/f"]


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may read everything: the system's answer is played.
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("b.bin"))
    with pytest.raises(StorageError, match=r"b\.bin: cannot be read: permission denied; check its permissions\.$"):
        make(str(folder), Recipe())


@pytest.mark.parametrize("length", [1, 16383, 49152, 256 << 20])
def test_a_piece_length_that_is_none(folder: Path, length: int) -> None:
    with pytest.raises(UsageError, match="give a power of two from 16K to 128M"):
        make(str(folder), Recipe(piece_length=length))


def test_a_file_that_changes_meanwhile(folder: Path) -> None:
    def grow(done: int, whole: int) -> None:
        with (folder / "b.bin").open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(StorageError, match=r"b\.bin: it was changed while it was read; run the same command again\.$"):
        make(str(folder), Recipe(on_hashed=grow))


def test_it_can_be_stopped_and_tells_how_far_it_is(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    make(str(folder), Recipe(on_hashed=lambda done, whole: told.append((done, whole))))
    assert told == sorted(told)
    assert told[-1] == (370_000, 370_000)

    def stop(done: int, whole: int) -> None:
        raise KeyboardInterrupt

    # libtorrent's own hashing does not survive these.
    for _ in range(300):
        with pytest.raises(KeyboardInterrupt):
            make(str(folder), Recipe(on_hashed=stop))
