from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.listings import Page, Place
from thunderdl.formats.manifests import parse_lines, parse_objects, parse_sums
from thunderdl.model import Digest
from thunderdl.storage.paths import safe_name

SHA256 = hashlib.sha256(b"x").hexdigest()
MD5 = hashlib.md5(b"x").hexdigest()


def place() -> Place:
    return Place("https://h/d/list", "", safe_name)


def test_lines() -> None:
    rows = [
        {"name": "a b/c#%41.bin", "size": 3, "sha256": SHA256.upper(), "md5": MD5},
        {"name": "./plain"},
        {"name": "sha-512", "sha-512": "zz"},
    ]
    page = parse_lines("\n".join(map(json.dumps, rows)) + "\n\n", place())
    assert [(each.name, each.url, each.size_bytes, each.digest) for each in page.files] == [
        ("a b/c#%41.bin", "https://h/d/a%20b/c%23%2541.bin", 3, Digest("sha256", bytes.fromhex(SHA256))),
        ("plain", "https://h/d/plain", None, None),
        ("sha-512", "https://h/d/sha-512", None, None),
    ]
    assert page.refused == 0


def test_lines_that_are_none() -> None:
    bad = [
        "rubbish", "[" * 100_000, "5", '"x"', '{"name": 3}', '{"size": 3}', '{"name": "a", "size": -1}',
        '{"name": "b", "size": true}', '{"name": "c", "size": 1e400}', '{"name": "d", "size": 99999999999999999999}',
        '{"name": "../e"}', '{"name": "/etc/passwd"}', '{"name": "a\\\\b"}', '{"name": "f\\u0000"}', '{"name": ""}',
        '{"name": "\\ud800"}',
    ]  # fmt: skip
    page = parse_lines("\n".join(bad), place())
    assert page.files == []
    assert page.refused == len(bad)


def test_of_two_that_differ_none_counts() -> None:
    rows = [{"name": "a", "size": 1}, {"name": "a", "size": 2}, {"name": "b", "size": 1}, {"name": "b", "size": 1}]
    page = parse_objects(rows, place())
    assert page is not None
    assert [each.name for each in page.files] == ["b"]
    assert page.refused == 1
    assert parse_objects([1, 2], place()) is None


def test_a_checksum_file() -> None:
    page = parse_sums(f"{SHA256}  a\n{SHA256} *sub/b c\nMD5 (x) = {MD5}\n".encode(), "SHA256SUMS", place())
    assert page is not None
    assert [(each.name, each.digest and each.digest.algorithm) for each in page.files] == [
        ("a", "sha256"), ("sub/b c", "sha256"), ("x", "md5"),
    ]  # fmt: skip
    assert parse_sums(b"hello\nworld\n", "SHA256SUMS", place()) is None
    assert parse_sums(SHA256.encode(), "x.sha256", place()) is None


@given(st.text(max_size=400), st.binary(max_size=400))
def test_nothing_raises(text: str, raw: bytes) -> None:
    pages = [parse_lines(text, place()), parse_sums(raw, "X", place()) or Page()]
    for page in pages:
        for each in page.files:
            assert all(part == safe_name(part) for part in each.name.split("/"))
            assert each.url.startswith("https://h/d/")
