"""Digests in headers and fragments: each for what it is, none of other bytes, no side taken where two differ."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.hashes import new_hasher
from thunderdl.formats.stated_digests import (
    WANT_REPR_DIGEST,
    Covers,
    Statement,
    combined,
    fragment_digests,
    stated_digests,
)
from thunderdl.formats.strength import is_strong, strongest_first
from thunderdl.formats.structured_fields import LONGEST_FIELD, byte_members, dictionary
from thunderdl.model import Digest

BODY = b'{"hello": "world"}\n'


def digest(algorithm: str, content: bytes = BODY) -> Digest:
    return Digest(algorithm, hashlib.new(algorithm, content, usedforsecurity=False).digest())


def b64(algorithm: str, content: bytes = BODY) -> str:
    return base64.b64encode(digest(algorithm, content).value).decode()


def hexed(algorithm: str, content: bytes = BODY) -> str:
    return digest(algorithm, content).value.hex()


def stated(*headers: tuple[str, str], status: int = 200, method: str = "GET") -> Statement:
    return stated_digests(headers, status=status, method=method)


SHA256 = digest("sha256")
REPR = ("Repr-Digest", f"sha-256=:{b64('sha256')}:")
CONTENT = ("Content-Digest", f"sha-256=:{b64('sha256')}:")


@pytest.mark.parametrize(
    "header",
    [
        REPR,
        ("repr-digest", f"  other=1, sha-256=:{b64('sha256')}:;q=1"),
        CONTENT,
        ("Digest", f"SHA-256={b64('sha256')}"),
        ("X-Linked-ETag", f'"{hexed("sha256")}"'),
        ("X-Linked-ETag", hexed("sha256")),
        ("x-amz-checksum-sha256", b64("sha256")),
        ("Docker-Content-Digest", f"sha256:{hexed('sha256')}"),
        ("X-Checksum-Sha256", hexed("sha256").upper()),
        ("OC-Checksum", f"SHA256:{hexed('sha256')}"),
    ],
)
def test_who_states_a_sha_256(header: tuple[str, str]) -> None:
    found = stated(header)
    assert found.of_file == (SHA256,)
    assert found.digests[0].field.lower() == header[0].lower()
    assert found.disagreements == ()


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [
        (("x-goog-hash", f"crc32c=n03x6A==,md5={b64('md5')}"), "md5"),
        (("Content-MD5", b64("md5")), "md5"),
        (("X-Checksum-Md5", hexed("md5")), "md5"),
        (("X-Checksum-Sha1", hexed("sha1")), "sha1"),
        (("x-bz-content-sha1", hexed("sha1")), "sha1"),
        (("x-amz-checksum-sha1", b64("sha1")), "sha1"),
        (("Digest", f"SHA={b64('sha1')}"), "sha1"),
    ],
)
def test_who_states_a_weak_one(header: tuple[str, str], algorithm: str) -> None:
    found = stated(header)
    assert found.of_file == (digest(algorithm),)


def test_checksums_are_shown_and_are_no_digests() -> None:
    found = stated(("x-goog-hash", "crc32c=n03x6A=="), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="))
    assert found.digests == ()
    assert [one.digest.algorithm for one in found.checksums] == ["crc32c", "crc64nvme"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Repr-Digest", REPR[1].upper())],
        [("Repr-Digest", f"{REPR[1]}, A=1")],
        [("Repr-Digest", f"{REPR[1]},")],
        [("Repr-Digest", f"sha-256={b64('sha256')}")],
        [("Repr-Digest", f"sha-256=:{b64('sha512')}:")],
        [("Repr-Digest", "sha-256=:" + "A" * LONGEST_FIELD + ":")],
        [("Repr-Digest", "sha-256=:ä:")],
        [("Digest", "SHA-256=x, SHA-256, =, NONE=AAAA")],
        [("X-Linked-ETag", f'W/"{hexed("sha256")}"')],
        [("X-Linked-ETag", f'"{hexed("sha1")}"')],
        [("ETag", f'"{hexed("sha256")}"')],
        [("x-amz-checksum-sha256", b64("sha256") + "-3")],
        [("x-amz-checksum-sha256", b64("sha256")), ("x-amz-checksum-type", "COMPOSITE")],
        [("x-amz-checksum-crc32c", "n03x6A==-12")],
        [("x-goog-hash", f"md5={b64('sha1')}")],
        [("x-goog-hash", f"md5={b64('md5')}"), ("x-goog-stored-content-encoding", "gzip")],
        [("Docker-Content-Digest", hexed("sha256"))],
        [("X-Checksum-Sha256", "none")],
        [("x-bz-content-sha1", f"unverified:{hexed('sha1')}")],
        [("Content-MD5", "rubbish")],
    ],
)
def test_what_states_nothing(headers: list[tuple[str, str]]) -> None:
    assert stated(*headers) == Statement()


EVERY = (
    REPR,
    CONTENT,
    ("Digest", f"SHA-256={b64('sha256')}"),
    ("X-Linked-ETag", hexed("sha256")),
    ("x-amz-checksum-sha256", b64("sha256")),
    ("x-goog-hash", f"md5={b64('md5')}"),
    ("Docker-Content-Digest", f"sha256:{hexed('sha256')}"),
    ("X-Checksum-Sha256", hexed("sha256")),
    ("Content-MD5", b64("md5")),
)


@pytest.mark.parametrize("coding", ["gzip", "identity, br", "br"])
def test_of_a_coded_answer_nothing_is_taken(coding: str) -> None:
    assert stated(*EVERY, ("Content-Encoding", coding)) == Statement()
    assert stated(*EVERY, ("Content-Encoding", "identity")).of_file == (SHA256, digest("md5"))


@pytest.mark.parametrize("status", [204, 304, 400, 404, 416, 500, 503])
def test_of_other_answers_nothing_is_taken(status: int) -> None:
    assert stated(*EVERY, ("X-Linked-Size", "5"), status=status) == Statement()


def test_of_a_part_the_content_digest_is_that_of_the_part() -> None:
    part = ("Content-Digest", f"sha-256=:{b64('sha256', BODY[10:])}:")
    found = stated(REPR, part, ("Content-Range", "bytes 10-18/19"), status=206)
    assert found.of_file == (SHA256,)
    assert found.of_body == (digest("sha256", BODY[10:]),)
    assert found.digests[1].covers is Covers.BODY
    assert found.disagreements == ()


@pytest.mark.parametrize("header", [CONTENT, ("Content-MD5", b64("md5")), ("x-amz-checksum-sha256", b64("sha256"))])
def test_what_may_cover_a_part_alone_is_not_that_of_the_file(header: tuple[str, str]) -> None:
    assert stated(header, ("Content-Range", "bytes 10-18/19"), status=206).of_file == ()
    assert stated(header, ("Content-Range", "bytes 10-18/19"), status=200).of_file == ()


def test_the_content_digest_of_a_head_is_that_of_nothing() -> None:
    found = stated(("Content-Digest", f"sha-256=:{b64('sha256', b'')}:"), REPR, method="head")
    assert found.of_file == (SHA256,)
    assert found.of_body == ()


def test_a_redirect_states_what_it_leads_to_and_not_its_own_page() -> None:
    page = [(name, value) for name, value in EVERY if "Linked" not in name and "Docker" not in name]
    assert stated(*page, status=302) == Statement()
    linked = [*page, ("X-Linked-ETag", f'"{hexed("sha256", b"file")}"'), ("X-Linked-Size", "4")]
    found = stated(*linked, status=302)
    assert (found.of_file, found.size) == ((digest("sha256", b"file"),), 4)
    metalink = ("Link", "<http://m.example/f>; rel=duplicate")
    assert stated(*page, metalink, status=302).of_file == (SHA256,)


@pytest.mark.parametrize("size", ["-1", "x", "9223372036854775808", "1, 2", ""])
def test_a_linked_size_that_is_none(size: str) -> None:
    assert stated(("X-Linked-Size", size)).size is None


def test_two_that_differ_are_reported_and_neither_is_used() -> None:
    found = stated(REPR, ("X-Checksum-Sha256", hexed("sha256", b"other")), ("X-Checksum-Sha1", hexed("sha1")))
    assert found.of_file == (digest("sha1"),)
    assert [one.algorithm for one in found.disagreements] == ["sha256"]
    assert str(found.disagreements[0]) == (
        f"two sha256 digests of the same file differ (Repr-Digest says {hexed('sha256')[:16]}, "
        f"X-Checksum-Sha256 says {hexed('sha256', b'other')[:16]})"
    )


def test_what_several_state_is_combined() -> None:
    first, second = stated(REPR, ("X-Linked-Size", "5")), stated(("X-Checksum-Sha1", hexed("sha1")))
    liar = stated(("X-Checksum-Sha256", hexed("sha256", b"other")), ("X-Linked-Size", "6"))
    assert combined([first, second]).of_file == (SHA256, digest("sha1"))
    assert combined([first, second]).size == 5
    whole = combined([first, second, liar])
    assert (whole.of_file, whole.size) == ((digest("sha1"),), None)
    assert combined([whole, first]).of_file == (digest("sha1"),), "a disagreement is not forgotten"


@pytest.mark.parametrize(
    ("fragment", "algorithms"),
    [
        (f"sha256={hexed('sha256')}", ["sha256"]),
        (f"sha256={hexed('sha256').upper()}&egg=x", ["sha256"]),
        (f"egg=x&md5={hexed('md5')}&sha256={hexed('sha256')}", ["sha256", "md5"]),
        (f"sha256:{hexed('sha256')}", ["sha256"]),
        (hexed("md5"), ["md5"]),
        (hexed("sha256"), ["sha256"]),
        (hexed("sha1"), []),
        (f"sha256={hexed('sha256')}&sha256={hexed('sha256', b'')}", []),
        (f"sha256={hexed('sha256')[:-1]}", []),
        ("sha256=", []),
        ("egg=x", []),
        ("", []),
        ("&" * 100_000, []),
    ],
)
def test_fragments(fragment: str, algorithms: list[str]) -> None:
    assert [one.algorithm for one in fragment_digests(f"http://h.example/f#{fragment}")] == algorithms


def test_what_is_asked_for_is_a_dictionary_of_weights() -> None:
    assert dictionary([WANT_REPR_DIGEST[1]]) == {"sha-256": 10, "sha-512": 5}


def test_strength() -> None:
    assert is_strong("sha256")
    assert not any(map(is_strong, ("md5", "sha1", "crc32c", "")))
    order = strongest_first(Digest(name, b"") for name in ("crc32c", "md5", "sha256", "sha1", "sha512"))
    assert [one.algorithm for one in order] == ["sha512", "sha256", "sha1", "md5", "crc32c"]


def test_digest_field_rows(testdata: Path) -> None:
    """Each row: what it states is what the body hashes to exactly where the row says so."""
    table: list[dict[str, Any]] = json.loads((testdata / "digest_fields/cases.json").read_text(encoding="utf-8"))
    assert table
    for row in table:
        headers = [(name, value) for name, value in row.get("headers_list") or row["headers"].items()]
        found = stated_digests(headers, status=row.get("status", 200), method=row.get("method", "GET"))
        if "sha256_hex" in row:
            assert [one.algorithm for one in found.of_file] == ["sha256", "sha1", "md5"]
            assert [one.value.hex() for one in found.of_file[:2]] == [row["sha256_hex"], row["sha1_hex"]]
            assert [one.algorithm for one in found.disagreements] == ["sha224"]
        elif "Content-Encoding" in row["headers"]:
            assert found == Statement()
        else:
            judge_row(row, found)


def judge_row(row: dict[str, Any], found: Statement) -> None:
    body = row["body"].encode()
    covering = found.of_body if row.get("status") == 206 else found.of_file
    if row.get("method") == "HEAD":
        assert found.of_file == (SHA256,)
        return
    assert covering, row["id"]
    for each in covering:
        hasher = new_hasher(each.algorithm)
        hasher.update(body)
        assert (hasher.digest() == each.value) is not row["expect"].startswith("reject"), row["id"]


def structured_rows(testdata: Path) -> list[dict[str, Any]]:
    paths = sorted((testdata / "structured_fields").glob("*.json"))
    return [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]


def test_dictionaries_of_structured_fields(testdata: Path) -> None:
    table = [row for row in structured_rows(testdata) if row["header_type"] == "dictionary"]
    assert table
    for row in table:
        found = dictionary(row["raw"])
        if row.get("must_fail"):
            assert found is None, row["name"]
        elif not (row.get("can_fail") and found is None):
            assert found is not None, row["name"]
            assert list(found) == [key for key, _ in row["expected"]], row["name"]


def test_items_of_structured_fields_as_members(testdata: Path) -> None:
    """A member's value is an item, so every row of items is one of dictionaries, too."""
    table = [row for row in structured_rows(testdata) if row["header_type"] == "item" and len(row["raw"]) == 1]
    assert table
    for row in table:
        raw = row["raw"][0]
        if raw != raw.strip(" \t") or "," in raw:
            continue  # white space around an item, and a comma in it, mean something else within a dictionary
        found = dictionary([f"key={raw}"])
        if row.get("must_fail"):
            assert found is None, row["name"]
        elif not (row.get("can_fail") and found is None):
            assert found is not None, row["name"]
            value = row["expected"][0]
            if isinstance(value, dict) and value["__type"] == "binary":
                assert found == {"key": base64.b32decode(value["value"])}, row["name"]


