"""Torrents of several files over a real loopback swarm: whole, in part, from web seeds, stopped, killed, trapped."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import drive, failed, fetch, names, sha256, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from tests.servers.torrents import KINDS, Seed, content, metainfo, seeding, tree_of, write_tree
from tests.stopwatch import Stopwatch
from thunderdl.errors import (
    BadContent,
    JournalUnusable,
    StorageError,
    TargetExists,
    TargetLocked,
    ThunderdlError,
    UsageError,
)
from thunderdl.leftovers import request_from_folder
from thunderdl.model import Progress, Result, SourceKind, Status
from thunderdl.options import Exists, Options
from thunderdl.sources.swarm.collector import Collector
from thunderdl.sources.swarm.host import SwarmFault
from thunderdl.sources.swarm.torrent import load
from thunderdl.storage.folders import PartFolder
from thunderdl.storage.wishes import Wish, find_part_folders, read_wish, write_wish

ALONE: dict[str, Any] = {"dht": False, "lsd": False, "utp": False}
FILES = {"Set/a.bin": content(900_000), "Set/sub/b.iso": content(500_000, 2), "Set/sub/c.txt": b"", "Set/d": b"d"}
SIZE = sum(map(len, FILES.values()))
SLOW = 800_000


@dataclass(frozen=True, slots=True)
class Scene:
    """``torrent``: path of the .torrent; ``origin``: where its data lies; ``target``: an empty folder."""

    torrent: str
    metainfo: bytes
    origin: Path
    target: Path

    def seeding(self, upload_limit: int = 0) -> Any:
        return seeding(self.metainfo, self.origin, upload_limit=upload_limit)

    def fetch(self, seed: Seed | None = None, **changes: Any) -> Result:
        peers = (seed.peer,) if seed else ()
        return fetch(self.torrent, self.target, **{"peers": peers, **ALONE, **changes})

    def stopped(self, seed: Seed) -> Result:
        """Cancel it as soon as something is there."""
        return drive(stopped_after(100_000), self.torrent, self.target, peers=(seed.peer,), **ALONE)


def scene_of(folder: Path, kind: str = "v1", **more: Any) -> Scene:
    origin, torrent, target = folder / "origin", folder / "set.torrent", folder / "target"
    write_tree(origin, FILES)
    target.mkdir(exist_ok=True)
    made = metainfo(origin / "Set", kind=kind, **more)
    torrent.write_bytes(made)
    return Scene(str(torrent), made, origin, target)


def asdict_of(options: Options) -> dict[str, Any]:
    """The options as they are changed for one download."""
    return {name: getattr(options, name) for name in ("out", "files", "peers", *ALONE)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(tmp_path)


@pytest.fixture
def web(scene: Scene) -> Iterator[LoopbackServer]:
    """The same files over HTTP."""
    with LoopbackServer({f"/base/{name}": Resource(body=held) for name, held in FILES.items()}) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_comes_whole(tmp_path: Path, kind: str) -> None:
    scene = scene_of(tmp_path, kind)
    with scene.seeding() as seed:
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert result.path == str(scene.target / "Set")
    assert result.bytes == SIZE
    assert result.verified == ("pieces:sha256" if kind == "v2" else "pieces:sha1",)
    assert tree_of(scene.target) == FILES
    assert names(scene.target) == ["Set"]
    assert {s.kind: s.bytes >= SIZE for s in result.sources} == {SourceKind.PEERS: True}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("*.ISO", ["Set/sub/b.iso"]),
        ("sub/*", ["Set/sub/b.iso", "Set/sub/c.txt"]),
        ("Set/d,*.txt", ["Set/d", "Set/sub/c.txt"]),
        ("*.txt", ["Set/sub/c.txt"]),
    ],
)
def test_some_of_the_files(scene: Scene, choice: str, expected: list[str]) -> None:
    with scene.seeding() as seed:
        result = scene.fetch(seed, files=choice)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == {name: FILES[name] for name in expected}
    assert result.bytes == sum(len(FILES[name]) for name in expected)
    assert names(scene.target) == ["Set"]


def test_numbers_are_those_of_the_listing(scene: Scene) -> None:
    listed = [file.path for file in load(scene.metainfo, "").files]
    with scene.seeding() as seed:
        scene.fetch(seed, files="2")
    assert list(tree_of(scene.target)) == [listed[1]]


def test_a_choice_of_nothing_is_refused(scene: Scene) -> None:
    failed(scene.fetch(files="*.mkv"), UsageError, 2, "'*.mkv' matches none of the 4 files", "info")
    failed(scene.fetch(files="9"), UsageError, 2, "there is no file 9")
    assert names(scene.target) == []


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_magnet_link(tmp_path: Path, kind: str) -> None:
    scene = scene_of(tmp_path, kind)
    link = load(scene.metainfo, "").magnet
    with scene.seeding() as seed:
        result = fetch(link, scene.target, files="a.bin", peers=(seed.peer,), **ALONE)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == {"Set/a.bin": FILES["Set/a.bin"]}


@pytest.mark.parametrize(("name", "kind"), [("only.bin", "v2"), ("folder/only.bin", "v1")])
def test_one_file_in_a_folder_or_without_piece_layers(tmp_path: Path, name: str, kind: str) -> None:
    """A magnet link of v2: the piece layers come with the pieces."""
    held = content(700_000)
    write_tree(tmp_path / "origin", {name: held})
    top = name.partition("/")[0]
    made = metainfo(tmp_path / "origin" / top, kind=kind)
    with seeding(made, tmp_path / "origin") as seed:
        checked: dict[str, Any] = {"checksum": sha256(held)} if top == name else {}
        result = fetch(load(made, "").magnet, tmp_path / "target", peers=(seed.peer,), **ALONE, **checked)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(tmp_path / "target") == {name: held}
    assert names(tmp_path / "target") == [top]


def test_a_wrong_checksum_of_the_one_file_saves_nothing(tmp_path: Path) -> None:
    write_tree(tmp_path / "origin", {"only.bin": content(300_000)})
    made = metainfo(tmp_path / "origin" / "only.bin", kind="v2")
    with seeding(made, tmp_path / "origin") as seed:
        result = fetch(
            load(made, "").magnet, tmp_path / "target", peers=(seed.peer,), checksum=sha256(b"another"), **ALONE
        )  # fmt: skip
    failed(result, BadContent, 7, "expected")
    assert not (tmp_path / "target" / "only.bin").exists()


def test_in_order(scene: Scene) -> None:
    with scene.seeding() as seed:
        assert scene.fetch(seed, sequential=True).status is Status.COMPLETE
    assert tree_of(scene.target) == FILES


def test_from_a_web_seed_that_the_user_gives(scene: Scene, web: LoopbackServer) -> None:
    # Without the slash at its end: a folder's URL all the same.
    result = scene.fetch(mirrors=[web.url("/base")])
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == FILES
    assert {s.kind: s.bytes for s in result.sources} == {SourceKind.PEERS: 0, SourceKind.HTTP: SIZE}


def test_a_web_seed_that_redirects_takes_no_credentials_along(scene: Scene, web: LoopbackServer) -> None:
    """libtorrent e7e37dbf4 (2.0.13): what logs in at one host went to the other."""
    away = {f"/base/{name}": Resource(body=b"", behaviour=m.redirect(web.url(f"/base/{name}"))) for name in FILES}
    with LoopbackServer(away) as first:
        scene.fetch(mirrors=[first.url("/base/").replace("//", "//user:s3cret@")], timeout=2.0)
        assert any(request.header("Authorization") for request in first.requests)
    assert web.requests
    assert all(request.header("Authorization") is None for request in web.requests)


def test_peers_by_one_interface(scene: Scene) -> None:
    with scene.seeding() as seed:
        result = scene.fetch(seed, interface="127.0.0.1")
    assert result.status is Status.COMPLETE, result.error


def test_from_a_web_seed_of_the_torrent(tmp_path: Path) -> None:
    files = {f"/x/{name}": Resource(body=held) for name, held in FILES.items()}
    with LoopbackServer(files) as server:
        seeds = [f"  {server.url('/x/')} ".encode(), b"file:///etc/", b"http://", b"http://a b/\x1b[31m"]
        result = scene_of(tmp_path, url_list=seeds).fetch()
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(tmp_path / "target") == FILES


def test_a_web_seed_that_has_nothing_is_told(scene: Scene, web: LoopbackServer) -> None:
    with scene.seeding(SLOW) as seed:
        result = scene.fetch(seed, mirrors=[web.url("/elsewhere/")])
    assert result.status is Status.COMPLETE, result.error
    assert any("/elsewhere" in note and "404" in note for note in result.notes), result.notes


def test_nobody_has_it(scene: Scene) -> None:
    result = scene.fetch(timeout=0.6)
    failed(result, SwarmFault, 4, "no peer has it")
    # Nothing came, so nothing is left.
    assert names(scene.target) == []


# -- going on


def test_a_stop_keeps_what_came_and_nothing_is_checked_or_fetched_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    made: list[Collector] = []
    begin = Collector.start

    async def start(self: Collector, plan: Any) -> None:
        made.append(self)
        await begin(self, plan)

    monkeypatch.setattr(Collector, "start", start)
    with scene.seeding(SLOW) as seed:
        assert scene.stopped(seed).status is Status.CANCELLED
        assert names(scene.target) == ["Set.part"]
        seed.limit(0)
        result = scene.fetch(seed)
        assert result.status is Status.COMPLETE, result.error
        assert result.resumed_bytes >= 100_000
        # Not one byte twice: blocks of 16 KiB under way at the stop come again.
        assert seed.sent_bytes <= SIZE + 32 * 16384
        assert result.sources[0].bytes == SIZE - result.resumed_bytes
    assert [each.rechecked for each in made] == [False, False]
    assert tree_of(scene.target) == FILES


@pytest.mark.parametrize("spoil", ["cut", "another", "empty", "hostile"])
def test_a_state_that_is_not_ours_costs_a_check_and_no_more(scene: Scene, spoil: str) -> None:
    with scene.seeding(SLOW) as seed:
        scene.stopped(seed)
        state = scene.target / "Set.part" / "state"
        held = state.read_bytes()
        state.write_bytes(
            {
                "cut": held[: len(held) // 2], "another": held.replace(b"info-hash20:", b"info-hash20:x", 1),
                "empty": b"", "hostile": held.replace(b"9:save_path", b"9:save_pathx", 1),
            }[spoil]
        )  # fmt: skip
        seed.limit(0)
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert result.resumed_bytes > 0
    assert tree_of(scene.target) == FILES


def test_bytes_that_changed_meanwhile_are_found_with_verify_resumed(scene: Scene) -> None:
    with scene.seeding(SLOW) as seed:
        scene.stopped(seed)
        for path in (scene.target / "Set.part" / "files" / "Set").rglob("*.*"):
            path.write_bytes(bytes(len(path.read_bytes())))
        seed.limit(0)
        result = scene.fetch(seed, verify_resumed=True)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == FILES


def test_another_choice_of_files_goes_on(scene: Scene) -> None:
    with scene.seeding(SLOW) as seed:
        drive(stopped_after(50_000), scene.torrent, scene.target, peers=(seed.peer,), files="*.iso", **ALONE)
        seed.limit(0)
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == FILES


def test_after_kill_9(scene: Scene) -> None:
    with scene.seeding(SLOW) as seed:
        command = [
            sys.executable, "-c",
            "import sys, thunderdl.engine.collection as c; c.SAVE_EVERY_S = 0.1\n"
            "from thunderdl.__main__ import main; sys.exit(main())",
            scene.torrent, "-d", str(scene.target), "--no-dht", "--no-lsd", "--peer", f"127.0.0.1:{seed.peer[1]}", "-q",
        ]  # fmt: skip
        with subprocess.Popen(command) as process:
            state, until = scene.target / "Set.part" / "state", time.monotonic() + 10
            # The one that is kept after so much has come tells of whole pieces.
            came_at: float | None = None
            while not (came_at and state.exists() and state.stat().st_mtime > came_at) and time.monotonic() < until:
                assert process.poll() is None
                came_at = came_at or (time.time() if seed.sent_bytes > 300_000 else None)
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        seed.limit(0)
        result = scene.fetch(seed)
    assert result.status is Status.COMPLETE, result.error
    assert result.resumed_bytes > 0
    assert tree_of(scene.target) == FILES


def test_resume_goes_on_from_the_folder_alone(scene: Scene) -> None:
    with scene.seeding(SLOW) as seed:
        options: dict[str, Any] = {"files": "*.iso,d", "peers": (seed.peer,), **ALONE}
        drive(stopped_after(50_000), scene.torrent, scene.target, **options)
        seed.limit(0)
        places = find_part_folders(str(scene.target))
        assert places == [str(scene.target / "Set.part")]
        request = request_from_folder(places[0], Options(peers=(seed.peer,), **ALONE))
        assert request.options is not None
        result = drive(lambda task: task.outcome(), request.url, scene.target, **asdict_of(request.options))
    assert result.resumed_bytes > 0
    assert tree_of(scene.target) == {name: FILES[name] for name in ("Set/d", "Set/sub/b.iso")}
    assert find_part_folders(str(scene.target)) == []


def test_what_nobody_typed_is_not_gone_on_with(tmp_path: Path) -> None:
    wish = Wish(torrent="x.torrent", mirrors=("http://u:s3cret@h/",), files="1")
    write_wish(str(tmp_path), wish)
    assert "s3cret" not in (tmp_path / "request").read_text()
    assert read_wish(str(tmp_path)) == Wish(torrent=os.path.abspath("x.torrent"), mirrors=("http://h/",), files="1")
    for held in ("", "[]", "{}", '{"torrent": 1, "mirrors": [], "files": null}', "[" * 100_000,
                 '{"torrent": "a\\nb", "mirrors": [], "files": null}'):  # fmt: skip
        (tmp_path / "request").write_text(held)
        with pytest.raises(JournalUnusable):
            read_wish(str(tmp_path))


def test_a_wish_is_the_old_one_or_the_new_one_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Killed between the cutting of the old one and the writing of the new one, a folder was left that was nobody's."""
    folder, place = str(tmp_path), tmp_path / "request"
    seen: list[Wish] = []

    def synced(fd: int) -> None:
        seen.append(read_wish(folder))
        raise OSError(errno.EIO, "killed here")

    write_wish(folder, Wish(torrent="/old"))
    monkeypatch.setattr("thunderdl.storage.replacing.sync_data", synced)
    with pytest.raises(StorageError):
        write_wish(folder, Wish(torrent="/new"))
    monkeypatch.undo()
    assert seen == [read_wish(folder)] == [Wish(torrent="/old")]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    place.unlink()
    place.symlink_to(elsewhere)
    write_wish(folder, Wish(torrent="/new"))
    assert read_wish(folder) == Wish(torrent="/new")
    assert elsewhere.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "request"]


