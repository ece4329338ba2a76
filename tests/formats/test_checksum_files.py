"""Checksum files: every common form is read, and only for the file that it names."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.checksum_files import MAX_BYTES, ChecksumFile, digests_in, parse_checksum_file
from thunderdl.formats.sidecars import (
    algorithm_hint,
    checksum_candidates,
    described_name,
    signature_candidates,
)
from thunderdl.model import Digest

SHA = Digest("sha256", hashlib.sha256(b"right").digest())
HEX = SHA.value.hex()
OTHER = hashlib.sha256(b"other").hexdigest()
SHA512 = hashlib.sha512(b"right").hexdigest()
MD5 = hashlib.md5(b"right", usedforsecurity=False).hexdigest()


def found(text: str | bytes, target: str = "x.iso", sidecar: str = "SHA256SUMS") -> tuple[Digest, ...]:
    document = text if isinstance(text, bytes) else text.encode()
    return digests_in(document, target=target, sidecar=sidecar).of_file


@pytest.mark.parametrize(
    "text",
    [
        f"{HEX}  x.iso\n",
        f"{HEX} *x.iso\n",
        f"{HEX} x.iso",
        f"{HEX}\tx.iso",
        f"{HEX.upper()}  x.iso\r\n",
        f"\ufeff{HEX}  x.iso\n",
        f"{HEX}  ./x.iso\n",
        f"{HEX}  dir/x.iso\n{OTHER}  dir/y.iso\n",
        f"{HEX}  dir\\x.iso\n",
        f"{OTHER}  a\n{HEX}  x.iso\n{OTHER}  xx.iso\n{OTHER}  x.iso.asc\n",
        f"SHA256 (x.iso) = {HEX}\n",
        f"SHA256(x.iso)= {HEX}\n",
        f"SHA9-256(x.iso)= {OTHER}\nSHA256(x.iso)= {HEX}\n",
        f"SHA2-256(x.iso)= {HEX}\n",
        f"# x.iso: 5 bytes\nSHA256 (x.iso) = {HEX}\n",
        f"x.iso: {HEX.upper()}\n",
        "x.iso: " + " ".join(HEX[at : at + 8] for at in range(0, 32, 8)) + "\n       "
        + " ".join(HEX[at : at + 8] for at in range(32, 64, 8)) + "\n",
        f"rubbish\n\x00\n{HEX}  x.iso\n{HEX[:-1]}  x.iso\nzz  x.iso\n",
    ],
)  # fmt: skip
def test_forms(text: str) -> None:
    assert found(text) == (SHA,)


def test_utf_16_as_powershell_writes_it() -> None:
    assert found(f"{HEX}  x.iso\r\n".encode("utf-16")) == (SHA,)


def test_latin_1_names() -> None:
    assert found(f"{HEX}  ä.iso\n".encode("latin-1"), target="ä.iso") == (SHA,)


@pytest.mark.parametrize("name", ["a b.iso", "a  b", "(x) = y", "*x", "ü.iso", "a) = b.iso"])
def test_odd_names(name: str) -> None:
    assert found(f"{HEX} *{name}\n", target=name) == (SHA,)
    assert found(f"SHA256 ({name}) = {HEX}\n", target=name) == (SHA,)


def test_escaped_names() -> None:
    """coreutils: a leading backslash says that the name is escaped; without it, backslashes are none."""
    parsed = parse_checksum_file(f"\\{HEX}  a\\nb\\\\c\\rd\\x\n\\SHA256 (a\\nb) = {HEX}\n{HEX}  a\\nb\n".encode())
    assert [entry.name for entry in parsed.entries] == ["a\nb\\c\rd\\x", "a\nb", "a\\nb"]


@pytest.mark.parametrize(
    ("text", "sidecar"),
    [
        (HEX, "x.iso.sha256"),
        (f" {HEX.upper()} \r\n", "x.iso.sha256sum"),
        (f"sha256:{HEX}", "x.iso.sha256"),
        (f"sha-256: {HEX}", "x.iso.sha256.txt"),
        (HEX, "x.iso.checksum"),
    ],
)
def test_a_digest_alone_counts_in_a_file_called_after_the_target(text: str, sidecar: str) -> None:
    assert found(text, sidecar=sidecar) == (SHA,)
    assert found(text, target="y.iso", sidecar=sidecar) == ()
    assert found(text, sidecar="SHA256SUMS") == ()
    assert found(f"{text}\n{OTHER}", sidecar=sidecar) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"{HEX}  y.iso\n",
        f"{HEX}  x.iso.asc\n",
        f"{HEX}  x.iso/y\n",
        f"{HEX}  xx.iso\n",
        f"{HEX}  x.ISO\n",
        f"{HEX}  \n{HEX}  ./\n",
        f"SHA1 (x.iso) = {HEX}\n",
        f"SHA256 () = {HEX}\n",
        f"{HEX}{OTHER}00  x.iso\n",
        f"<html><body>404 {HEX} x.iso</body></html>",
        "x.iso\n",
        "",
    ],
)
def test_a_file_for_another_file_gives_nothing(text: str) -> None:
    assert found(text) == ()
    assert found(text, sidecar="x.iso.sha256") == ()


def test_a_digest_in_the_own_sidecar_that_names_another_file_gives_nothing() -> None:
    assert found(f"{HEX}  y.iso\n", sidecar="x.iso.sha256") == ()


def test_the_last_part_of_a_name_counts_only_where_it_is_unambiguous() -> None:
    both = digests_in(f"{HEX}  a/x.iso\n{OTHER}  b/x.iso\n".encode(), target="x.iso", sidecar="SHA256SUMS")
    assert (both.of_file, both.disagreements) == ((), ()), "two files, not two words on one"
    assert found(f"{HEX}  a/x.iso\n{MD5}  b/x.iso\n") == ()
    assert found(f"{HEX}  a/x.iso\n{HEX}  b/x.iso\n") == (SHA,)
    assert found(f"{OTHER}  a/x.iso\n{HEX}  x.iso\n") == (SHA,)
    assert found(f"{OTHER}  a/x.iso\n{HEX}  b/x.iso\n", target="b/x.iso") == (SHA,)


def test_two_that_differ_are_reported_and_neither_is_used() -> None:
    statement = digests_in(f"{HEX}  x.iso\n{OTHER}  x.iso\n".encode(), target="x.iso", sidecar="SHA256SUMS")
    assert statement.of_file == ()
    assert [one.algorithm for one in statement.disagreements] == ["sha256"]


def test_several_algorithms_in_one_file_strongest_first() -> None:
    text = f"MD5 (x.iso) = {MD5}\n{HEX}  x.iso\nSHA512 (x.iso) = {SHA512}\n"
    assert [one.algorithm for one in found(text, sidecar="CHECKSUM")] == ["sha512", "sha256", "md5"]


def test_the_name_of_the_checksum_file_tells_the_algorithm_where_the_length_does_not() -> None:
    assert found(f"{SHA512}  x.iso", sidecar="B2SUMS")[0].algorithm == "blake2b"
    assert found(f"{HEX}  x.iso", sidecar="x.iso.b3")[0].algorithm == "blake3"
    assert found(f"{HEX}  x.iso", sidecar="x.iso.sha512")[0].algorithm == "sha256"
    assert found(f"BLAKE2b (x.iso) = {SHA512}", sidecar="CHECKSUM")[0].algorithm == "blake2b"


SIGNED = f"""{OTHER}  x.iso
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# list
- {HEX}  x.iso
-----BEGIN PGP SIGNATURE-----

