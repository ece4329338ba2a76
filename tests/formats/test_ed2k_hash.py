"""The ed2k hash, with the values that eMule's and older programs give for files of zeros."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.ed2k_hash import CHUNK_BYTES, Ed2kHasher
from thunderdl.formats.hashes import new_hasher, parse_checksum
from thunderdl.model import Digest

EMPTY = "31d6cfe0d16ae931b73c59d7e0c089c0"
# Length, eMule's value, that of older programs.
ZEROS = [
    (CHUNK_BYTES, "fc21d9af828f92a8df64beac3357425d", "d7def262a127cd79096a108e7a9fc138"),
    (2 * CHUNK_BYTES, "114b21c63a74b6ca922291a11177dd5c", "194ee9e4fa79b2ee9f8829284c466051"),
]


@pytest.mark.parametrize(("length", "emule", "older"), ZEROS)
def test_both_variants_of_whole_chunks(length: int, emule: str, older: str) -> None:
    hasher = new_hasher("ed2k")
    hasher.update(bytes(length))
    found = Digest("ed2k", hasher.digest())
    assert found.value.hex() == emule + older
    assert parse_checksum(f"ed2k={emule}").covers(found)
    assert parse_checksum(f"ed2k:{older}").covers(found)
    assert not parse_checksum(f"ed2k={EMPTY}").covers(found)
    assert not Digest("md5", bytes.fromhex(emule)).covers(found)


def test_small_files() -> None:
    assert Ed2kHasher().digest().hex() == EMPTY
    hasher = Ed2kHasher()
    hasher.update(b"abc")
    # RFC 1320, appendix A.5: below a chunk it is MD4 itself.
    assert hasher.digest().hex() == "a448017aaf21d8525fc10ae87aa6729d"


@given(st.lists(st.integers(1, CHUNK_BYTES), max_size=4))
def test_the_blocks_do_not_matter_and_a_copy_goes_its_own_way(lengths: list[int]) -> None:
    hasher, whole = Ed2kHasher(), Ed2kHasher()
    for length in lengths:
        hasher.update(memoryview(bytes(length)))
    whole.update(bytes(sum(lengths)))
    assert hasher.digest() == whole.digest()
    copy = hasher.copy()
    copy.update(b"x")
    assert hasher.digest() == whole.digest() != copy.digest()


def test_an_empty_digest_covers_nothing() -> None:
    assert not Digest("md5", b"").covers(Digest("md5", b"x" * 16))
