"""``thunderdl info`` of a metalink, and of what a server states beside a file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.fakes import NAUGHTY
from tests.cli.test_metalink_input import here, pipe, sentence
from tests.servers import misbehave as m
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from thunderdl.cli import metalink_listing
from thunderdl.cli.app import main
from thunderdl.errors import printable
from thunderdl.formats.metalink_model import Metalink, MetalinkFile, MetaUrl, Mirror, Publisher, Signature
from thunderdl.formats.metalink_writer import write_metalink4
from thunderdl.model import Digest, PieceHashes

__all__ = ["here"]

FILE = MetalinkFile(
    name="d/f.iso", size=3 << 20, digests=(Digest("sha256", bytes(32)),),
    pieces=PieceHashes(algorithm="sha256", piece_length=1 << 20, digests=(bytes(32),) * 3),
    mirrors=(
        Mirror(url="http://u:s3cret@a.example/f", priority=1, location="de"), Mirror(url="http://b.example/f"),
    ),
    metaurls=(MetaUrl(url="http://a.example/f.torrent", mediatype="torrent"),),
    signatures=(Signature(mediatype="application/pgp-signature", text="-----BEGIN"),),
    publisher=Publisher(name="Somebody", url="http://example.org/"), description="An image", version="1.0",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({}) as each:
        yield each


def rows(file: MetalinkFile) -> list[str]:
    return list(metalink_listing.rows_of(Metalink(version=4, files=(file,), generator="x")))


def test_a_table() -> None:
    assert rows(FILE) == [
        "metalink   version 4",
        "generator  x",
        "files      1",
        "",
        "1  3.00 MiB  d/f.iso",
        "   publisher  Somebody http://example.org/",
        "   identity   1.0",
        "   about      An image",
        f"   hash       sha256={'00' * 32}",
        "   pieces     3 of 1.00 MiB, sha256",
        "   mirror       1  de  http://a.example/f",
        "   mirror       –  –   http://b.example/f",
        "   torrent    http://a.example/f.torrent",
        "   signature  application/pgp-signature, 10 characters, not checked here",
    ]


def test_many_mirrors_are_counted_and_all_in_json() -> None:
    many = MetalinkFile(name="f", mirrors=tuple(Mirror(url=f"http://m{at}.example/f") for at in range(100)))
    assert rows(many)[-1].endswith("and 80 more; --json lists them")
    told = json.loads(metalink_listing.json_of(Metalink(version=4, files=(many,))))
    assert len(told["files"][0]["mirrors"]) == 100


def test_nothing_in_it_is_raw_and_no_credentials_are_told() -> None:
    naughty = MetalinkFile(name=NAUGHTY, description=NAUGHTY, mirrors=FILE.mirrors)
    metalink = Metalink(version=4, files=(naughty, FILE), notes=(NAUGHTY,))
    text = "".join(metalink_listing.rows_of(metalink)) + metalink_listing.json_of(metalink)
    assert text == printable(text)
    assert "s3cret" not in text


@pytest.mark.parametrize("line", ["x.meta4", "x.xml", "-"])
def test_of_a_file(here: Path, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    document = write_metalink4([FILE])
    for name in ("x.meta4", "x.xml"):
        (here / name).write_bytes(document)
    pipe(monkeypatch, document)
    assert main(["info", *line.split()]) == 0
    assert "1  3.00 MiB  d/f.iso" in capsys.readouterr().out


def test_of_a_url(server: LoopbackServer, capsys: pytest.CaptureFixture[str]) -> None:
    named = m.headers(("Content-Type", "application/metalink4+xml"))
    server.resources |= {path: Resource(body=write_metalink4([FILE]), behaviour=named) for path in ("/x.meta4", "/x")}
    for path in ("/x.meta4", "/x"):
        assert main(["info", "--json", server.url(path)]) == 0
        assert json.loads(capsys.readouterr().out)["files"][0]["name"] == "d/f.iso"
    assert main(["info", "--no-follow", server.url("/x")]) == 0
    assert "type       application/metalink4+xml" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["x.meta4", "x.xml", "y.xml"])
def test_bad_ones_are_one_sentence(here: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x.meta4", "x.xml"):
        (here / name).write_bytes(b"no XML")
    assert main(["info", *line.split()]) == 2
    sentence(capsys)


def test_what_a_server_states_of_a_file(server: LoopbackServer, capsys: pytest.CaptureFixture[str]) -> None:
    digest = hashlib.sha256(b"x").digest()
    fields = m.headers(
        ("Repr-Digest", f"sha-256=:{base64.b64encode(digest).decode()}:"),
        ("x-goog-hash", "crc32c=AAAAAA=="),
        ("Link", "<http://u:s3cret@m.example/f>; rel=duplicate; pri=1"),
        ("Link", '</f.meta4>; rel=describedby; type="application/metalink4+xml"'),
        ("Link", '</f.torrent>; rel=describedby; type="application/x-bittorrent"'),
        ("X-Checksum-Md5", "00" * 16),
        ("OC-Checksum", f"MD5:{'01' * 16}"),
    )
    server.resources["/f"] = Resource(body=b"x", behaviour=fields)
    assert main(["info", server.url("/f")]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in (
        f"digests    sha256={digest.hex()}", "mirrors    http://m.example/f",
        f"metalinks  {server.url('/f.meta4')}", f"torrents   {server.url('/f.torrent')}",
        "checksums  crc32c=00000000 (x-goog-hash)",
    ):  # fmt: skip
        assert line in lines
    assert any(line.startswith("note") and "contradicts itself" in line for line in lines)
    assert main(["info", "--json", server.url("/f")]) == 0
    assert json.loads(capsys.readouterr().out)["duplicates"] == ["http://m.example/f"]


def test_mirrors_of_which_nothing_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plain = replace(FILE, mirrors=(Mirror(url="http://a.example/f"), Mirror(url="http://b.example/f")))
    (tmp_path / "x.meta4").write_bytes(write_metalink4([plain]))
    assert main(["info", str(tmp_path / "x.meta4")]) == 0
    assert "   mirror     http://a.example/f\n   mirror     http://b.example/f\n" in capsys.readouterr().out
