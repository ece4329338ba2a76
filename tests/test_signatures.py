"""Signatures by keys that the tests make: of minisign in its two forms, of OpenPGP by gpg itself where it is there."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from thunderdl.errors import BadSignature, UsageError
from thunderdl.signatures import check_clear_signed, check_signature, is_clear_signed, load_key

CONTENT = b"what was signed\n" * 1000
needs_gpg = pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="needs gpg and gpgv")
needs_minisign = pytest.mark.skipif(not shutil.which("minisign"), reason="needs minisign")


class Signer(NamedTuple):
    """Makes minisign keys and signatures."""

    secret: Ed25519PrivateKey
    number: bytes

    @property
    def public(self) -> bytes:
        return b"untrusted comment: k\n" + self._line(b"Ed", self.secret.public_key().public_bytes_raw()) + b"\n"

    def sign(self, content: bytes, *, prehashed: bool = True, comment: bytes = b"timestamp:1") -> bytes:
        value = self.secret.sign(hashlib.blake2b(content).digest() if prehashed else content)
        whole = base64.b64encode(self.secret.sign(value + comment))
        lines = (b"untrusted comment: s", self._line(b"ED" if prehashed else b"Ed", value))
        return b"\n".join((*lines, b"trusted comment: " + comment, whole, b""))

    def _line(self, algorithm: bytes, value: bytes) -> bytes:
        return base64.b64encode(algorithm + self.number + value)


def signer(number: bytes = b"12345678") -> Signer:
    return Signer(Ed25519PrivateKey.generate(), number)


def check(key: Path, signature: bytes, content: bytes, folder: Path) -> str:
    (folder / "content").write_bytes(content)
    with (folder / "content").open("rb") as signed:
        return check_signature(load_key(str(key)), signature, signed, "f", "f.sig")


def written(folder: Path, content: bytes, name: str = "key") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("prehashed", [True, False])
@pytest.mark.parametrize("content", [CONTENT, b""])
def test_minisign(tmp_path: Path, prehashed: bool, content: bytes) -> None:
    mine = signer()
    key = written(tmp_path, mine.public)
    who = check(key, mine.sign(content, prehashed=prehashed), content, tmp_path)
    assert who == "minisign key 3837363534333231 (timestamp:1)"
    with pytest.raises(BadSignature, match="not of these bytes"):
        check(key, mine.sign(content, prehashed=prehashed), content + b"x", tmp_path)


def test_minisign_of_another_key_or_with_another_comment(tmp_path: Path) -> None:
    mine, other = signer(), signer(b"87654321")
    key = written(tmp_path, mine.public)
    with pytest.raises(BadSignature, match="another key"):
        check(key, other.sign(CONTENT), CONTENT, tmp_path)
    forged = Signer(other.secret, mine.number)
    with pytest.raises(BadSignature, match="not of these bytes"):
        check(key, forged.sign(CONTENT), CONTENT, tmp_path)
    with pytest.raises(BadSignature, match="comment was changed"):
        check(key, mine.sign(CONTENT).replace(b"timestamp:1", b"timestamp:2"), CONTENT, tmp_path)


def test_rubbish_for_a_signature(tmp_path: Path) -> None:
    key = written(tmp_path, signer().public)
    for text in (
        b"",
        b"untrusted comment:",
        b"<html>",
        b"-----BEGIN PGP SIGNATURE-----",
        b"untrusted comment:" * 100_000,
    ):
        with pytest.raises(BadSignature):
            check(key, text, CONTENT, tmp_path)


def test_an_old_signature_of_a_huge_file_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.signatures.MAX_PLAIN_BYTES", 100)
    mine = signer()
    with pytest.raises(BadSignature, match="old form"):
        check(written(tmp_path, mine.public), mine.sign(CONTENT, prehashed=False), CONTENT, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n", b"\x99" * 20_000_000]
)
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="--signed-by"):
        load_key(str(written(tmp_path, content)))


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_key(str(tmp_path / "none"))


def test_gpgv_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs gpgv"):
        load_key(str(written(tmp_path, b"\x98\x33 a packet")))


class Gpg:
    """A home of GnuPG with one key."""

    def __init__(self, home: Path, expires: str, *words: str) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        name = "Test\N{LATIN SMALL LETTER E WITH ACUTE}r <t@example.org>"
        self.run(*words, "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", expires)

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *words]
        return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=30).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, timeout=30)


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    # Not below the test's own folder: the path of a socket may have no more than 107 bytes.
    home = Gpg(tmp_path_factory.mktemp("g") / "h", "never")
    yield home
    home.close()


@needs_gpg
@pytest.mark.parametrize("armored", [True, False])
def test_openpgp(tmp_path: Path, gpg: Gpg, armored: bool) -> None:
    armor = ["--armor"] if armored else []
    key = written(tmp_path, gpg.run(*armor, "--export"))
    signature = gpg.run(*armor, "--detach-sign", stdin=CONTENT)
    assert check(key, signature, CONTENT, tmp_path).endswith("(Testér <t@example.org>)")
    with pytest.raises(BadSignature, match="not of these bytes"):
        check(key, signature, CONTENT + b"x", tmp_path)
    with pytest.raises(BadSignature):
        check(key, signature[: len(signature) // 2], CONTENT, tmp_path)
    with pytest.raises(BadSignature, match="another kind"):
        check(key, signer().sign(CONTENT), CONTENT, tmp_path)


@needs_gpg
def test_openpgp_of_another_key(tmp_path: Path, gpg: Gpg, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Gpg(tmp_path_factory.mktemp("o") / "h", "never")
    try:
        signature = other.run("--detach-sign", stdin=CONTENT)
    finally:
        other.close()
    with pytest.raises(BadSignature, match="another key"):
        check(written(tmp_path, gpg.run("--export")), signature, CONTENT, tmp_path)


@needs_gpg
def test_openpgp_of_a_key_that_has_expired(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """gpgv's exit status is 0 for it."""
    old = Gpg(tmp_path_factory.mktemp("e") / "h", "2020-01-02", "--faked-system-time", "20200101T000000")
    try:
        key = written(tmp_path, old.run("--export"))
        signature = old.run("--faked-system-time", "20200101T000000", "--detach-sign", stdin=CONTENT)
    finally:
        old.close()
    with pytest.raises(BadSignature, match="expired"):
        check(key, signature, CONTENT, tmp_path)


