"""Torrents and magnet links that others collected to break clients: read, listed, refused, started; nothing escapes.

They lie outside of the project (see the ``testdata`` fixture); where they are not, these tests say that they are
skipped, but for those whose inputs are made here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.engine.runs import LIMIT_S, check_result, check_sentence, names
from tests.servers.torrents import KINDS, content, metainfo, write_tree
from tests.stopwatch import Stopwatch
from thunderdl.cli.app import main
from thunderdl.client import Client
from thunderdl.errors import ThunderdlError
from thunderdl.model import Result
from thunderdl.options import Options
from thunderdl.sources.swarm.magnet import parse
from thunderdl.sources.swarm.torrent import BadTorrent, load

START_S = 2.0
ALONE: dict[str, Any] = {"dht": False, "lsd": False, "utp": False, "timeout": START_S}
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def collected(testdata: Path) -> Path:
    return testdata / "libtorrent_torrents"


def rows_of(path: Path) -> list[Row]:
    return cast(list[Row], json.loads(path.read_text(encoding="utf-8")))


def bencoded(tree: object) -> bytes:
    return lt.bencode(cast(Any, tree))


def files_of(folder: Path) -> set[str]:
    """Everything below ``folder`` that is no folder, links by the side of files."""
    return {os.path.join(at, name) for at, folders, names in os.walk(folder) for name in (*folders, *names)
            if os.path.islink(os.path.join(at, name)) or name in names}  # fmt: skip


def test_each_row_loads_or_is_refused_as_stated(collected: Path) -> None:
    rows = rows_of(collected / "expectations.json")
    wrong: list[str] = []
    for row in rows:
        raw = (collected / "test_torrents" / row["file"]).read_bytes()
        try:
            torrent = load(raw, row["file"])
        except BadTorrent as error:
            check_sentence(error)
            if row["expect"] != "error":
                wrong.append(f"{row['file']}: {error}")
            continue
        listed = {file.index: file.path for file in torrent.files}
        paths = list(row.get("paths", {}).values())
        # Of two files of one name the second gets another.
        stated = {
            int(at): path for at, path in row.get("paths", {}).items() if int(at) in listed and paths.count(path) == 1
        }
        if row["expect"] != "loads" or any(listed[at] != path for at, path in stated.items()):
            wrong.append(f"{row['file']}: {listed}")
        if row.get("name", torrent.name) != torrent.name:
            wrong.append(f"{row['file']}: {torrent.name!r}")
    assert rows
    assert wrong == []


def test_the_command_lists_or_refuses_them_in_one_line(collected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for row in rows_of(collected / "expectations.json"):
        path = str(collected / "test_torrents" / row["file"])
        watch = Stopwatch()
        code = main(["info", path])
        assert watch.took_s < 1, row["file"]
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        assert all(line.isprintable() for line in (told.out + told.err).splitlines()), row["file"]
        if row["expect"] == "loads":
            assert (code, told.err) == (0, ""), row["file"]
        else:
            assert code == 2
            assert len(told.err.splitlines()) == 1
            assert told.out == ""


async def start_all(torrents: list[Path], base: Path, look: Callable[[], None]) -> list[Result]:
    """Each in a folder of its own, all at once, with nobody to have it from; ``look`` while they run and after."""
    async with asyncio.timeout(LIMIT_S), Client(Options(**ALONE)) as client:
        tasks = [client.add(str(path), dir=str(base / path.stem)) for path in torrents]
        await asyncio.sleep(START_S / 2)
        look()
        results = [await task.outcome() for task in tasks]
        look()
        return results


def test_none_that_is_started_leaves_its_folder(collected: Path, tmp_path: Path) -> None:
    torrents = sorted((collected / "test_torrents").glob("*.torrent"))
    base = tmp_path / "a" / "b" / "c"

    def look() -> None:
        for path in files_of(tmp_path):
            assert not os.path.islink(path), path
            assert Path(path).parts[: len(base.parts)] == base.parts, path
        assert {entry.name for entry in base.iterdir()} <= {path.stem for path in torrents}

    results = asyncio.run(start_all(torrents, base, look))
    for result in results:
        check_result(result)
        assert result.error is None or isinstance(result.error, ThunderdlError), result


def test_links_of_a_torrent_are_not_made(collected: Path, tmp_path: Path) -> None:
    linked = [collected / "test_torrents" / name for name in ("symlink1.torrent", "symlink2.torrent")]
    looked: list[Path] = []

    def look() -> None:
        looked.extend(path for path in tmp_path.rglob("*") if path.is_symlink())
        # While they run there is something to look at; at the end all is removed, since nothing came.
        seen.append(len(names(tmp_path)))

    seen: list[int] = []
    asyncio.run(start_all([path for path in linked if path.exists()], tmp_path, look))
    assert seen[0] > 0
    assert looked == []


def test_path_elements_are_made_safe(collected: Path) -> None:
    # In a row without elements the sample lost them; a file needs a name where nothing is left of the one it has.
    rows = [row for row in rows_of(collected / "sanitize_path_cases.json") if row["elements_hex"]]
    same = 0
    for row in rows:
        elements = [bytes.fromhex(each) for each in row["elements_hex"]]
        info = {
            b"name": b"top", b"piece length": 16384, b"pieces": bytes(20),
            b"files": [{b"length": 1, b"path": elements}],
        }  # fmt: skip
        path = load(bencoded({b"info": info}), "case").files[0].path
        assert path.startswith("top/")
        assert path.isprintable() or path.encode() == bytes.fromhex(row["expected_hex"])
        assert not {"..", "", "."} & set(path.split("/")), path
        same += path.encode() == b"top/" + bytes.fromhex(row["expected_hex"])
    # Some rows are of Windows, where a colon and a backslash mean something.
    assert same >= len(rows) - 4


def test_magnets_are_read_or_refused_as_stated(testdata: Path) -> None:
    for row in rows_of(testdata / "magnet_uris" / "cases_libtorrent.json"):
        # Where the one check is "ec", an error is what the row wants.
        if row["expect"] == "ok" and row["checks"] != ["ec"]:
            assert parse(row["uri"]) is not None
            continue
        with pytest.raises(BadTorrent) as caught:
            parse(row["uri"])
        check_sentence(caught.value)


def test_no_magnet_of_other_clients_tests_crashes(testdata: Path) -> None:
    links = json.loads((testdata / "magnet_uris" / "uris_webtorrent.json").read_text(encoding="utf-8"))
    for link in links:
        try:
            parse(link)
        except BadTorrent as error:
            check_sentence(error)


# -- made here


def refused_in_time(raw: bytes) -> str:
    watch = Stopwatch()
    with pytest.raises(BadTorrent) as caught:
        load(raw, "bad\x1b[31m.torrent")
    assert watch.took_s < 1
    return check_sentence(caught.value)


@pytest.mark.parametrize("length", [0, -1, -(2**63), 2**62, 3])
def test_a_piece_length_that_cannot_be(length: int) -> None:
    info = {b"name": b"x", b"piece length": length, b"pieces": bytes(20), b"length": 2**40}
    refused_in_time(bencoded({b"info": info}))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"d", b"le", b"i1e", b"d4:info", b"d4:infod4:name" + b"9" * 4000 + b":x",
        b"d4:infoi" + b"9" * 1_000_000 + b"ee", b"l" * 5_000_000, b"d1:a" * 1_000_000,
        b"d4:infod" + b"1:al" * 1_000_000,
    ],
    ids=["nothing", "open", "list", "number", "cut", "long length", "long number", "deep lists", "deep", "deep info"],
)  # fmt: skip
def test_no_torrent_at_all(raw: bytes) -> None:
    refused_in_time(raw)


def test_long_magnets_are_quick() -> None:
    watch = Stopwatch()
    name, topic = "dn=" + "a" * 1_000_000, "xt=urn:btih:" + "ab" * 20
    assert parse(f"magnet:?{topic}&{name}") is not None
    assert parse(f"magnet:?{topic}" + "&tr=udp%3A%2F%2Fh" * 50_000) is not None
    with pytest.raises(BadTorrent) as caught:
        parse("magnet:?xt=urn:btih:" + "z" * 1_000_000)
    assert len(check_sentence(caught.value)) < 400
    assert watch.took_s < 1


def test_ten_thousand_files_of_one_name() -> None:
    files = [{b"length": 1, b"path": [b"d", b"same"]} for _ in range(10_000)]
    info = {b"name": b"top", b"piece length": 16384, b"pieces": bytes(20), b"files": files}
    assert "too many duplicate" in refused_in_time(bencoded({b"info": info}))
    info[b"files"] = files[:20]
    assert len({file.path for file in load(bencoded({b"info": info}), "some").files}) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_the_listing_holds_what_a_torrent_says(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    write_tree(tmp_path, {"Set/a": content(40_000), "Set/b/c": b"c"})
    path = tmp_path / "x.torrent"
    naughty = "a\x1b[31m\nb\u202e".encode()
    path.write_bytes(
        metainfo(
            tmp_path / "Set", kind=kind, piece_bytes=16384, announce=b"http://u:s3cret@t/announce", comment=naughty,
            url_list=b"http://u:s3cret@w/",
        )
    )  # fmt: skip
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert all(line.isprintable() for line in text.splitlines())
    assert "s3cret" not in text
    lines = text.splitlines()
    assert "size       39.1 KiB (40001 bytes)" in lines
    assert "trackers   http://t/announce" in lines
    assert "web seeds  http://w/" in lines
    assert lines[-2:] == ["1  39.1 KiB  Set/a", "2       1 B  Set/b/c"]
    assert main(["info", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    told = json.loads(text)
    assert told["files"] == [
        {"number": 1, "size_bytes": 40_000, "path": "Set/a"}, {"number": 2, "size_bytes": 1, "path": "Set/b/c"},
    ]  # fmt: skip
    assert (told["info_hash_v1"] is None, told["info_hash_v2"] is None) == (kind == "v2", kind == "v1")
    assert told["piece_length"] == 16384
    assert told["magnet"].startswith("magnet:?xt=urn:bt")


@pytest.mark.parametrize("fields", [12, 20])
def test_more_tokens_than_libtorrent_takes_by_itself(fields: int) -> None:
    """A list of files of 100,000 in v1 and v2 has three million; bdecode ends at two, where that was a crash."""
    more = {b"x%d" % at: 0 for at in range(fields)}
    files: list[Any] = [{b"length": 1, b"path": [b"f%d" % at], **more} for at in range(75_000)]
    info: dict[bytes, Any] = {b"name": b"n", b"piece length": 1 << 20, b"pieces": b"-" * 20, b"files": files}
    told = load(lt.bencode(cast(Any, {b"info": info, b"url-list": b"http://h.example/"})), "t")
    assert (len(told.files), told.web_seeds) == (75_000, ("http://h.example/",))


def test_a_bomb_beside_the_list_of_files_is_refused() -> None:
    info: dict[bytes, Any] = {b"name": b"n", b"piece length": 1 << 20, b"pieces": b"-" * 20, b"length": 1}
    bomb = lt.bencode(cast(Any, {b"info": info, b"z": [0] * 2_100_000}))
    with pytest.raises(BadTorrent, match=r"^t: no usable torrent \(bencoded item count limit exceeded\)\.$"):
        load(bomb, "t")