@pytest.mark.parametrize(
    ("torrent", "mirrors"),
    [("file:///x.torrent", ["http://h/f"]), ("FILE:///x", ["http://h/f"]), ("data:,x", []), ("/x", ["file:///f"])],
)
def test_a_part_folder_names_no_file_of_this_machine(tmp_path: Path, torrent: str, mirrors: list[str]) -> None:
    """As a journal does not: whoever resumes where others write would copy his own files out."""
    (tmp_path / "request").write_text(json.dumps({"torrent": torrent, "mirrors": mirrors, "files": None}))
    with pytest.raises(UsageError, match="a file of this machine"):
        request_from_folder(str(tmp_path), Options())


def test_a_part_folder_goes_on_with_a_torrent_whatever_that_is_called(tmp_path: Path) -> None:
    """``thunderdl aria2c -T FILE`` takes any."""
    write_wish(str(tmp_path), Wish(torrent="/any name"))
    request = request_from_folder(str(tmp_path), Options())
    assert request.options is not None
    assert request.url == request.options.torrent == "/any name"


@pytest.mark.parametrize(("torrent", "url"), [("/x.torrent", "/x.torrent"), ("/x", "http://m/f")])
def test_nor_does_a_mirror_of_a_part_folder(tmp_path: Path, torrent: str, url: str) -> None:
    write_wish(str(tmp_path), Wish(torrent=torrent, mirrors=("file:///etc/hostname", "http://m/f", "https://n/f")))
    request = request_from_folder(str(tmp_path), Options())
    others = ("http://m/f", "https://n/f")
    assert (request.url, request.mirrors) == (url, others if url == torrent else others[1:])


