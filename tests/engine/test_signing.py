"""Downloads that a key of the user's must have signed: no good signature, no final name."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch, names
from tests.engine.test_metalinks import CONTENT, SIZE, a_file, dead, good, metalink, write
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import LoopbackServer
from tests.test_signatures import Gpg, Signer, signer
from thunderdl.client import Client
from thunderdl.errors import BadSignature, UsageError
from thunderdl.options import Options

LEFT = ["f.part", "f.part.journal"]
SUMS = f"{hashlib.sha256(CONTENT).hexdigest()}  f\n".encode()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f": good(), "/s": Resource(body=b"small")}) as each:
        yield each


@pytest.fixture
def mine(tmp_path: Path) -> Signer:
    made = signer()
    (tmp_path / "key.pub").write_bytes(made.public)
    return made


@pytest.mark.parametrize(("path", "content"), [("/f", CONTENT), ("/s", b"small")])
def test_a_good_one(tmp_path: Path, server: LoopbackServer, mine: Signer, path: str, content: bytes) -> None:
    server.resources[f"{path}.minisig"] = Resource(body=mine.sign(content))
    result = fetch(server.url(path), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    assert content_of(result) == content
    assert any(each.startswith("signature=minisign key") for each in result.verified)
    assert any(note.startswith("signed by minisign key") for note in result.notes)


@pytest.mark.parametrize(("path", "left"), [("/f", LEFT), ("/s", [])])
def test_a_bad_one(tmp_path: Path, server: LoopbackServer, mine: Signer, path: str, left: list[str]) -> None:
    server.resources[f"{path}.minisig"] = Resource(body=mine.sign(b"something else"))
    result = fetch(server.url(path), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    failed(result, BadSignature, 7, "not of these bytes", f"{path}.minisig")
    assert not (tmp_path / "out" / path[1:]).exists()
    assert not left or names(tmp_path / "out") == left


@pytest.mark.parametrize("body", [None, b"<html>all is well</html>", b"-----BEGIN PGP SIGNATURE-----\n", b""])
def test_none_at_all(tmp_path: Path, server: LoopbackServer, mine: Signer, body: bytes | None) -> None:
    if body is not None:
        server.resources |= {f"/f.{end}": Resource(body=body) for end in ("sig", "asc", "minisig", "sha256")}
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    failed(result, BadSignature, 7, "no signature", "--signed-by")
    assert names(tmp_path / "out") == LEFT


def test_what_failed_for_want_of_one_is_not_fetched_again(tmp_path: Path, server: LoopbackServer, mine: Signer) -> None:
    fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    server.resources["/f.minisig"] = Resource(body=mine.sign(CONTENT))
    sent = server.sent["/f"]
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes == SIZE
    assert server.sent["/f"] == sent


def test_of_the_checksum_file(tmp_path: Path, server: LoopbackServer, mine: Signer) -> None:
    server.resources |= {"/SHA256SUMS": Resource(body=SUMS), "/SHA256SUMS.minisig": Resource(body=mine.sign(SUMS))}
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    assert content_of(result) == CONTENT
    assert any("SHA256SUMS, whose digest it has, is signed by minisign key" in note for note in result.notes)


@pytest.mark.parametrize(
    ("text", "signed_text", "word"),
    [
        (SUMS, b"others", "not of these bytes"),
        (SUMS.replace(SUMS[:64], b"00" * 32), None, "another digest"),
        (b"%s  f\n" % hashlib.md5(CONTENT).hexdigest().encode(), None, "no signature"),
        (SUMS.replace(b"  f", b"  g"), None, "no signature"),
    ],
)
def test_of_a_checksum_file_that_proves_nothing(
    tmp_path: Path, server: LoopbackServer, mine: Signer, text: bytes, signed_text: bytes | None, word: str
) -> None:
    signature = mine.sign(text if signed_text is None else signed_text)
    server.resources |= {"/SHA256SUMS": Resource(body=text), "/SHA256SUMS.minisig": Resource(body=signature)}
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    failed(result, BadSignature, 7, word)
    assert names(tmp_path / "out") == LEFT


def test_what_was_heard_first_is_not_what_was_signed(tmp_path: Path, server: LoopbackServer, mine: Signer) -> None:
    """A server that shows another list while it downloads than when the signature is checked."""
    other = generated(SIZE, seed=2)
    server.resources["/f"] = other
    digest = hashlib.sha256(bytes(other.span(0, SIZE))).hexdigest()
    lying = Resource(body=SUMS, behaviour=m.first(1, m.becomes(Resource(body=f"{digest}  f\n".encode()))))
    server.resources |= {"/SHA256SUMS": lying, "/SHA256SUMS.minisig": Resource(body=mine.sign(SUMS))}
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"), checksum_files=True)
    failed(result, BadSignature, 7, "another digest")


@pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="needs gpg and gpgv")
def test_openpgp_beside_it_in_a_metalink_and_in_a_list(
    tmp_path: Path, server: LoopbackServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gpg = Gpg(tmp_path_factory.mktemp("g") / "h", "never")
    try:
        (tmp_path / "key.pub").write_bytes(gpg.run("--armor", "--export"))
        signature, listed = gpg.run("--armor", "--detach-sign", stdin=CONTENT), gpg.run("--clearsign", stdin=SUMS)
    finally:
        gpg.close()
    more = f'<signature mediatype="application/pgp-signature">{signature.decode()}</signature>'
    document = write(tmp_path, metalink(a_file([server.url("/f")], more=more)))
    key = str(tmp_path / "key.pub")
    result = fetch(document, tmp_path / "0", signed_by=key, save_signatures=True)
    assert any(each.startswith("signature=OpenPGP key") for each in result.verified)
    assert names(tmp_path / "0") == ["f.bin", "f.bin.asc"]
    server.resources["/f.asc"] = Resource(body=signature)
    assert fetch(server.url("/f"), tmp_path / "1", signed_by=key).error is None
    del server.resources["/f.asc"]
    server.resources["/SHA256SUMS"] = Resource(body=listed)
    assert fetch(server.url("/f"), tmp_path / "2", signed_by=key).error is None
    server.resources["/SHA256SUMS"] = Resource(body=listed.replace(b"  f", b"  g") + SUMS)
    failed(fetch(server.url("/f"), tmp_path / "3", signed_by=key), BadSignature, 7)


def test_beside_a_mirror_where_the_first_link_is_dead(tmp_path: Path, server: LoopbackServer, mine: Signer) -> None:
    server.resources["/f.minisig"] = Resource(body=mine.sign(CONTENT))
    key = str(tmp_path / "key.pub")
    result = fetch(dead(), tmp_path / "out", mirrors=[server.url("/f")], signed_by=key)
    assert content_of(result) == CONTENT


def test_a_signature_that_the_server_names(tmp_path: Path, server: LoopbackServer, mine: Signer) -> None:
    """Elsewhere than beside it, and it gets none of the user's header fields there."""
    gpg_type = "application/pgp-signature"
    server.resources["/f"] = generated(
        SIZE, seed=1, behaviour=m.headers(("Link", f'</signatures/1>; rel=describedby; type="{gpg_type}"'))
    )
    server.resources["/signatures/1"] = Resource(body=mine.sign(CONTENT))
    key = str(tmp_path / "key.pub")
    result = fetch(server.url("/f"), tmp_path / "out", signed_by=key, headers=(("X-Mine", "1"),))
    assert content_of(result) == CONTENT
    (asked,) = (request for request in server.requests if request.path == "/signatures/1")
    assert asked.header("X-Mine") is None


def test_a_key_that_is_none_is_told_before_anything_is_asked(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "key.pub").write_bytes(b"rubbish")
    failed(fetch(server.url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub")), UsageError, 2, "--signed-by")
    assert not server.requests


def test_signatures_of_a_metalink_without_a_key_are_kept_where_wanted(tmp_path: Path, server: LoopbackServer) -> None:
    more = '<signature mediatype="application/pgp-signature">-----BEGIN</signature>'
    document = write(tmp_path, metalink(a_file([server.url("/f")], more=more)))
    assert names(Path(str(fetch(document, tmp_path / "0").path)).parent) == ["f.bin"]
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "f.bin.asc").write_bytes(b"mine")
    fetch(document, tmp_path / "1", save_signatures=True)
    assert (tmp_path / "1" / "f.bin.asc").read_bytes() == b"mine"


async def _streamed(url: str, key: str) -> None:
    async with Client(Options()) as client:
        async for _ in client.stream(url, signed_by=key):
            pass


def test_a_stream_cannot_be_taken_back(tmp_path: Path, server: LoopbackServer) -> None:
    import asyncio

    with pytest.raises(UsageError, match="signed_by"):
        asyncio.run(_streamed(server.url("/f"), "key"))