@needs_gpg
def test_text_that_holds_its_own(tmp_path: Path, gpg: Gpg) -> None:
    key = load_key(str(written(tmp_path, gpg.run("--export"))))
    text = gpg.run("--clearsign", stdin=b"SHA256 (f) = 00\n")
    assert is_clear_signed(text)
    assert "OpenPGP key" in check_clear_signed(key, text, "CHECKSUM")
    with pytest.raises(BadSignature, match="not of these bytes"):
        check_clear_signed(key, text.replace(b"= 00", b"= 01"), "CHECKSUM")


@needs_gpg
def test_gpgv_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "gpgv"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("thunderdl.signatures._LEAST_S", 0.05)
    with pytest.raises(BadSignature, match="did not come to an end"):
        check(written(tmp_path, b"\x98\x33 a packet"), b"\x88x", CONTENT, tmp_path)


@needs_minisign
@pytest.mark.parametrize("form", ["-H", "-l"])
def test_what_minisign_itself_makes(tmp_path: Path, form: str) -> None:
    content, key, secret = written(tmp_path, CONTENT, "f"), tmp_path / "k.pub", tmp_path / "k.sec"
    for words in (["-G", "-W", "-p", str(key), "-s", str(secret)], ["-S", form, "-s", str(secret), "-m", str(content)]):
        subprocess.run(["minisign", *words], input=b"", capture_output=True, check=True, timeout=30)
    assert check(key, (tmp_path / "f.minisig").read_bytes(), CONTENT, tmp_path).startswith("minisign key ")
