"""What is special to ``data:`` URLs (RFC 2397); the rest is in the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch
from thunderdl.errors import InvalidUrl, shown_url


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:,", b""),
        ("data:,a%20brief%20note", b"a brief note"),
        ("data:text/plain;charset=iso-8859-7,%be%fg%be", b"\xbe%fg\xbe"),
        ("data:text/plain;base64,SGFsbG8=", b"Hallo"),
        ("data:;base64,SGFsbG8", b"Hallo"),
        ("DATA:x/y;BASE64,SGFs%0AbG8%3D", b"Hallo"),
        ("data:;base64,-_-_", b"\xfb\xff\xbf"),
        ("data:,a,b;base64,c", b"a,b;base64,c"),
        ("data:,a?b", b"a?b"),
        ("data:,a#b", b"a"),
    ],
)
def test_what_is_in_it(tmp_path: Path, url: str, content: bytes) -> None:
    assert content_of(fetch(url, tmp_path, out="f")) == content


@pytest.mark.parametrize("url", ["data:", "data:x", "data:;base64,a", "data:;base64,a*bc", "data:," + "x" * 300_000])
def test_what_is_none_is_refused(tmp_path: Path, url: str) -> None:
    failed(fetch(url, tmp_path), InvalidUrl, 2)


def test_a_message_does_not_hold_all_of_it() -> None:
    assert len(shown_url("data:," + "x" * 5000)) < 100
