"""``thunderdl aria2c``: what is aria2's, and what is done better."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.aria2c import link_in, run
from tests.rpc.aria2.test_adding import TORRENT
from tests.servers import misbehave as m
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.__main__ import arguments_of
from thunderdl.aria2.files import read_list
from thunderdl.cli.aria2c.console import Console
from thunderdl.cli.aria2c.given import Given, load
from thunderdl.cli.aria2c.main import options_of_all
from thunderdl.options import Options

BIG = random.Random(0).randbytes(3_000_000)
SMALL = b"small"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("THUNDERDL_CONFIG", str(home / "none.toml"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    files = {"/big.bin": Resource(body=BIG), "/small.txt": Resource(body=SMALL), "/a b.txt": Resource(body=SMALL)}
    files |= {"/a%20b.txt": Resource(body=SMALL)}
    with LoopbackServer(files) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_mirrors_of_one_file(server: LoopbackServer, here: Path) -> None:
    ran = run(here, f"{server.origin}/big.bin", f"{server.origin}/big.bin?other", "-o", "sub/out.bin")
    assert (ran.code, ran.files) == (0, {"sub/out.bin": BIG})
    assert f"Download complete: {here}/sub/out.bin" in ran.out
    assert re.search(rf"^[0-9a-f]{{6}}\|OK  \| *[0-9.]+.iB/s\|{re.escape(str(here))}/sub/out\.bin$", ran.out, re.M)


def test_nothing_is_asked_for_but_what_was_given(server: LoopbackServer, here: Path) -> None:
    run(here, f"{server.origin}/small.txt")
    assert [request.path for request in server.requests] == ["/small.txt"]


@pytest.mark.parametrize(
    ("asked", "downloads", "per_host"),
    [
        ({"max-connection-per-server": "3", "max-concurrent-downloads": "16", "split": "16"}, 1, 3),
        ({"max-connection-per-server": "3", "max-concurrent-downloads": "4"}, 9, 12),
        ({"split": "16"}, 99, 64),
        ({}, 9, Options().per_host),
    ],
)
def test_downloads_take_no_more_connections_than_were_asked_for(
    asked: dict[str, str | list[str]], downloads: int, per_host: int
) -> None:
    """yt-dlp names sixteen files at once, and then one file."""
    assert options_of_all(Given(asked, ()), Options(), downloads).per_host == per_host


@pytest.mark.parametrize("quiet", ["true", "false"])
def test_what_comes_from_outside_is_told_without_secrets_and_escapes(here: Path, quiet: str) -> None:
    paper = io.StringIO()
    console = Console(Given({"log": f"{here}/log", "quiet": quiet}, ()), paper)
    console.error("http://me:secret@h/x said \x1b[2Jno")
    console.close()
    told = paper.getvalue() + (here / "log").read_text()
    assert told.count("http://h/x said \ufffd[2Jno") == (1 if quiet == "true" else 2)
    assert "secret" not in told


def test_ctrl_c_stops_it_in_order(here: Path) -> None:
    program = link_in(here.parent / "bin")
    with LoopbackServer({"/big.bin": Resource(body=BIG)}) as server:
        typed = [str(program), "--no-conf", "--max-download-limit=16K", "--save-session=s", f"{server.origin}/big.bin"]
        with subprocess.Popen(typed, cwd=here, stdout=subprocess.PIPE, text=True) as process:
            server.wait_for(lambda served: served.sent["/big.bin"] > 0, timeout_s=20)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "Shutdown sequence commencing" in out
    assert "|INPR|" in out
    assert b"/big.bin\t\n gid=" in (here / "s").read_bytes()


def test_quiet_says_nothing(server: LoopbackServer, here: Path) -> None:
    ran = run(here, "-q", f"{server.origin}/small.txt")
    assert (ran.code, ran.out, ran.err, ran.files) == (0, "", "", {"small.txt": SMALL})


def test_a_list_from_a_file(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text(
        f"# two files\n{server.origin}/small.txt\t{server.origin}/nothere\n out=one\n header=X-One: 1\n nosuch=1\n"
        f"{server.origin}/small.txt\n  dir=sub\n"
    )
    ran = run(here, "-i", str(listed), "-j", "1", "--header", "X-All: 1")
    assert (ran.code, ran.files) == (0, {"one": SMALL, "sub/small.txt": SMALL})
    assert "[WARN] Unknown option: nosuch=1" in ran.out
    asked = [request for request in server.requests if request.path == "/small.txt"]
    # Headers of a file of its own stand in place of those for all.
    assert (asked[0].header("X-One"), asked[0].header("X-All")) == ("1", None)
    assert (asked[-1].header("X-One"), asked[-1].header("X-All")) == (None, "1")


def test_one_bad_line_and_nothing_is_begun(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"{server.origin}/small.txt\n{server.origin}/small.txt\n split=0\n")
    ran = run(here, "-i", str(listed))
    assert (ran.code, ran.files, server.requests) == (28, {}, [])
    assert "We encountered a problem while processing the option '--split'." in ran.err


def test_a_file_that_was_begun_elsewhere_is_gone_on_with(server: LoopbackServer, here: Path) -> None:
    (here / "big.bin").write_bytes(BIG[:2_000_000])
    ran = run(here, "-c", f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    # What is left, and a first megabyte that the question of what it is may cost.
    assert server.sent["/big.bin"] < 2_500_000


def test_a_file_that_is_there_whole_is_done(server: LoopbackServer, here: Path) -> None:
    (here / "big.bin").write_bytes(BIG)
    ran = run(here, "-c", f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    assert f"Download has already completed: {here}/big.bin" in ran.out


@pytest.mark.parametrize("typed", ["-c", "-V", "-V -c", "-V --auto-file-renaming=false", "-V --allow-overwrite"])
def test_a_file_that_is_there_whole_is_held_against_its_checksum(
    typed: str, server: LoopbackServer, here: Path
) -> None:
    right = hashlib.sha1(SMALL).hexdigest()
    for there, told in ((b"wrong", "Checksum error detected."), (SMALL, "Download has already completed")):
        (here / "small.txt").write_bytes(there)
        ran = run(here, *typed.split(), f"--checksum=sha-1={right}", f"{server.origin}/small.txt")
        assert (ran.code, ran.files) == (0, {"small.txt": SMALL})
        assert told in ran.out
    # Where the server's own is as wrong, it is an error, and what was there stays.
    ran = run(here, *typed.split(), f"--checksum=sha-1={'0' * 40}", f"{server.origin}/small.txt")
    assert (ran.code, ran.files) == (32, {"small.txt": SMALL})


def test_a_file_of_another_size_is_not_what_is_to_be_checked(server: LoopbackServer, here: Path) -> None:
    (here / "small.txt").write_bytes(b"sma")
    digest = f"--checksum=sha-1={hashlib.sha1(SMALL).hexdigest()}"
    ran = run(here, "-V", digest, f"{server.origin}/small.txt")
    assert (ran.code, ran.files) == (0, {"small.txt": b"sma", "small (1).txt": SMALL})
    ran = run(here, "-V", digest, f"{server.origin}/gone")
    assert ran.code == 3


@pytest.mark.parametrize(
    ("there", "left"), [(SMALL, SMALL), (b"sma", SMALL), (b"wrong", SMALL), (b"longer than five", None), (None, SMALL)]
)
def test_of_a_metalink_what_is_there_is_held_against_it(
    there: bytes | None, left: bytes | None, server: LoopbackServer, here: Path
) -> None:
    digest = hashlib.sha1(SMALL).hexdigest()
    (here / "m.meta4").write_text(
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="other.txt"><size>5</size>'
        f'<hash type="sha-1">{digest}</hash><url>{server.origin}/small.txt</url></file></metalink>'
    )
    if there is not None:
        (here / "other.txt").write_bytes(there)
    ran = run(here, "-c", "-M", "m.meta4")
    assert ran.code == (0 if left else 13)
    assert ran.files == {"m.meta4": ran.files["m.meta4"], "other.txt": left or there}
    assert ("has already completed" in ran.out) == (there == SMALL)


def test_of_a_torrent_what_is_there_is_not_taken_for_done(here: Path) -> None:
    (here / "abc").mkdir()
    (here / "abc" / "1.txt").write_bytes(b"of something else")
    (here / "t.torrent").write_bytes(TORRENT)
    ran = run(here, "-c", "--enable-dht=false", "--stop=5", "t.torrent")
    assert (ran.code, "has already completed" in ran.out) == (13, False)


def test_a_file_that_is_longer_is_left_alone(server: LoopbackServer, here: Path) -> None:
    (here / "small.txt").write_bytes(b"longer than five")
    ran = run(here, "-c", f"{server.origin}/small.txt")
    assert (ran.code, ran.files) == (13, {"small.txt": b"longer than five"})
    assert "small.txt is longer than the file on the server." in ran.out


def test_nothing_is_taken_for_done_while_the_server_says_nothing(server: LoopbackServer, here: Path) -> None:
    (here / "gone").write_bytes(b"half")
    ran = run(here, "-c", f"{server.origin}/gone")
    assert (ran.code, ran.files) == (3, {"gone": b"half"})


CONTROL = bytes.fromhex("000100000000000000000010000000000000002dc6c00000000000000000000000018000000000")


def test_what_aria2_has_begun_is_gone_on_with(server: LoopbackServer, here: Path) -> None:
    """Of three pieces the first one is there; of the file itself more, which counts for nothing."""
    (here / "big.bin").write_bytes(BIG[: 1 << 20] + b"\xee" * 1_000_000)
    (here / "big.bin.aria2").write_bytes(CONTROL)
    ran = run(here, f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    assert "begun by aria2, 1048576 bytes of it are there; it goes on here." in ran.out
    assert server.sent["/big.bin"] < 3_500_000


@pytest.mark.parametrize("control", [b"rubbish", CONTROL.replace(b"\x2d\xc6\xc0", b"\x2d\xc6\xc1")])
def test_a_control_file_that_does_not_fit_costs_bytes_alone(server: LoopbackServer, here: Path, control: bytes) -> None:
    (here / "big.bin").write_bytes(b"\xee" * 3_000_000)
    (here / "big.bin.aria2").write_bytes(control)
    ran = run(here, f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    assert "big.bin.aria2 is not used, and the file is fetched anew" in ran.out


def test_a_control_file_may_be_removed(server: LoopbackServer, here: Path) -> None:
    (here / "big.bin").write_bytes(b"\xee" * 1_000_000)
    (here / "big.bin.aria2").write_bytes(CONTROL)
    ran = run(here, "--remove-control-file", "--allow-overwrite", f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    assert "begun by aria2" not in ran.out


def test_a_session_holds_what_did_not_end_well(server: LoopbackServer, here: Path) -> None:
    ran = run(
        here, "-Z", "--save-session=s", "--max-tries=1", "--http-user=me", f"{server.origin}/small.txt",
        f"{server.origin}/no",
    )  # fmt: skip
    assert ran.code == 3
    assert "Serialized session to 's' successfully." in ran.out
    (left,) = read_list(ran.files["s"].decode().splitlines(keepends=True))
    assert left.uris == (f"{server.origin}/no",)
    assert left.options.keys() == {"gid", "max-tries", "http-user"}
    assert stat.S_IMODE((here / "s").stat().st_mode) == 0o600
    server.resources["/no"] = Resource(body=SMALL)
    again = run(here, "--input-file=s", "--save-session=s")
    assert (again.code, again.files["no"], again.files["s"]) == (0, SMALL, b"")


def test_what_is_typed_beside_a_list_is_fetched_too(server: LoopbackServer, here: Path) -> None:
    """aria2 passes it over, and answers 0: who typed it would miss it."""
    (here / "list").write_text(f"{server.origin}/big.bin\n")
    ran = run(here, "-i", "list", f"{server.origin}/small.txt")
    assert (ran.code, ran.files["big.bin"], ran.files["small.txt"]) == (0, BIG, SMALL)


def test_the_session_of_a_document_brings_back_the_document(server: LoopbackServer, here: Path) -> None:
    (here / "t.torrent").write_bytes(small_torrent())
    (here / "m").write_text(small_metalink(server.origin))
    del server.resources["/small.txt"]
    alone = ("--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false")
    for typed in (("-T", "t.torrent", f"{server.origin}/no"), ("-M", "m", f"{server.origin}/no")):
        ran = run(here, *typed, *alone, "--save-session=s", "--max-tries=1", "--stop=1")
        (left,) = read_list(ran.files["s"].decode().splitlines(keepends=True))
        assert left.uris == (typed[1],), ran


@pytest.mark.parametrize(("most", "code"), [("0", 3), ("1", 4), ("9", 3)])
def test_nothing_found_too_often_has_an_exit_status_of_its_own(
    most: str, code: int, server: LoopbackServer, here: Path
) -> None:
    ran = run(here, f"--max-file-not-found={most}", f"{server.origin}/no", "--save-session=s", "--save-not-found=false")
    assert (ran.code, ran.files) == (code, {"s": b""})
    assert f"errorCode={code} " in ran.out


@pytest.mark.parametrize(("document", "code"), [(b"junk", 25), (b"", 25), (b"d4:info", 25), (b"d1:ai1ee", 26)])
def test_what_is_no_bencode_and_what_is_no_torrent_have_aria2s_codes(here: Path, document: bytes, code: int) -> None:
    (here / "bencoded (x.torrent").write_bytes(document)
    ran = run(here, "-T", "bencoded (x.torrent")
    assert ran.code == code
    assert f"errorCode={code} " in ran.out


def small_torrent(origin: str = "") -> bytes:
    seed = f"8:url-list{len(origin) + 10}:{origin}/small.txt".encode() if origin else b""
    info = b"6:lengthi5e4:name9:small.txt12:piece lengthi16384e6:pieces20:" + hashlib.sha1(SMALL).digest()
    return b"d4:infod" + info + b"e" + seed + b"e"


def small_metalink(origin: str) -> str:
    return (
        '<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="small.txt"><size>5</size>'
        f"<url>{origin}/small.txt</url></file></metalink>"
    )


@pytest.mark.parametrize("typed", [("-T",), ("--follow-torrent=false", "-T"), (), ("-i", "list")])
@pytest.mark.parametrize("kind", ["torrent", "metalink"])
def test_a_document_is_one_whatever_it_is_called(
    kind: str, typed: Sequence[str], server: LoopbackServer, here: Path
) -> None:
    held = small_torrent(server.origin) if kind == "torrent" else small_metalink(server.origin).encode()
    (here / "any name").write_bytes(held)
    (here / "list").write_text("any name\n")
    words = [word.replace("-T", "-M").replace("torrent", kind) if kind == "metalink" else word for word in typed]
    named = [] if "-i" in typed else ["any name"]
    ran = run(here, "--seed-time=0", "--enable-dht=false", *words, *named)
    assert (ran.code, ran.files.get("small.txt")) == (0, SMALL), ran
    assert "Download complete: " in ran.out


def test_a_uri_beside_a_metalink_of_several_files_is_passed_over(server: LoopbackServer, here: Path) -> None:
    big = f'<file name="big.bin"><size>{len(BIG)}</size><url>{server.origin}/big.bin</url></file></metalink>'
    (here / "m").write_text(small_metalink(server.origin).replace("</metalink>", big))
    ran = run(here, "-M", "m", f"{server.origin}/nobodys")
    assert (ran.code, ran.files["small.txt"], ran.files["big.bin"]) == (0, SMALL, BIG), ran
    assert not [seen for seen in server.requests if seen.path == "/nobodys"]


@pytest.mark.parametrize(("typed", "code"), [("-T", 25), ("-M", 20)])
def test_what_is_no_document_has_aria2s_code_whatever_it_is_called(typed: str, code: int, here: Path) -> None:
    (here / "junk").write_bytes(b"junk")
    ran = run(here, typed, "junk", "--max-tries=1", "http://127.0.0.1:1/x")
    assert ran.code == code
    assert f"errorCode={code} " in ran.out


def test_the_contents_of_a_document_are_shown_whatever_it_is_called(here: Path) -> None:
    (here / "t").write_bytes(small_torrent())
    (here / "m").write_text(small_metalink("http://127.0.0.1:1"))
    (here / "junk").write_bytes(b"junk")
    for typed in (("t", "m"), ("-T", "t", "-M", "m")):
        ran = run(here, "-S", *typed)
        assert (ran.code, ran.out.count("Name: small.txt"), ran.out.count("  1|")) == (0, 1, 2)
    assert "This file is neither Torrent nor Metalink file." in run(here, "-S", "junk").out
    ran = run(here, "-S", "-T", "junk")
    assert (ran.code, "errorCode=26 " in ran.err) == (1, True)


def test_a_folder_that_cannot_be_made_has_aria2s_code(server: LoopbackServer, here: Path) -> None:
    (here / "taken").write_bytes(b"")
    ran = run(here, "--dir=taken/x", f"{server.origin}/small.txt")
    assert (ran.code, ran.files) == (18, {"taken": b""})
    assert "errorCode=18 " in ran.out
    assert "a part of the path is a file, not a folder; choose another folder with --dir." in ran.out


def test_a_session_called_gz_is_gzip_as_aria2s(server: LoopbackServer, here: Path) -> None:
    run(here, "--save-session=s.gz", "--max-tries=1", f"{server.origin}/no")
    assert f"{server.origin}/no\t\n".encode() in gzip.decompress((here / "s.gz").read_bytes())
    server.resources["/no"] = Resource(body=SMALL)
    again = run(here, "--input-file=s.gz")
    assert (again.code, again.files["no"]) == (0, SMALL)


def test_a_torn_gzip_as_input_file_is_told(here: Path) -> None:
    (here / "s.gz").write_bytes(gzip.compress(b"http://127.0.0.1:1/a\n")[:-4])
    ran = run(here, "--input-file=s.gz")
    assert ran.code == 1
    assert "s.gz: its gzip is damaged or ends early" in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


def test_not_found_may_be_left_out_and_done_kept(server: LoopbackServer, here: Path) -> None:
    run(here, "--save-session=s", "--save-not-found=false", f"{server.origin}/no")
    assert (here / "s").read_bytes() == b""
    run(here, "--save-session=s", "--force-save", f"{server.origin}/small.txt")
    assert b"/small.txt\t\n gid=" in (here / "s").read_bytes()


def test_hooks_hear_of_each_download(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$#|$2|$3" >>{told}\n')
    hook.chmod(0o755)
    os.mkfifo(told)
    # Whoever opens the pipe for reading and writing waits for nobody.
    pipe = os.open(told, os.O_RDWR)
    ran = run(here, f"--on-download-complete={hook}", f"{server.origin}/small.txt", "-o", "a;b $(c).txt")
    assert ran.code == 0
    assert os.read(pipe, 4096).decode() == f"3|1|{here}/a;b $(c).txt\n"
    os.close(pipe)


def test_of_a_torrent_that_is_not_shared_both_hooks_hear(
    server: LoopbackServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []

    class Program:
        def __init__(self, argv: list[str], **_: object) -> None:
            told.append([argv[0], *argv[2:]])

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("thunderdl.cli.aria2c.saving.subprocess.Popen", Program)
    (here / "t.torrent").write_bytes(
        b"d4:infod6:lengthi5e4:name9:small.txt12:piece lengthi16384e6:pieces20:" + hashlib.sha1(SMALL).digest() + b"ee"
    )
    hooks = ("--on-bt-download-complete=bt", "--on-download-complete=all")
    ran = run(here, "-T", "t.torrent", f"{server.origin}/small.txt", "--seed-time=0", "--enable-dht=false", *hooks)
    assert ran.code == 0
    assert told == [[hook, "1", f"{here}/small.txt"] for hook in ("bt", "all")]


def test_a_configuration_lies_below_the_command_line(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text(f"out=conf\ndir={here}/sub\nnosuch=1\n")
    ran = run(here, f"--conf-path={conf}", f"{server.origin}/small.txt", "--out=typed", conf=True)
    assert (ran.code, ran.files) == (0, {"sub/typed": SMALL})
    assert "[WARN] Unknown option: nosuch=1" in ran.out
    conf.write_text("split=0\n")
    ran = run(here, f"--conf-path={conf}", f"{server.origin}/small.txt", conf=True)
    assert (ran.code, ran.err.splitlines()[0]) == (28, f"Parse error in {conf}")
    ran = run(here, "--conf-path=/nowhere/conf", f"{server.origin}/small.txt", conf=True)
    assert ran.code == 1
    assert "Configuration file /nowhere/conf is not found." in ran.err


def test_where_the_configuration_is_looked_for(tmp_path: Path) -> None:
    from thunderdl.aria2.command_line import read_command_line

    (tmp_path / ".config" / "aria2").mkdir(parents=True)
    (tmp_path / ".config" / "aria2" / "aria2.conf").write_text("split=2\n")
    line, home = read_command_line(["u"]), {"HOME": str(tmp_path)}
    assert load(line, home).options == {"split": "2"}
    (tmp_path / "xdg" / "aria2").mkdir(parents=True)
    (tmp_path / "xdg" / "aria2" / "aria2.conf").write_text("split=3\n")
    assert load(line, home | {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).options == {"split": "3"}
    (tmp_path / ".aria2").mkdir()
    (tmp_path / ".aria2" / "aria2.conf").write_text("split=4\n")
    assert load(line, home).options == {"split": "4"}
    assert load(read_command_line(["--no-conf", "u"]), home).options == {"no-conf": "true"}


def test_cookies_that_are_not_there_cost_a_warning(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    conf = tmp_path / "aria2.conf"
    conf.write_text(f"load-cookies={tmp_path / 'none'}\n")
    ran = run(here, f"--conf-path={conf}", f"{server.origin}/small.txt", conf=True)
    assert (ran.code, ran.files) == (0, {"small.txt": SMALL})
    assert f"[WARN] Failed to load cookies from {tmp_path / 'none'}" in ran.out
    ran = run(here, "--load-cookies=none", "--allow-overwrite", f"{server.origin}/small.txt")
    assert (ran.code, "Failed to load cookies from none" in ran.out) == (0, True)


def test_a_log_is_written(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(here, "-q", "-l", str(log), f"{server.origin}/small.txt")
    assert f"[NOTICE] Download complete: {here}/small.txt" in log.read_text()
    ran = run(here, "-l", "/nowhere/log", f"{server.origin}/small.txt")
    assert (ran.code, ran.err.count("--log /nowhere/log")) == (1, 1)


def test_what_is_not_done_is_told(server: LoopbackServer, here: Path) -> None:
    ran = run(here, "--save-cookies=c", "--conditional-get", f"{server.origin}/small.txt")
    assert ran.code == 0
    assert "[WARN] --conditional-get has no effect: no file is compared by its date." in ran.out


def test_of_a_plain_file_no_choice_is_made(server: LoopbackServer, here: Path) -> None:
    ran = run(here, "--select-file=2", f"{server.origin}/small.txt")
    assert (ran.code, ran.files) == (0, {"small.txt": SMALL})


def test_nor_does_a_choice_keep_it_from_going_on(server: LoopbackServer, here: Path) -> None:
    server.resources["/cut"] = Resource(body=BIG, behaviour=m.first(1, m.short_body(2_000_000), m.status(404)))
    assert run(here, "--select-file=2", "--max-tries=1", f"{server.origin}/cut").code != 0
    assert "cut.part" in os.listdir(here)
    server.resources["/cut"] = Resource(body=BIG)
    before = server.sent["/cut"]
    ran = run(here, "--select-file=2", f"{server.origin}/cut")
    assert (ran.code, ran.files) == (0, {"cut": BIG})
    assert server.sent["/cut"] - before < len(BIG)


def test_of_a_metalink_that_only_its_answer_shows_a_choice_is_made(server: LoopbackServer, here: Path) -> None:
    files = "".join(
        f'<file name="{name}"><size>5</size><url>{server.origin}/small.txt</url></file>' for name in ("one", "two")
    )
    server.resources["/m"] = Resource(
        body=f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{files}</metalink>'.encode(),
        headers=[("Content-Type", "application/metalink4+xml")],
    )
    ran = run(here, "--select-file=2", f"{server.origin}/m")
    assert (ran.code, ran.files) == (0, {"two": SMALL})


def test_a_space_in_a_uri_is_escaped(server: LoopbackServer, here: Path) -> None:
    ran = run(here, f"{server.origin}/a b.txt")
    assert (ran.code, ran.files) == (0, {"a b.txt": SMALL})


def test_it_stops_after_a_time(here: Path) -> None:
    with LoopbackServer({"/slow": Resource(body=BIG)}) as server:
        ran = run(here, "--stop=1", "--max-download-limit=16K", "--save-session=s", f"{server.origin}/slow")
    assert ran.code == 7
    assert "(INPR):download in-progress." in ran.out
    assert b"/slow\t\n gid=" in ran.files["s"]
    assert "slow.part" in ran.files


def test_the_same_command_goes_on(server: LoopbackServer, here: Path) -> None:
    run(here, "-q", "--stop=1", "--max-download-limit=500K", f"{server.origin}/big.bin")
    assert "big.bin.part" in os.listdir(here)
    before = server.sent["/big.bin"]
    ran = run(here, "-q", f"{server.origin}/big.bin")
    assert (ran.code, ran.files) == (0, {"big.bin": BIG})
    assert server.sent["/big.bin"] - before < len(BIG)


def test_a_password_is_shown_nowhere(server: LoopbackServer, here: Path) -> None:
    url = server.origin.replace("://", "://me:secret@")
    ran = run(here, f"{url}/no", "--save-session=s")
    assert ran.code == 3
    assert "secret" not in ran.out + ran.err


def test_the_name_of_the_program_is_the_command() -> None:
    assert arguments_of(["/usr/local/bin/aria2c", "-v"]) == ["aria2c", "-v"]
    assert arguments_of([r"C:\tools\ARIA2C.EXE", "-v"]) == ["aria2c", "-v"]
    assert arguments_of(["thunderdl", "-v"]) == ["-v"]


def test_it_is_a_command_of_ours(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thunderdl", "aria2c", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent.parent)
    assert told.stdout.startswith("aria2 version 1.37.0\n")


def test_gids_are_checked(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    ran = run(here, "--gid=xyz", f"{server.origin}/small.txt")
    assert (ran.code, "xyz is invalid for GID." in ran.err) == (1, True)
    listed = tmp_path / "list"
    listed.write_text(f"{server.origin}/a\n gid=0123456789abcdef\n{server.origin}/b\n gid=0123456789abcdef\n")
    ran = run(here, "-i", str(listed))
    assert (ran.code, "GID 0123456789abcdef is not unique." in ran.err) == (1, True)


def test_many_files_cost_little(server: LoopbackServer, here: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text("".join(f"{server.origin}/small.txt\n out=f{number}\n" for number in range(100)))
    ran = run(here, "-i", str(listed), "-j16", "--max-download-result=5")
    assert (ran.code, len(ran.files)) == (0, 100)
    assert ran.out.count("|OK  |") == 5


def test_checksums(server: LoopbackServer, here: Path) -> None:
    digest = hashlib.sha256(SMALL).hexdigest()
    assert run(here, f"--checksum=sha-256={digest}", f"{server.origin}/small.txt").code == 0
    ran = run(here, f"--checksum=sha-256={'0' * 64}", "-o", "bad", f"{server.origin}/small.txt")
    assert (ran.code, "bad" in ran.files) == (32, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("t.torrent",), [["start", "2", "dd/a.txt"], ["bt", "2", "dd/a.txt"], ["complete", "2", "dd/a.txt"]]),
        (
            ("-T", "t.torrent", "--select-file=2", "{}/"),
            [["start", "1", "dd/b.txt"], ["bt", "1", "dd/b.txt"], ["complete", "1", "dd/b.txt"]],
        ),
        (("-M", "m.meta4"), [["start", "1", "mm"], ["error", "1", "mm"]]),
        (("{}/no", "-o", "x"), [["start", "1", "x"], ["error", "1", "x"]]),
        (("{}/no",), [["start", "1", ""], ["error", "1", ""]]),
    ],
)  # fmt: skip
def test_hooks_get_number_and_path_as_soon_as_they_are_known(
    arguments: Sequence[str], told: list[list[str]], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[list[str]] = []

    class Program:
        def __init__(self, argv: list[str], **_: object) -> None:
            heard.append([argv[0], argv[2], argv[3].removeprefix(f"{here}/")])

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("thunderdl.cli.aria2c.saving.subprocess.Popen", Program)
    files = {"/dd/a.txt": Resource(body=b"hello"), "/dd/b.txt": Resource(body=b"world")}
    with LoopbackServer(files) as server:
        (here / "t.torrent").write_bytes(
            b"d4:infod5:filesld6:lengthi5e4:pathl5:a.txteed6:lengthi5e4:pathl5:b.txteee4:name2:dd"
            b"12:piece lengthi16384e6:pieces20:" + hashlib.sha1(b"helloworld").digest()
            + f"e8:url-listl{len(server.origin) + 1}:{server.origin}/ee".encode()
        )  # fmt: skip
        (here / "m.meta4").write_text(
            '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="mm"><size>3</size>'
            f"<url>{server.origin}/no</url></file></metalink>"
        )
        hooks = [f"--on-download-{each}={each}" for each in ("start", "complete", "error")]
        ran = run(
            here, "--seed-time=0", "--enable-dht=false", "--on-bt-download-complete=bt", *hooks,
            *(each.format(server.origin) for each in arguments),
        )  # fmt: skip
    assert heard == told
    _, count, first = told[-1]
    row = f"{here}/{first}" + (f" ({int(count) - 1}more)" if int(count) > 1 else "") if first else "http://"
    assert f"|{row}" in ran.out


def test_the_day_a_torrent_was_made_is_shown(here: Path) -> None:
    (here / "t.torrent").write_bytes(TORRENT)
    assert "\nCreation Date: Tue, 14 Nov 2023 22:13:20 GMT\n" in run(here, "-S", "t.torrent").out