# -- names that are taken


def test_a_taken_name_is_refused_skipped_or_put_beside(scene: Scene) -> None:
    write_tree(scene.target, {"Set/mine": b"mine"})
    with scene.seeding() as seed:
        failed(scene.fetch(seed), TargetExists, 10, "--overwrite")
        assert scene.fetch(seed, exists=Exists.SKIP).status is Status.SKIPPED
        assert seed.sent_bytes == 0
        result = scene.fetch(seed, exists=Exists.RENAME)
    assert result.path == str(scene.target / "Set (1)")
    assert tree_of(scene.target / "Set") == {"mine": b"mine"}
    assert {f"Set/{name}": held for name, held in tree_of(scene.target / "Set (1)").items()} == FILES


def test_overwriting_replaces_its_own_files_alone(scene: Scene) -> None:
    write_tree(scene.target, {"Set/mine": b"mine", "Set/sub/b.iso": b"old", "Set/sub/mine": b"mine"})
    with scene.seeding() as seed:
        result = scene.fetch(seed, exists=Exists.OVERWRITE)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(scene.target) == {**FILES, "Set/mine": b"mine", "Set/sub/mine": b"mine"}
    assert names(scene.target) == ["Set"]


def test_out_names_the_folder(scene: Scene) -> None:
    with scene.seeding() as seed:
        result = scene.fetch(seed, out="x/Other")
    assert result.path == str(scene.target / "x" / "Other")
    assert sorted(tree_of(Path(result.path))) == ["a.bin", "d", "sub/b.iso", "sub/c.txt"]


