"""Algorithm names, typed checksums and piece hash lists."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import UsageError
from thunderdl.formats.hashes import (
    ALGORITHMS,
    MAX_DIGESTS,
    canonical_algorithm,
    common_name,
    format_piece_hashes,
    new_hasher,
    parse_checksum,
    parse_piece_hashes,
)
from thunderdl.model import Digest, PieceHashes

EMPTY_SHA256 = hashlib.sha256().hexdigest()


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("sha-256", "sha256"), ("SHA256", "sha256"), ("sha_256", "sha256"), (" Sha-512 ", "sha512"), ("sha-1", "sha1"),
        ("SHA", "sha1"), ("MD5", "md5"), ("sha3-256", "sha3_256"), ("SHA3_512", "sha3_512"), ("BLAKE2b", "blake2b"),
        ("blake-3", "blake3"), ("SHA2-512", "sha512"), ("BLAKE2B-512", "blake2b"),
        ("BLAKE2S-256", "blake2s"),
    ],
)  # fmt: skip
def test_spellings(name: str, canonical: str) -> None:
    assert canonical_algorithm(name) == canonical


@pytest.mark.parametrize("name", ["", "crc32", "sha-255", "shake_128", "sha256;rm", "\x1b[31m"])
def test_an_unknown_algorithm_lists_the_known(name: str) -> None:
    with pytest.raises(ValueError, match=r"sha256, .*blake3") as caught:
        canonical_algorithm(name)
    assert "\x1b" not in str(caught.value)
    with pytest.raises(ValueError, match="canonical"):
        new_hasher(name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_hashes_and_its_common_name_leads_back(algorithm: str) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(b"a")
    hasher.update(memoryview(bytearray(b"b")))
    assert len(hasher.digest()) == ALGORITHMS[algorithm]
    whole = new_hasher(algorithm)
    whole.update(b"ab")
    assert whole.digest() == hasher.digest()
    assert canonical_algorithm(common_name(algorithm)) == algorithm


@pytest.mark.parametrize(
    "text",
    [f"sha-256={EMPTY_SHA256}", f"SHA256:{EMPTY_SHA256.upper()}", f" {EMPTY_SHA256}\n", f"sha_256 = {EMPTY_SHA256}"],
)
def test_checksums_as_people_type_them(text: str) -> None:
    assert parse_checksum(text) == Digest("sha256", hashlib.sha256().digest())


def test_bare_hex_tells_its_algorithm_by_its_length() -> None:
    assert [parse_checksum("ab" * size).algorithm for size in (16, 20, 32, 64)] == ["md5", "sha1", "sha256", "sha512"]


@pytest.mark.parametrize(
    "text",
    ["", "=", "sha-256", "sha-256=", "sha-256=ab", f"sha-1={EMPTY_SHA256}", "sha-256=" + "g" * 64, "g" * 64,
     "md5=" + "a b" * 10 + "cc", f"crc32={EMPTY_SHA256}", "a" * 63, "a" * 9999, "\x1b=\x1b", "md5=" + "é" * 32],
)  # fmt: skip
def test_a_wrong_checksum_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_checksum(text)
    message = str(caught.value)
    assert message.endswith(".")
    assert len(message) < 300
    assert "\n" not in message
    assert "\x1b" not in message


@given(st.text(max_size=80))
def test_any_text_is_a_digest_or_a_usage_error(text: str) -> None:
    try:
        digest = parse_checksum(text)
    except UsageError:
        return
    assert len(digest.value) == ALGORITHMS[digest.algorithm]


@given(st.sampled_from(sorted(ALGORITHMS)), st.integers(2**10, 2**30), st.data())
def test_piece_hashes_come_back_from_both_forms(algorithm: str, piece_length: int, data: st.DataObject) -> None:
    size = ALGORITHMS[algorithm]
    digests = tuple(data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=5)))
    pieces = PieceHashes(algorithm=algorithm, piece_length=piece_length, digests=digests)
    assert parse_piece_hashes(format_piece_hashes(pieces)) == pieces
    table = {"algorithm": algorithm, "piece_length": piece_length, "digests": [digest.hex() for digest in digests]}
    assert parse_piece_hashes(json.dumps(table)) == pieces


def test_comments_and_empty_lines_are_passed_over() -> None:
    text = f"# made by hand\r\n\r\nSHA-256 1048576 # 1 MiB\r\n{EMPTY_SHA256.upper()}  # first\n\n{EMPTY_SHA256}"
    assert parse_piece_hashes(text) == PieceHashes(
        algorithm="sha256", piece_length=1048576, digests=(hashlib.sha256().digest(),) * 2
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begin with a line"),
        ("sha-256", "begin with a line"),
        ("sha-256 1e6\nab", "begin with a line"),
        ("sha-256 1048576", "0 piece hashes"),
        (f"crc32 1048576\n{EMPTY_SHA256}", "not a hash algorithm"),
        (f"sha-256 1023\n{EMPTY_SHA256}", "1 KiB"),
        (f"sha-256 {2**30 + 1}\n{EMPTY_SHA256}", "1 GiB"),
        (f"sha-256 1048576\n{EMPTY_SHA256}\nabc", "Piece hash 2"),
        ("{", "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ("{}", "need the keys"),
        ('{"algorithm": "md5", "piece_length": true, "digests": []}', "need the keys"),
        ('{"algorithm": "md5", "piece_length": 1024.0, "digests": []}', "need the keys"),
        ('{"algorithm": "md5", "piece_length": 1024, "digests": [1]}', "texts of hex"),
        ('{"algorithm": "md5", "piece_length": 1024, "digests": []}', "0 piece hashes"),
        ('{"algorithm": "md5", "piece_length": ' + "9" * 5000 + ', "digests": []}', "not JSON"),
    ],
)
def test_wrong_piece_hashes(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_piece_hashes(text)


def test_too_many_piece_hashes() -> None:
    with pytest.raises(UsageError, match="texts of hex"):
        parse_piece_hashes('{"algorithm": "md5", "piece_length": 1024, "digests": [' + "0," * MAX_DIGESTS + "0]}")
