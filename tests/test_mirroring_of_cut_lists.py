"""What a list that was cut off, or that nobody can make sense of, must not remove."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import misbehave
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from tests.servers.site import Site
from tests.test_mirroring import fill, run, told, tree


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        yield Site(server)


def cut_between_rows(page: bytes) -> Resource:
    return Resource(body=page[: page.index(b'<a href="sub')], etag=None)


def cut_in_a_link(page: bytes) -> Resource:
    return Resource(body=page[: page.index(b'<a href="sub') + 11], etag=None)


def ended_by_closing(page: bytes) -> Resource:
    """Without its beginning: what has no elements around it shows no end of its own."""
    return Resource(
        body=page[page.index(b"<a href") : page.index(b'<a href="sub')], etag=None, behaviour=misbehave.close_delimited
    )


@pytest.mark.parametrize("spoil", [cut_between_rows, cut_in_a_link, ended_by_closing])
def test_a_page_that_may_have_been_cut_off_removes_nothing(
    site: Site, tmp_path: Path, spoil: Callable[[bytes], Resource]
) -> None:
    """Its server ends the body by closing, or a gateway took what had come for all of it."""
    fill(site)
    run(site.url, tmp_path)
    before = tree(tmp_path)
    page = site.server.resources["/pub/"].body
    assert isinstance(page, bytes)
    site.server.resources["/pub/"] = spoil(page)
    summary = run(site.url, tmp_path, delete=True)
    assert told(summary) == (0, 1, 0, 0)
    assert "cut off" in summary.kept_because
    assert tree(tmp_path) == before


ROW = '{"name": "%s", "size": 3}\n'
SUM = f"{hashlib.sha256(b'one').hexdigest()}  %s\n"


@pytest.mark.parametrize(
    ("name", "whole", "now", "failed"),
    [
        ("list.json", f"[{ROW % 'a'}, {ROW % 'b'}]", "[]", 0),
        ("list.jsonl", ROW % "a" + ROW % "b", ROW % "a" + (ROW % "b")[:14], 1),
        ("list.jsonl", ROW % "a" + ROW % "b", ROW % "a" + '{"name": "b", "size": -1}\n', 1),
        ("SHA256SUMS", SUM % "a" + SUM % "b", SUM % "a" + (SUM % "b")[:20], 0),
        ("SHA256SUMS", SUM % "a" + SUM % "b", SUM % "a" + SUM % "b" + "0" * 64 + "  b\n", 1),
    ],
    ids=["empty", "cut", "no size", "cut in a digest", "two digests"],
)
def test_a_manifest_that_is_not_understood_removes_nothing(
    site: Site, tmp_path: Path, name: str, whole: str, now: str, failed: int
) -> None:
    for each in "ab":
        site.put(each, b"one")
    site.put(name, whole.encode())
    run(site.url + name, tmp_path)
    assert {"a", "b"} < set(tree(tmp_path))
    site.put(name, now.encode())
    summary = run(site.url + name, tmp_path, delete=True)
    assert (summary.deleted, summary.failed) == (0, failed)
    assert all("1 entry of the list" in str(error) for error in summary.errors)
    assert summary.kept_because
    assert {"a", "b"} < set(tree(tmp_path))


def test_a_metalink_with_a_file_of_no_name_removes_nothing(site: Site, tmp_path: Path) -> None:
    for each in "ab":
        site.put(each, b"one")

    def document(*names: str) -> bytes:
        files = "".join(f'<file name="{name}"><url>{site.url}b</url></file>' for name in names)
        return f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{files}</metalink>'.encode()

    site.put("list.meta4", document("a", "b"))
    assert told(run(site.url + "list.meta4", tmp_path)) == (2, 0, 0, 0)
    site.put("list.meta4", document("a", ""))
    summary = run(site.url + "list.meta4", tmp_path, delete=True)
    assert (summary.deleted, summary.failed) == (0, 1)
    assert summary.kept_because
    assert set(tree(tmp_path)) == {"a", "b"}