def test_two_at_once_are_told_apart(scene: Scene) -> None:
    folder = PartFolder.open(str(scene.target / "Set"))
    try:
        failed(scene.fetch(), TargetLocked, 11, "at work on it")
    finally:
        folder.close()


def test_what_belongs_to_one_file_is_refused(scene: Scene) -> None:
    failed(scene.fetch(checksum="sha-256=" + "0" * 64), UsageError, 2, "--checksum", "folder")
    failed(scene.fetch(key=True), UsageError, 2, "--key")


# -- traps


@pytest.mark.parametrize("trap", ["Set.part", "Set.part/files", "Set.part/files/Set", "Set.part/files/Set/sub"])
def test_no_link_that_lies_ready_is_followed(scene: Scene, tmp_path: Path, trap: str) -> None:
    outside, link = tmp_path / "outside", scene.target / trap
    outside.mkdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with scene.seeding() as seed:
        failed(scene.fetch(seed), StorageError, 9, trap)
    assert names(outside) == []


def test_no_file_is_written_through_a_link_or_a_second_name(scene: Scene, tmp_path: Path) -> None:
    precious, place = tmp_path / "precious", scene.target / "Set.part" / "files" / "Set" / "a.bin"
    precious.write_bytes(b"precious")
    place.parent.mkdir(parents=True)
    for make in (os.symlink, os.link):
        make(precious, place)
        with scene.seeding() as seed:
            failed(scene.fetch(seed), StorageError, 9, "a.bin")
        place.unlink()
    assert precious.read_bytes() == b"precious"


