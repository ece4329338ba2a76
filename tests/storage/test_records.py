from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thunderdl.errors import JournalUnusable
from thunderdl.storage.records import (
    MAGIC,
    MAX_JSON_BYTES,
    MAX_OFFSET,
    Barrier,
    Decoded,
    Dropped,
    Extent,
    Filled,
    Header,
    JournalDamaged,
    Kept,
    PieceFacts,
    Record,
    Renewed,
    Sources,
    Verified,
    compacted,
    decode,
    encode,
    opening,
)

SIZE = 1000
HEADER = Header(
    url="https://a.example/f",
    mirrors=("https://b.example/f",),
    name="f",
    size=SIZE,
    etag='"x"',
    last_modified="Mon, 23 Nov 2026 15:00:00 GMT",
    checksum="sha-256=00",
    piece_hash=PieceFacts(algorithm="sha256", piece_length=100, digest="ab"),
    boot_id="b",
    created=1_800_000_000,
    granule_bytes=16384,
)
A, B = b"aaaaaaaa", b"bbbbbbbb"


def written(*records: Record, header: Header = HEADER) -> bytes:
    start, checksum = opening(header)
    return start + encode(records, checksum)[0]


def extents(*records: Record) -> list[tuple[int, int, bytes | None, bool]]:
    return [tuple(extent) for extent in decode(written(*records)).extents]  # type: ignore[misc]


def raw(kind: int, payload: bytes, data: bytes = b"") -> bytes:
    """A record of any kind, as an attacker would make it, behind ``data``."""
    seed = decode(data).checksum if data else zlib.crc32(struct.pack("<6sH", MAGIC, 1))
    frame = struct.pack("<IB", len(payload), kind) + payload
    return (data or struct.pack("<6sH", MAGIC, 1)) + frame + struct.pack("<I", zlib.crc32(frame, seed))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, SIZE - 1))
    return start, draw(st.integers(start + 1, SIZE))


def filled() -> st.SearchStrategy[Filled]:
    return st.builds(lambda pair, digest: Filled(pair[0], pair[1], digest), ranges(), st.binary(min_size=8, max_size=8))


def any_record() -> st.SearchStrategy[Record]:
    two = st.sampled_from([Kept, Dropped, Verified])
    served = st.dictionaries(st.text(max_size=5), st.integers(0, MAX_OFFSET), max_size=3)
    return st.one_of(
        filled(),
        st.builds(lambda kind, pair: kind(*pair), two, ranges()),
        st.just(Barrier()),
        st.builds(lambda s: Sources(tuple(s.items())), served),
        st.builds(Renewed, st.text(max_size=5), st.text(max_size=5)),
    )


def test_the_header_comes_back() -> None:
    found = decode(written())
    assert found.header == HEADER
    assert found.good_bytes == len(written())


def test_absent_facts_come_back_as_absent() -> None:
    header = Header(url="http://a.example/")
    assert decode(written(header=header)).header == header


def test_a_filled_record_is_compact() -> None:
    assert len(encode([Filled(0, 1, A)], 0)[0]) <= 40


@pytest.mark.parametrize(
    "url", ["https://u:p@a.example/x?k=v@w", "ftp://u@a.example/x?k=v@w", "http://u:p@q@h/x?k=v@w"]
)
def test_no_password_is_written_or_believed(url: str) -> None:
    header = Header(url=url, mirrors=(url,))
    data = written(Sources(((url, 5),)), Renewed(url, url), header=header)
    assert b"u:p" not in data
    assert decode(data).header.renewed_url == header.url
    assert "u" not in header.url.partition("://")[2].partition("/")[0]
    assert header.url.endswith("/x?k=v@w")
    hostile = decode(raw(1, json.dumps({"url": url, "mirrors": [url], "renewed_url": url}).encode()))
    assert hostile.header.url == hostile.header.renewed_url == header.url
    assert decode(raw(9, json.dumps({HEADER.url: url}).encode(), written())).header.renewed_url == header.url
    assert hostile.header.mirrors == (header.url,)


def test_later_extents_win_and_cut_the_earlier_ones() -> None:
    assert extents(Filled(0, 100, A), Filled(50, 150, B)) == [(0, 50, None, False), (50, 150, B, False)]
    assert extents(Filled(50, 150, B), Filled(0, 100, A)) == [(0, 100, A, False), (100, 150, None, False)]
    assert extents(Filled(20, 30, A), Filled(30, 40, A), Filled(0, 100, B)) == [(0, 100, B, False)]


def test_dropped_takes_away_and_filling_again_brings_back() -> None:
    assert extents(Filled(0, 100, A), Dropped(0, 100)) == []
    assert extents(Filled(0, 100, A), Dropped(40, 60)) == [(0, 40, None, False), (60, 100, None, False)]
    assert extents(Filled(0, 100, A), Dropped(0, 100), Filled(0, 100, B)) == [(0, 100, B, False)]