def test_a_field_beyond_what_servers_send_is_none() -> None:
    assert dictionary(["a=1," * (LONGEST_FIELD // 4 - 1) + "a=1"]) == {"a": 1}
    assert dictionary(["a=1," * (LONGEST_FIELD // 4) + "a=1"]) is None


def test_the_same_field_over_several_lines() -> None:
    assert byte_members(["a=:AA==:", "b=1, c=:AQ==:"]) == {"a": b"\x00", "c": b"\x01"}
    assert byte_members(["a=:AA==:", ""]) == {}


FIELDS = sorted({name for name, _ in EVERY} | {"X-Linked-Size", "Link", "OC-Checksum", "Content-Encoding"})
values = st.one_of(st.text(max_size=60), st.text("sha-256md5=:;,\"'AQ/+0fF \\()@%\t", max_size=60))


@given(st.lists(st.tuples(st.sampled_from(FIELDS), values), max_size=6), st.sampled_from([200, 206, 302]))
def test_nothing_raises(headers: list[tuple[str, str]], status: int) -> None:
    stated_digests(headers, status=status)
    for _, value in headers:
        fragment_digests(f"http://h.example/#{value}")
        dictionary([value])


def test_long_hostile_fields_are_bounded() -> None:
    for unit in ("a=1,", "a,", "a=(", '"', ":", "=", "&", "sha-256=:"):
        stated_digests([(name, unit * 50_000) for name in FIELDS], status=200)