def test_overwriting_follows_no_link_either(scene: Scene, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_tree(outside, {"b.iso": b"precious"})
    (scene.target / "Set").mkdir()
    (scene.target / "Set" / "sub").symlink_to(outside)
    with scene.seeding() as seed:
        failed(scene.fetch(seed, exists=Exists.OVERWRITE), StorageError, 9, "symbolic link")
        # A link in a file's place is replaced, not followed.
        (scene.target / "Set" / "sub").unlink()
        (scene.target / "Set" / "a.bin").symlink_to(outside / "b.iso")
        assert scene.fetch(seed, exists=Exists.OVERWRITE).status is Status.COMPLETE
    assert tree_of(outside) == {"b.iso": b"precious"}
    assert tree_of(scene.target) == FILES


def test_a_full_disk_is_a_disk_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = scene.target / "Set.part" / "files" / "Set" / "a.bin"
    blocked.mkdir(parents=True)
    with scene.seeding() as seed:
        error = scene.fetch(seed).error
    assert isinstance(error, ThunderdlError)
    assert error.exit_code == 9
    assert "a.bin" in str(error)


# -- to be looked at


def test_progress_tells_name_bytes_and_map(scene: Scene) -> None:
    seen: list[Progress] = []

    async def watch(task: Any) -> Result:
        async for progress in task:
            seen.append(progress)
            task.explanations()
        return await task.outcome()  # type: ignore[no-any-return]

    with scene.seeding(SLOW) as seed:
        result = drive(watch, scene.torrent, scene.target, peers=(seed.peer,), **ALONE)
    assert result.status is Status.COMPLETE
    middle = [each for each in seen if 0 < each.done_bytes < SIZE]
    assert middle
    assert {each.name for each in middle} == {"Set"}
    assert {each.size_bytes for each in middle} == {SIZE}
    assert any(0 < sum(each.piece_map) < 255 * len(each.piece_map) for each in middle)
    assert middle[-1].sources[0].note == "1 peer, a seed"


def test_ten_thousand_files_and_deep_paths_in_bounded_time(tmp_path: Path) -> None:
    files = {f"Set/{at % 7}/{at}": b"x" for at in range(10_000)} | {"Set/" + "d/" * 90 + "deep": b"deep"}
    write_tree(tmp_path / "origin", files)
    torrent = tmp_path / "many.torrent"
    torrent.write_bytes(metainfo(tmp_path / "origin" / "Set"))
    watch = Stopwatch()
    result = fetch(str(torrent), tmp_path / "target", timeout=0.3, **ALONE)
    failed(result, SwarmFault, 4)
    assert watch.took_s < 2 + 0.3