def test_a_barrier_covers_what_was_recorded_before_the_sync_began() -> None:
    assert extents(Filled(0, 10, A), Barrier(), Filled(10, 20, B)) == [(0, 10, A, True), (10, 20, B, False)]
    reach = len(written(Filled(0, 10, A)))
    late = extents(Filled(0, 10, A), Filled(10, 20, B), Barrier(reach))
    assert late == [(0, 10, A, True), (10, 20, B, False)]


def test_a_barrier_from_the_future_covers_no_more_than_what_stands_before_it() -> None:
    assert extents(Barrier(10_000), Filled(0, 10, A)) == [(0, 10, A, False)]


def test_verified_is_void_once_filled_again_or_dropped() -> None:
    found = decode(written(Filled(0, 100, A), Verified(0, 100), Dropped(10, 20), Filled(30, 40, B)))
    assert found.verified == ((0, 10), (20, 30), (40, 100))


def test_the_last_count_of_sources_counts() -> None:
    found = decode(written(Sources((("http://a/", 1),)), Sources((("http://a/", 2), ("http://b/", 3)))))
    assert found.served == {"http://a/": 2, "http://b/": 3}


def test_the_last_link_that_was_got_counts_and_survives_a_compaction() -> None:
    url = HEADER.url
    found = decode(written(Renewed(url, "http://b/"), Renewed("http://other/", "http://c/"), Renewed(url, "http://d/")))
    assert found.header == replace(HEADER, renewed_url="http://d/")
    assert decode(written(header=found.header)).header == found.header


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"5", b'{"a":'])
def test_a_link_that_is_none_ends_the_journal(payload: bytes) -> None:
    whole = written(Filled(0, 100, A))
    found = decode(raw(9, payload, whole))
    assert (found.good_bytes, found.header) == (len(whole), HEADER)


def painted(records: list[Record]) -> dict[int, tuple[bytes | None, bool]]:
    """The model: each byte with its digest and whether it is durable."""
    canvas: dict[int, tuple[bytes | None, bool]] = {}
    for record in records:
        match record:
            case Filled(start, end, digest):
                canvas.update(dict.fromkeys(range(start, end), (digest, False)))
            case Kept(start, end):
                canvas.update(dict.fromkeys(range(start, end), (None, False)))
            case Dropped(start, end):
                for byte in range(start, end):
                    canvas.pop(byte, None)
            case Barrier():
                canvas = {byte: (digest, True) for byte, (digest, _) in canvas.items()}
            case _:
                pass
    return canvas


def assert_agrees(found: Decoded, records: list[Record]) -> None:
    canvas = painted(records)
    seen = {byte: extent for extent in found.extents for byte in range(extent.start, extent.end)}
    assert seen.keys() == canvas.keys()
    for byte, (digest, durable) in canvas.items():
        assert seen[byte].durable == durable
        assert seen[byte].digest in (None, digest)
    whole = {(r.start, r.end, r.digest) for r in records if isinstance(r, Filled)}
    assert all(e.digest is None or (e.start, e.end, e.digest) in whole for e in found.extents)


@given(st.lists(any_record(), max_size=12))
def test_says_of_every_byte_what_was_recorded_last(records: list[Record]) -> None:
    data = written(*records)
    found = decode(data)
    assert found.good_bytes == len(data)
    assert_agrees(found, records)


@settings(max_examples=25)
@given(st.lists(any_record(), min_size=1, max_size=4))
def test_torn_at_every_byte_keeps_the_records_before(records: list[Record]) -> None:
    ends = [len(written(*records[:count])) for count in range(len(records) + 1)]
    data = written(*records)
    for cut in range(ends[0], len(data) + 1):
        for tail in (b"", b"\0" * 50, b"\xff" * 50):
            # The tail may happen to begin with what was torn off.
            same = sum(
                1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(data, data[:cut] + tail, strict=False))
            )
            kept = sum(end <= same for end in ends) - 1
            found = decode(data[:cut] + tail)
            assert found.good_bytes == ends[kept]
            assert_agrees(found, records[:kept])


def test_torn_in_its_header_it_is_damaged_and_says_so() -> None:
    data = written()
    for cut in range(len(data)):
        with pytest.raises(JournalDamaged, match="begins anew"):
            decode(data[:cut])
    with pytest.raises(JournalDamaged):
        decode(b"\0" * 4096)


@given(st.lists(filled(), min_size=2, max_size=5, unique=True), st.data())
def test_a_hole_in_the_middle_ends_it_there(records: list[Filled], data: st.DataObject) -> None:
    whole = written(*records)
    missing = data.draw(st.integers(0, len(records) - 2))
    start, end = (len(written(*records[:count])) for count in (missing, missing + 1))
    assert decode(whole[:start] + whole[end:]).good_bytes == start


def test_stale_bytes_of_an_earlier_tail_do_not_count() -> None:
    before = written(Filled(0, 10, A), Filled(10, 20, A), Filled(20, 30, A))
    now = written(Filled(0, 10, A), Dropped(0, 10))
    stale = before[len(written(Filled(0, 10, A), Filled(10, 20, A))) :]
    assert decode(now + stale).good_bytes == len(now)


