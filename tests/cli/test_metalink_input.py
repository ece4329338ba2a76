"""Metalinks as typed: from standard input, by ``--metalink``, by what a server calls its answer."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.test_metalinks import CONTENT, a_file, dead, good, metalink
from tests.servers import misbehave as m
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.cli.app import main
from thunderdl.engine.metalinks import unpacked

# Bytes that are kept come first: of several connections the 404 might be heard before any of them.
CUT = m.first(1, m.reset_after(256 * 1024), m.status(404))
BRIEFLY = ["--retries", "0", "--connections", "1"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    return tmp_path


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f": good(), "/g": Resource(body=b"small")}) as each:
        yield each


class Piped(io.TextIOWrapper):
    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", Piped(content))


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    return told.err.strip()


def test_from_standard_input(monkeypatch: pytest.MonkeyPatch, server: LoopbackServer, here: Path) -> None:
    small = a_file([server.url("/g")], name="g.txt", size=5, content=b"small")
    document = metalink(a_file([server.url("/f")]), small).encode()
    pipe(monkeypatch, document)
    assert main(["get", "-", "-q"]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT
    assert (here / "g.txt").read_bytes() == b"small"


@pytest.mark.parametrize("line", [["--metalink", "-"], ["-M-"], ["-", "--files", "1"]])
def test_one_of_standard_input(
    monkeypatch: pytest.MonkeyPatch, server: LoopbackServer, here: Path, line: list[str]
) -> None:
    pipe(monkeypatch, metalink(a_file([server.url("/f")])).encode())
    assert main(["get", "-q", "-o", "mine", *line]) == 0
    assert (here / "mine").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content",
    [b"", b"https://example.org/f\n", b"\x00\xff" * 100, b"d8:announce3:urle", b"<html>", b"<metalink", b"<a/>"],
)
def test_anything_else_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    pipe(monkeypatch, content)
    assert main(["get", "-"]) == 2
    assert "standard input" in sentence(capsys)


def test_too_much_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("thunderdl.formats.metalink_model.MAX_DOCUMENT_BYTES", 100)
    pipe(monkeypatch, b" " * 101)
    assert main(["get", "-"]) == 2
    assert "longer than the 100 bytes" in sentence(capsys)


@pytest.mark.parametrize("line", ["- -i -", "- -", "- -M -", "-M - -i -"])
def test_standard_input_is_for_one_thing(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", *line.split()]) == 2
    assert "once" in sentence(capsys) or "one URL" in line


def test_options_of_one_file_with_several(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: LoopbackServer
) -> None:
    document = metalink(a_file([server.url("/f")]), a_file([server.url("/g")], name="g"))
    for line in (["-o", "x"], ["-m", server.url("/f")], [server.url("/f")]):
        pipe(monkeypatch, document.encode())
        assert main(["get", "-M", "-", *line]) == 2
        assert "names 2 files; choose one with --files" in sentence(capsys)
    assert not server.requests


def test_a_document_of_another_name(server: LoopbackServer, here: Path) -> None:
    (here / "x.xml").write_text(metalink(a_file([server.url("/f")])))
    assert main(["get", "-q", "-M", "x.xml"]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("line", ["x.meta4.gz", "X.METALINK.GZ", "-M any"])
def test_a_document_that_is_gzip(line: str, server: LoopbackServer, here: Path) -> None:
    (here / line.split()[-1]).write_bytes(gzip.compress(metalink(a_file([server.url("/f")])).encode()))
    assert main(["get", "-q", *line.split()]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (gzip.compress(b"<metalink/>")[:-4], "x.meta4.gz: its gzip is damaged or ends early"),
        (gzip.compress(b"<metalink/>" + bytes(2000)), "x.meta4.gz is no usable Metalink: it is larger than "),
    ],
    ids=["damaged", "without an end"],
)
def test_a_gzip_that_is_damaged_or_has_no_end_is_refused(
    held: bytes, told: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("engine.metalinks", "formats.metalink"):
        monkeypatch.setattr(f"thunderdl.{module}.MAX_DOCUMENT_BYTES", 1000)
    (here / "x.meta4.gz").write_bytes(held)
    assert main(["get", "x.meta4.gz"]) == 2
    assert told in sentence(capsys)
    assert len(unpacked(gzip.compress(bytes(1_000_000)), "x")) == 1001


def test_a_document_beside_the_url(server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.xml").write_text(metalink(a_file([dead()])))
    assert main(["get", "--json", "-M", "x.xml", server.url("/f"), "-H", "X-Mine: 1"]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT
    assert json.loads(capsys.readouterr().out)["verified"]
    assert all(request.header("X-Mine") == "1" for request in server.requests)


def test_resume_of_one_knows_its_document(
    server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "x.xml").write_text(metalink(a_file([server.url("/f")])))
    server.behaviour = CUT
    assert main(["get", "-q", "-M", "x.xml", *BRIEFLY]) != 0
    server.behaviour = None
    assert main(["resume", "-q"]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


def test_resume_of_one_with_another_link(server: LoopbackServer, here: Path) -> None:
    (here / "x.meta4").write_text(metalink(a_file([server.url("/f")])))
    server.behaviour = CUT
    assert main(["get", "-q", "x.meta4", *BRIEFLY]) != 0
    server.behaviour = None
    server.resources = {"/new": good()}
    assert main(["resume", "-q", "f.bin", "--url", server.url("/new")]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


def test_resume_of_standard_input_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = metalink(a_file([server.url("/f")])).encode()
    server.behaviour = CUT
    pipe(monkeypatch, document)
    assert main(["get", "-q", "-", *BRIEFLY]) != 0
    server.behaviour = None
    capsys.readouterr()
    assert main(["resume"]) == 2
    assert "run the same command" in capsys.readouterr().err
    pipe(monkeypatch, document)
    assert main(["get", "-q", "-"]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["application/metalink4+xml", "Application/Metalink+XML; charset=utf-8"])
def test_what_a_server_calls_a_metalink_is_followed(server: LoopbackServer, here: Path, kind: str) -> None:
    document = metalink(a_file([server.url("/f")])).encode()
    server.resources["/x"] = Resource(body=document, behaviour=m.headers(("Content-Type", kind)))
    assert main(["get", "-q", server.url("/x")]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT


def unnamed(server: LoopbackServer) -> str:
    """The URL of a metalink of two files, known by its Content-Type alone."""
    small = a_file([server.url("/g")], name="g.txt", size=5, content=b"small")
    named = m.headers(("Content-Type", "application/metalink4+xml"))
    document = metalink(a_file([server.url("/f")]), small)
    server.resources["/x"] = Resource(body=document.encode(), behaviour=named)
    return server.url("/x")


def test_each_of_its_files_is_a_download(
    server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "--json", unnamed(server)]) == 0
    assert (here / "f.bin").read_bytes() == CONTENT
    assert (here / "g.txt").read_bytes() == b"small"
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(Path(each["path"]).name for each in results) == ["f.bin", "g.txt"]


@pytest.mark.parametrize(("chosen", "names"), [("1", ["f.bin"]), ("*.txt", ["g.txt"]), ("1-2", ["f.bin", "g.txt"])])
def test_those_that_are_chosen(server: LoopbackServer, here: Path, chosen: str, names: list[str]) -> None:
    assert main(["get", "-q", "--files", chosen, unnamed(server)]) == 0
    assert sorted(each.name for each in here.iterdir()) == names


@pytest.mark.parametrize("line", [["-o", "mine"], ["-m", "/f"]])
def test_what_belongs_to_one_of_them_wants_a_choice(
    server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    belongs = [server.url(each) if each.startswith("/") else each for each in line]
    assert main(["get", "-q", unnamed(server), *belongs]) == 2
    assert "names 2 files; choose one with --files" in sentence(capsys)
    assert not [*here.iterdir()]


def test_nothing_to_choose_from(server: LoopbackServer, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "-q", "--files", "1", server.url("/f")]) == 2
    assert "/f is no metalink or torrent, of which --files could choose some." in sentence(capsys)
    assert main(["get", "-q", "--files", "1", "--no-follow", server.url("/f")]) == 2
    assert "--files chooses from" in sentence(capsys)
    assert not [*here.iterdir()]


def test_unless_nobody_wants_that(server: LoopbackServer, here: Path) -> None:
    document = metalink(a_file([server.url("/f")])).encode()
    named = ("Content-Type", "application/metalink4+xml")
    server.resources["/x"] = Resource(body=document, behaviour=m.headers(named))
    assert main(["get", "-q", "--no-follow", server.url("/x")]) == 0
    assert (here / "x").read_bytes() == document


def test_what_only_claims_to_be_one(server: LoopbackServer, capsys: pytest.CaptureFixture[str]) -> None:
    named = ("Content-Type", "application/metalink4+xml")
    server.resources["/x"] = Resource(body=b"no XML", behaviour=m.headers(named))
    assert main(["get", server.url("/x")]) == 2
    assert "is no usable Metalink" in sentence(capsys)


def test_a_metalink_is_followed_once(server: LoopbackServer, here: Path) -> None:
    """One that names another, or itself, as its file is a file like any other."""
    named = ("Content-Type", "application/metalink4+xml")
    inner = metalink(f'<file name="y"><url>{server.url("/x")}</url></file>')
    server.resources["/x"] = Resource(body=inner.encode(), behaviour=m.headers(named))
    assert main(["get", "-q", server.url("/x")]) == 0
    assert (here / "y").read_bytes() == inner.encode()


def test_a_list_of_mirrors_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "http://127.0.0.1:1/f", "--mirror-list", "none.txt"]) == 2
    assert sentence(capsys).endswith("--mirror-list none.txt: there is no such file.")