abc
-----END PGP SIGNATURE-----
{OTHER}  y.iso
"""


def test_of_a_clear_signed_file_only_what_is_signed_counts() -> None:
    parsed = parse_checksum_file(SIGNED.encode())
    assert [(entry.digest, entry.name) for entry in parsed.entries] == [(SHA, "x.iso")]
    assert parsed.signature is not None
    assert parsed.signature.startswith("-----BEGIN PGP SIGNATURE-----\n\nabc\n")
    assert found(SIGNED.replace("\n", "\r\n")) == (SHA,)


@pytest.mark.parametrize("cut", ["-----BEGIN PGP SIGNATURE-----", "Hash: SHA256\n\n# list\n"])
def test_a_torn_signature_gives_nothing(cut: str) -> None:
    assert found(SIGNED.replace(cut, "")) == ()


def test_what_is_too_large_gives_nothing() -> None:
    assert parse_checksum_file(f"{HEX}  x.iso\n".encode() + b"\n" * MAX_BYTES) == ChecksumFile()


@given(st.one_of(st.binary(max_size=200), st.text(f"{HEX[:4]} *()=:\\\n-\t", max_size=200).map(str.encode)))
def test_nothing_raises(document: bytes) -> None:
    for text in (document, HEX.encode() + document, document + HEX.encode(), b"\xff\xfe" + document):
        digests_in(text, target="x.iso", sidecar="x.iso.sha256")


def test_long_hostile_files_are_read_in_linear_time() -> None:
    for unit in (HEX, f"{HEX} ", "(", "SHA256 (x) = ", ":", "a: aa ", "\n ab", " ", "\\", "SHA256 (", "x) = "):
        parse_checksum_file(unit.encode() * (500_000 // len(unit)))


names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=20)


@given(st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=6, unique=True))
def test_what_sha256sum_writes_is_found(listed: list[str]) -> None:
    text = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in listed)
    for name in listed:
        assert [one.value for one in found(text, target=name)] == [hashlib.sha256(name.encode()).digest()]


def test_where_to_look() -> None:
    beside = "https://h.example/d/"
    assert checksum_candidates("https://h.example/d/x%20y.iso?token=secret#f") == (
        f"{beside}x%20y.iso.sha256",
        f"{beside}x%20y.iso.sha256sum",
        f"{beside}x%20y.iso.sha512",
        f"{beside}SHA256SUMS",
        f"{beside}SHA512SUMS",
        f"{beside}sha256sum.txt",
        f"{beside}CHECKSUM",
        f"{beside}x%20y.iso.md5",
    )
    assert signature_candidates(f"{beside}x.iso?t") == tuple(
        f"{beside}x.iso.{end}" for end in ("sig", "asc", "minisig")
    )
    assert signature_candidates(f"{beside}SHA256SUMS")[:2] == (f"{beside}SHA256SUMS.gpg", f"{beside}SHA256SUMS.sign")


@pytest.mark.parametrize("url", ["https://h.example", "https://h.example/", "https://h.example/d/", "x", ""])
def test_without_a_name_there_is_nowhere_to_look(url: str) -> None:
    assert checksum_candidates(url) == signature_candidates(url) == ()


@pytest.mark.parametrize(
    "name", ["x.sha256", "x.iso.sha512sum", "SHA256SUMS", "md5sum.txt", "CHECKSUM", "x.asc", "x.minisig"]
)
def test_a_sidecar_has_none(name: str) -> None:
    assert checksum_candidates(f"https://h.example/{name}") == ()


@pytest.mark.parametrize(
    ("name", "described", "hint"),
    [
        ("x.iso.sha256", "x.iso", "sha256"),
        ("x.iso.SHA-512.txt", "x.iso", "sha512"),
        ("x.tar.gz.sha3-256", "x.tar.gz", "sha3_256"),
        ("x.b2sum", "x", "blake2b"),
        ("SHA512SUMS", "", "sha512"),
        ("b3sums.txt", "", "blake3"),
        ("sha256sum.txt", "", "sha256"),
        ("CHECKSUM", "", ""),
        ("x.iso", "", ""),
    ],
)
def test_what_names_tell(name: str, described: str, hint: str) -> None:
    assert (described_name(name), algorithm_hint(name)) == (described, hint)


@given(st.text(max_size=60))
def test_no_name_and_no_url_raises(text: str) -> None:
    for url in (text, f"https://h.example/{text}"):
        checksum_candidates(url)
        signature_candidates(url)
    assert not algorithm_hint(text) or text
    described_name(text)