@given(st.lists(any_record(), max_size=4), st.data())
def test_a_flipped_bit_is_never_believed(records: list[Record], data: st.DataObject) -> None:
    good = bytearray(written(*records))
    first = len(written())
    if first == len(good):
        return
    at = data.draw(st.integers(first, len(good) - 1))
    good[at] ^= 1 << data.draw(st.integers(0, 7))
    found = decode(bytes(good))
    assert found.good_bytes <= at
    ends = [len(written(*records[:count])) for count in range(len(records) + 1)]
    assert_agrees(found, records[: ends.index(found.good_bytes)])


@given(st.binary(max_size=200))
def test_any_bytes_at_all_raise_only_what_is_promised(data: bytes) -> None:
    for candidate in (data, MAGIC + data, struct.pack("<6sH", MAGIC, 1) + data):
        with pytest.raises(JournalUnusable):
            decode(candidate)


@given(st.integers(0, 255), st.binary(max_size=100))
def test_any_payload_with_a_right_checksum_is_harmless(kind: int, payload: bytes) -> None:
    found = decode(raw(kind, payload, written(Filled(0, 10, A))))
    assert all(0 <= e.start < e.end <= SIZE for e in found.extents)
    with suppress(JournalUnusable):
        decode(raw(1, payload))


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{}",
        b"null",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"url":' + b"[" * 100_000,
        b'{"url":1}',
        b'{"url":"x","size":-1}',
        b'{"url":"x","size":true}',
        b'{"url":"x","size":1.5}',
        b'{"url":"x","size":NaN}',
        b'{"url":"x","size":9223372036854775808}',
        b'{"url":"x","size":' + b"9" * 5000 + b"}",
        b'{"url":"x","mirrors":"y"}',
        b'{"url":"x","mirrors":[1]}',
        b'{"url":"x","piece_hash":[]}',
        b'{"url":"x","piece_hash":{"algorithm":"a","piece_length":0,"digest":"d"}}',
        b'{"url":"x","piece_hash":{"algorithm":"a"}}',
        b'{"url":"x","boot_id":{}}',
        b'{"url":"x","created":"now"}',
    ],
)
def test_hostile_headers_are_damage(payload: bytes) -> None:
    with pytest.raises(JournalDamaged):
        decode(raw(1, payload))


def test_unknown_facts_in_a_header_do_not_matter() -> None:
    assert decode(raw(1, b'{"url":"x","path":"/etc/passwd"}')).header == Header(url="x")


@pytest.mark.parametrize("kind", [2, 4, 5, 7])
@pytest.mark.parametrize("pair", [(5, 5), (6, 5), (0, SIZE + 1), (0, 2**63), (2**64 - 2, 2**64 - 1)])
def test_extents_out_of_range_end_the_journal(kind: int, pair: tuple[int, int]) -> None:
    before = written(Filled(0, 10, A))
    payload = struct.pack("<QQ", *pair) + (A if kind == 2 else b"")
    assert decode(raw(kind, payload, before)).good_bytes == len(before)


def test_a_second_header_ends_the_journal() -> None:
    before = written(Filled(0, 10, A))
    assert decode(raw(1, b'{"url":"http://evil.example/"}', before)).good_bytes == len(before)


def test_a_record_that_claims_to_be_huge_ends_the_journal() -> None:
    before = written()
    assert decode(before + struct.pack("<IB", 2**32 - 1, 2) + b"x" * 100).good_bytes == len(before)


def test_a_newer_version_says_what_to_do() -> None:
    with pytest.raises(JournalUnusable, match="newer thunderdl; update, or delete P to start over") as caught:
        decode(struct.pack("<6sH", MAGIC, 2) + b"whatever", "P")
    assert not isinstance(caught.value, JournalDamaged)


def test_a_foreign_file_is_told_from_a_damaged_one() -> None:
    with pytest.raises(JournalUnusable, match="not a journal") as caught:
        decode(b"A file of somebody else")
    assert not isinstance(caught.value, JournalDamaged)


@pytest.mark.parametrize(
    "record",
    [
        Filled(0, 0, A),
        Filled(-1, 5, A),
        Filled(0, 5, b"short"),
        Dropped(5, 4),
        Verified(0, 2**63),
        Header(url="x", size=-1),
        Header(url="x" * MAX_JSON_BYTES),
    ],
)
def test_what_could_not_be_read_is_not_written(record: Record) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several texts
        encode([record], 0)


@given(st.lists(any_record(), max_size=12))
def test_compaction_says_the_same(records: list[Record]) -> None:
    before = decode(written(*records))
    _, *rest = compacted(before.header, before.extents, before.verified, before.served)
    after = decode(written(*rest))
    assert (after.extents, after.verified, after.served) == (before.extents, before.verified, before.served)
    assert len(rest) <= len(before.extents) + len(before.verified) + 2


def test_a_terabyte_fits_into_little() -> None:
    count = 65_536
    step = (1 << 40) // count
    header = Header(url="http://a.example/", size=1 << 40)
    data = written(*(Filled(i * step, (i + 1) * step, A) for i in reversed(range(count))), header=header)
    assert len(data) < 8 << 20
    found = decode(data)
    assert len(found.extents) == count
    assert found.extents[-1] == Extent((count - 1) * step, count * step, A, False)
