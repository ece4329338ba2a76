"""``get`` and ``info`` with links of the old tools, and with patterns: everywhere that a URL is taken."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.cli.app import main
from thunderdl.client import Request
from thunderdl.errors import InvalidUrl
from thunderdl.formats.hashes import new_hasher

BODY = bytes(range(256)) * 2000


def thunder(url: str) -> str:
    return "thunder://" + base64.b64encode(f"AA{url}ZZ".encode()).decode()


def ed2k(name: str, body: bytes, *rest: str) -> str:
    hasher = new_hasher("ed2k")
    hasher.update(body)
    return "|".join(["ed2k://", "file", name, str(len(body)), hasher.digest().hex(), *rest, "/"])


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def test_a_thunder_link_is_what_is_inside(server: LoopbackServer, folder: Path) -> None:
    server.resources["/%E6%96%87%20%E4%BB%B6.bin"] = Resource(body=BODY)
    assert main([thunder(server.url("/文 件.bin")), "-d", str(folder)]) == 0
    assert (folder / "文 件.bin").read_bytes() == BODY


def test_as_a_mirror_and_in_a_list(server: LoopbackServer, folder: Path, tmp_path: Path) -> None:
    server.resources |= {"/a": Resource(body=BODY), "/b": Resource(body=BODY), "/c": Resource(body=BODY)}
    assert main([server.url("/a"), "-m", thunder(server.url("/b")), "-d", str(folder)]) == 0
    listed = tmp_path / "list"
    listed.write_text(f"{thunder(server.url('/c'))}\n out=d\n")
    assert main(["-i", str(listed), "-d", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a", "d"]


def test_a_password_inside_is_never_shown(
    server: LoopbackServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.resources["/a"] = Resource(body=BODY)
    link = thunder(server.url("/a").replace("//", "//alice:opensesame@"))
    assert main([link, "-v", "-d", str(folder)]) == 0
    assert main([link.replace("thunder", "flashget"), "-d", str(folder)]) == 2
    heard = capsys.readouterr()
    for secret in ("opensesame", link[20:]):
        assert secret not in heard.out + heard.err
    assert server.requests[0].header("Authorization") == "Basic " + base64.b64encode(b"alice:opensesame").decode()


def test_info_of_a_thunder_link(server: LoopbackServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.resources["/a"] = Resource(body=BODY)
    assert main(["info", thunder(server.url("/a"))]) == 0
    assert f"url        {server.url('/a')}" in capsys.readouterr().out


def test_an_ed2k_link_names_and_checks(server: LoopbackServer, folder: Path) -> None:
    server.resources["/x"] = Resource(body=BODY)
    assert main([ed2k("../my film.avi", BODY), "-m", server.url("/x"), "-d", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["my film.avi"]


def test_an_ed2k_link_with_a_source_of_its_own(server: LoopbackServer, folder: Path) -> None:
    server.resources["/x"] = Resource(body=BODY)
    assert main([ed2k("a.avi", BODY, f"s={server.url('/x')}"), "-d", str(folder)]) == 0
    assert (folder / "a.avi").read_bytes() == BODY


@pytest.mark.parametrize("size", [5, 512_000])
def test_wrong_bytes_under_an_ed2k_link(
    server: LoopbackServer, folder: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    server.resources["/x"] = Resource(body=b"y" * size)
    assert main([ed2k("a.avi", b"x" * size), "-m", server.url("/x"), "-d", str(folder)]) == 7
    assert not (folder / "a.avi").exists()
    assert "expected ed2k=" in capsys.readouterr().err


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_a_file_of_another_length_is_not_fetched(
    server: LoopbackServer, folder: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    server.resources["/x"] = Resource(body=b"x" * size)
    assert main([ed2k("a.avi", BODY), "-m", server.url("/x"), "-d", str(folder)]) == 7
    assert not [*folder.iterdir()]
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.endswith(f"/x: expected 512000 bytes (as the link says), found {size} bytes.")
    assert len(server.requests) == 1


def test_where_one_has_another_length_the_others_bring_it(
    server: LoopbackServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = bytes(range(256)) * 20_000
    server.resources |= {"/x": Resource(body=body[1:]), "/y": Resource(body=body)}
    assert main([ed2k("a.avi", body), "-m", server.url("/x"), "-m", server.url("/y"), "-d", str(folder)]) == 0
    assert (folder / "a.avi").read_bytes() == body
    assert "/x is not used: its file has 5119999 bytes, not 5120000" in capsys.readouterr().err


def test_a_torrent_of_another_length(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.avi").write_bytes(b"x" * 5)
    assert main(["create", str(tmp_path / "a.avi"), "-o", str(tmp_path / "a.torrent"), "-q"]) == 0
    assert main([ed2k("a.avi", BODY), "-t", str(tmp_path / "a.torrent"), "-d", str(folder)]) == 2
    assert "it is of another file: 5 bytes, not 512000." in capsys.readouterr().err


def test_an_ed2k_link_alone_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ed2k("a\x1b[2J.avi", BODY), "-d", str(folder)]) == 2
    assert main([ed2k("a.avi", BODY), "-d", str(folder)]) == 2
    assert main(["http://h/x", "-m", ed2k("a.avi", BODY), "-d", str(folder)]) == 2
    control, alone, mirror = capsys.readouterr().err.splitlines()
    assert "control character" in control
    assert "\x1b" not in control
    assert "the eDonkey network is not joined here; name a URL of the file with -m" in alone
    assert "no place to fetch it from" in mirror


def test_what_the_user_says_of_name_and_hash_comes_first(server: LoopbackServer, folder: Path) -> None:
    server.resources["/x"] = Resource(body=BODY)
    link = ed2k("a.avi", b"other")
    line = [link, "-m", server.url("/x"), "-d", str(folder), "-o", "mine"]
    assert main([*line, "--checksum", "md5=" + "0" * 32]) == 7
    assert main(line) == 7
    assert not (folder / "mine").exists()


def test_an_ed2k_link_in_a_thunder_link(server: LoopbackServer, folder: Path) -> None:
    server.resources["/x"] = Resource(body=BODY)
    assert main([thunder(ed2k("a b.avi", BODY)), "-m", server.url("/x"), "-d", str(folder)]) == 0
    assert (folder / "a b.avi").read_bytes() == BODY


def test_info_of_an_ed2k_link(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", ed2k("a.avi", BODY, "s=http://u:p@h/x")]) == 0
    told = capsys.readouterr().out
    assert "name       a.avi" in told
    assert "urls       http://h/x" in told
    assert main(["info", "--json", ed2k("a.avi", BODY)]) == 0
    assert json.loads(capsys.readouterr().out)["size_bytes"] == len(BODY)


def test_the_library_takes_them_too() -> None:
    assert Request(thunder("http://h/a b"), (thunder("http://h/c"),)) == Request("http://h/a%20b", ("http://h/c",))
    with pytest.raises(InvalidUrl, match="Base64"):
        Request("thunder://!")
    with pytest.raises(InvalidUrl, match="32 hex"):
        Request("ed2k://|file|a|5|x|/")


def test_glob(server: LoopbackServer, folder: Path) -> None:
    server.resources = {f"/{letter}{number:02}": Resource(body=b"x") for letter in "ab" for number in range(8, 11)}
    line = ["--glob", server.url("/{a,b}[08-10]"), "-d", str(folder)]
    assert main(line) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a08", "a09", "a10", "b08", "b09", "b10"]
    assert main([*line, "-o", "#2-#1.bin"]) == 0
    assert (folder / "08-a.bin").is_file()


def test_without_glob_brackets_are_brackets(server: LoopbackServer, folder: Path) -> None:
    server.resources["/[1-3]{a}"] = Resource(body=b"x")
    assert main([server.url("/[1-3]{a}"), "-d", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["[1-3]{a}"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["http://h/[1-2]", "-o", "x"], "--out belongs to one file"),
        (["http://h/[1-2]", "-m", "http://i/"], "--mirror belongs to one file"),
        (["http://h/[1-2", "-d", "x"], "character 10: the bracket is not closed"),
        (["ftp5://h/[1-2]"], "'ftp5' is not supported"), (["http://h/{a b}"], "a space"),
        (["http://h/[0-9][0-999999]"], "are the most"),
    ],
)  # fmt: skip
def test_glob_refused(line: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--glob", *line]) == 2
    assert told in capsys.readouterr().err


def test_a_pattern_for_one_file_is_one_file(server: LoopbackServer, folder: Path) -> None:
    server.resources["/a1"] = Resource(body=b"x")
    assert main(["--glob", server.url("/a[1-1]"), "-o", "one", "-d", str(folder)]) == 0
    assert (folder / "one").is_file()


def test_what_stood_for_a_pattern_leads_nowhere_else(server: LoopbackServer, folder: Path) -> None:
    server.resources["/../x"] = Resource(body=b"x")
    assert main(["--glob", server.url("/{../x,../x}"), "-o", "#1", "-d", str(folder)]) == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == ["in"]
    assert list(folder.iterdir()) == []
