"""Trees mirrored from loopback servers: what is fetched, left, removed, and what no list may bring about."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import LIMIT_S
from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer
from tests.servers.site import OLD_S, Site
from thunderdl.engine import walking
from thunderdl.errors import NotFound, RedirectRefused, StorageError, TargetLocked, ThunderdlError, UsageError
from thunderdl.formats import index_pages
from thunderdl.mirroring import Mirrored, mirror
from thunderdl.model import Result
from thunderdl.options import Options
from thunderdl.storage.mirror_state import STATE_NAME, MirrorState


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        yield Site(server)


def run(
    url: str, folder: Path, *, headers: tuple[tuple[str, str], ...] = (), limit_s: float = LIMIT_S, **wishes: Any
) -> Mirrored:
    # A server of SFTP is a program that has to start first.
    options = Options(retries=0, timeout=20.0, checksum_files=False, headers=headers)

    async def bounded() -> Mirrored:
        async with asyncio.timeout(limit_s):
            return await mirror(url, str(folder), options=options, **wishes)

    return asyncio.run(bounded())


def tree(folder: Path) -> dict[str, bytes]:
    """What is in the folder, but for what it remembers."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != STATE_NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def told(summary: Mirrored) -> tuple[int, int, int, int]:
    return summary.fetched, summary.unchanged, summary.deleted, summary.failed


def fill(site: Site) -> dict[str, bytes]:
    files = {"a.txt": b"one", "sub/b c.txt": b"two", "sub/deep/é&.txt": b"", "big.bin": bytes(range(256)) * 8000}
    for name, body in files.items():
        site.put(name, body)
    return files


# -- what is fetched


def test_a_tree_is_fetched_with_the_remotes_times(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    assert told(run(site.url, tmp_path)) == (4, 0, 0, 0)
    assert tree(tmp_path) == files
    assert (tmp_path / "sub" / "b c.txt").stat().st_mtime == OLD_S + 3600


def test_the_second_run_asks_for_pages_alone(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    site.asked()
    assert told(run(site.url, tmp_path)) == (0, 4, 0, 0)
    assert site.asked() == []


def test_only_what_changed_is_fetched(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    run(site.url, tmp_path)
    site.asked()
    site.put("a.txt", b"ONE")
    assert told(run(site.url, tmp_path)) == (1, 3, 0, 0)
    assert set(site.asked()) == {"/pub/a.txt"}
    assert tree(tmp_path) == {**files, "a.txt": b"ONE"}


def test_what_was_touched_here_is_not_taken_for_what_was_fetched(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    run(site.url, tmp_path)
    (tmp_path / "a.txt").write_bytes(b"eno")
    assert told(run(site.url, tmp_path)) == (1, 3, 0, 0)
    assert tree(tmp_path) == files


def test_without_memory_the_server_is_asked_and_its_word_compared(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    (tmp_path / STATE_NAME).unlink()
    before = site.server.total_sent
    assert told(run(site.url, tmp_path)) == (0, 4, 0, 0)
    assert site.server.total_sent - before < 10_000


def test_a_file_that_is_young_is_asked_about_again(site: Site, tmp_path: Path) -> None:
    """A list is exact to the minute; a file may change twice in one."""
    import time

    moment = int(time.time()) - 5
    site.put("a.txt", b"one", modified_s=moment)
    run(site.url, tmp_path)
    resource = site.put("a.txt", b"two", modified_s=moment + 1)
    # The list says what it has said.
    site.page("", site.line("", "a.txt").replace(str(resource.last_modified), ""))
    assert told(run(site.url, tmp_path)) == (1, 0, 0, 0)
    assert tree(tmp_path) == {"a.txt": b"two"}


def test_a_list_that_says_nothing_of_its_files(site: Site, tmp_path: Path) -> None:
    fill(site)
    site.page("", '<li><a href="a.txt">a.txt</a></li><li><a href="big.bin">big.bin</a></li>')
    assert told(run(site.url, tmp_path)) == (2, 0, 0, 0)
    assert told(run(site.url, tmp_path)) == (0, 2, 0, 0)


def test_what_is_linked_to_twice_is_one_file(site: Site, tmp_path: Path) -> None:
    fill(site)
    links = ("a.txt", "./a.txt#x", "sub/b%20c.txt", "sub/")
    site.page("", "".join(f'<a href="{link}">here</a>' for link in links))
    assert told(run(site.url, tmp_path)) == (3, 0, 0, 0)


def test_patterns_choose(site: Site, tmp_path: Path) -> None:
    fill(site)
    assert told(run(site.url, tmp_path, include=("*.txt",), exclude=("deep",))) == (2, 0, 0, 0)
    assert set(tree(tmp_path)) == {"a.txt", "sub/b c.txt"}
    assert not any(request.path.startswith("/pub/sub/deep") for request in site.server.requests)
    with pytest.raises(UsageError, match="write a pattern"):
        run(site.url, tmp_path, include=("/",))


def test_a_failed_file_is_counted_and_the_rest_goes_on(site: Site, tmp_path: Path) -> None:
    fill(site)
    site.page("", site.line("", "a.txt") + '<a href="gone.txt">gone.txt</a> 01-Jan-2024 10:00 5\n')
    summary = run(site.url, tmp_path)
    assert told(summary) == (1, 0, 0, 1)
    assert [type(error) for error in summary.errors] == [NotFound]


def test_a_run_that_was_cut_goes_on(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    site.put("big.bin", bytes(range(256)) * 40_000)
    files["big.bin"] = bytes(range(256)) * 40_000

    async def cut() -> None:
        options = Options(retries=0, checksum_files=False, limit=4_000_000)
        running = asyncio.ensure_future(mirror(site.url, str(tmp_path), options=options, delete=True))
        while site.server.sent["/pub/big.bin"] < 4_000_000:  # noqa: ASYNC110  # polled: the server is a thread
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})

    (tmp_path / "stray").write_text("x")
    asyncio.run(cut())
    assert (tmp_path / "big.bin.part").exists()
    (tmp_path / "stray").unlink()
    results: list[Result] = []
    assert run(site.url, tmp_path, on_result=results.append).failed == 0
    assert tree(tmp_path) == files
    assert sum(result.resumed_bytes for result in results) > 500_000


def test_torrents_and_metalinks_of_a_tree_are_files_as_any_other(site: Site, tmp_path: Path) -> None:
    entry = f'<file name="x"><url>{site.url}a</url></file>'
    metalink = f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{entry}</metalink>'
    torrent = b"d4:infod6:lengthi5e4:name1:q12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee"
    files = {"a": b"hello", "m.meta4": metalink.encode(), "m.metalink": metalink.encode(), "t.torrent": torrent}
    for name, body in files.items():
        site.put(name, body)
    typed = site.put("typed", metalink.encode())
    typed.headers.append(("Content-Type", "application/metalink4+xml"))
    assert told(run(site.url, tmp_path)) == (5, 0, 0, 0)
    assert tree(tmp_path) == {**files, "typed": metalink.encode()}


def test_what_tells_of_one_file_is_not_for_a_tree(site: Site, tmp_path: Path) -> None:
    site.put("a", b"hello")
    options = Options(retries=0, mirror_list=site.url + "list", metalink=site.url + "x.meta4", torrent="x.torrent")
    assert told(asyncio.run(mirror(site.url, str(tmp_path), options=options))) == (1, 0, 0, 0)
    assert not {"/pub/list", "/pub/x.meta4"} & set(site.asked())


# -- metalinks and manifests


def sums(files: dict[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()).encode()


def test_a_checksum_file_is_a_list(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    site.put("SHA256SUMS", sums(files))
    url = site.url + "SHA256SUMS"
    assert told(run(url, tmp_path)) == (5, 0, 0, 0)
    assert tree(tmp_path) == {**files, "SHA256SUMS": sums(files)}
    os.utime(tmp_path / "a.txt")
    site.asked()
    # Compared by its digest, whatever its time; of its own list nothing but the server tells.
    assert told(run(url, tmp_path)) == (0, 5, 0, 0)
    assert set(site.asked()) == {"/pub/SHA256SUMS"}


def test_of_the_same_size_and_time_but_another_digest(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    site.put("SHA256SUMS", sums(files))
    run(site.url + "SHA256SUMS", tmp_path)
    found = (tmp_path / "a.txt").stat()
    (tmp_path / "a.txt").write_bytes(b"eno")
    os.utime(tmp_path / "a.txt", ns=(found.st_mtime_ns, found.st_mtime_ns))
    (tmp_path / STATE_NAME).unlink()
    assert told(run(site.url + "SHA256SUMS", tmp_path)) == (1, 4, 0, 0)
    assert tree(tmp_path)["a.txt"] == b"one"


def test_a_digest_that_is_wrong_leaves_no_file(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    site.put("SHA256SUMS", sums({**files, "a.txt": b"other"}))
    assert told(run(site.url + "SHA256SUMS", tmp_path)) == (4, 0, 0, 1)
    assert not (tmp_path / "a.txt").exists()


def test_lines_of_json(site: Site, tmp_path: Path) -> None:
    files = fill(site)
    rows = [
        {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for name, body in files.items()
    ]
    rows[0] = {"name": "a.txt", "size": 99}
    site.put("list.jsonl", "\n".join(map(json.dumps, rows)).encode())
    summary = run(site.url + "list.jsonl", tmp_path)
    assert told(summary) == (4, 0, 0, 1)
    assert "the list says 99 bytes, the server sent 3" in str(summary.errors[0])


def test_a_metalink_and_its_mirrors_get_no_header(site: Site, tmp_path: Path) -> None:
    files = {"a.txt": b"one", "sub/b.bin": bytes(300_000)}
    with LoopbackServer() as other:
        for name, body in files.items():
            other.resources[f"/m/{name}"] = Resource(body=body)
        entries = "".join(
            f'<file name="{name}"><size>{len(body)}</size>'
            f'<hash type="sha-256">{hashlib.sha256(body).hexdigest()}</hash>'
            f"<url>{other.url(f'/m/{name}')}</url></file>"
            for name, body in files.items()
        )
        document = f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{entries}</metalink>'
        site.server.resources["/pub/all.meta4"] = Resource(body=document.encode())
        headers = (("Authorization", "secret"),)
        assert told(run(site.url + "all.meta4", tmp_path, headers=headers)) == (2, 0, 0, 0)
        assert tree(tmp_path) == files
        assert told(run(site.url + "all.meta4", tmp_path, headers=headers)) == (0, 2, 0, 0)
        assert {request.header("authorization") for request in other.requests} == {None}
        assert {request.header("authorization") for request in site.server.requests} == {"secret"}


# -- what is removed


def test_what_is_gone_is_removed_when_asked(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    site.remove("sub/deep/é&.txt")
    assert told(run(site.url, tmp_path)) == (0, 3, 0, 0)
    gone: list[str] = []
    assert told(run(site.url, tmp_path, delete=True, on_deleted=gone.append)) == (0, 3, 1, 0)
    assert gone == ["sub/deep/é&.txt"]
    assert not (tmp_path / "sub" / "deep").exists()


def test_a_dry_run_writes_nothing(site: Site, tmp_path: Path) -> None:
    fill(site)
    assert told(run(site.url, tmp_path / "new", delete=True, dry_run=True)) == (4, 0, 0, 0)
    assert not (tmp_path / "new").exists()
    run(site.url, tmp_path / "m")
    site.remove("a.txt")
    site.put("big.bin", b"small")
    before = tree(tmp_path / "m")
    gone: list[str] = []
    assert told(run(site.url, tmp_path / "m", delete=True, dry_run=True, on_deleted=gone.append)) == (1, 2, 1, 0)
    assert gone == ["a.txt"]
    assert tree(tmp_path / "m") == before


def broken_folder(site: Site) -> None:
    del site.server.resources["/pub/sub/"]


def empty_page(site: Site) -> None:
    site.page("", "")


def no_page(site: Site) -> None:
    site.server.resources["/pub/"] = Resource(body=b"maintenance, come back later")


def cut_page(site: Site) -> None:
    site.page("", site.line("", "a.txt") + '<a href="' + "x" * 50_000)


@pytest.mark.parametrize("spoil", [broken_folder, empty_page, no_page, cut_page])
def test_a_list_that_is_not_whole_removes_nothing(site: Site, tmp_path: Path, spoil: Any) -> None:
    fill(site)
    run(site.url, tmp_path)
    before = tree(tmp_path)
    site.versions.pop("a.txt")
    site.list_again()
    spoil(site)
    try:
        summary = run(site.url, tmp_path, delete=True)
    except ThunderdlError:
        assert spoil is no_page
    else:
        assert summary.deleted == 0
        assert summary.kept_because
        assert (spoil is empty_page) == (summary.failed == 0)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("spoil", [broken_folder, empty_page])
def test_what_a_list_that_is_not_whole_does_not_name_is_not_forgotten(
    site: Site, tmp_path: Path, spoil: Callable[[Site], None]
) -> None:
    fill(site)
    run(site.url, tmp_path)
    spoil(site)
    run(site.url, tmp_path)
    site.list_again()
    site.asked()
    assert told(run(site.url, tmp_path)) == (0, 4, 0, 0)
    assert site.asked() == []


def test_nothing_outside_is_removed_and_no_link_followed(site: Site, tmp_path: Path) -> None:
    fill(site)
    outside, folder = tmp_path / "outside", tmp_path / "m"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    run(site.url, folder)
    (folder / "link").symlink_to(outside)
    (folder / "file-link").symlink_to(outside / "mine.txt")
    (folder / "stray").mkdir()
    (folder / "stray" / "x").write_text("x")
    (folder / "stray" / "inner").symlink_to(outside)
    (folder / "y.part").write_text("y")
    (folder / "y.part.journal").write_text("y")
    (folder / "big.bin.part").write_text("in the making")
    assert run(site.url, folder, delete=True).deleted == 3
    assert (outside / "mine.txt").read_text() == "mine"
    assert {path.name for path in folder.iterdir()} == {
        "a.txt", "big.bin", "big.bin.part", "sub", "link", "file-link", "stray", STATE_NAME,
    }  # fmt: skip


def test_what_patterns_leave_out_is_not_removed(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    (tmp_path / "own.cfg").write_text("mine")
    (tmp_path / "old.txt").write_text("old")
    assert run(site.url, tmp_path, delete=True, include=("*.txt",)).deleted == 1
    assert {"own.cfg", "big.bin"} <= set(tree(tmp_path))


# -- what lists may not bring about


def test_nothing_is_written_through_a_link(site: Site, tmp_path: Path) -> None:
    fill(site)
    outside, folder = tmp_path / "outside", tmp_path / "m"
    outside.mkdir()
    folder.mkdir()
    (folder / "sub").symlink_to(outside)
    (outside / "a.txt").write_text("mine")
    (folder / "a.txt").symlink_to(outside / "a.txt")
    summary = run(site.url, folder)
    assert told(summary) == (1, 0, 0, 3)
    assert all(isinstance(error, StorageError) for error in summary.errors)
    assert tree(outside) == {"a.txt": b"mine"}


NAUGHTY = (
    "../up.txt", "..%2fup2.txt", "%2e%2e/up3.txt", "%2e%2e%2fup4.txt", "..%5cup5.txt", "/etc/passwd", "//127.0.0.2/x",
    "http://127.0.0.2/pub/y", "javascript:alert(1)", "file:///etc/passwd", "%00nul.txt", "a%0ab.txt", "%1b[31m.txt",
    "http://user@127.0.0.3/pub/z", "?C=N;O=D", "q.txt?x=1", "#top", "", "./", "x.part", "x.part.journal",
    "..", "%2e%2e", "c:%5cwindows.txt", "http://[::bad/x", "data:,x",
)  # fmt: skip


def test_links_that_lead_elsewhere_are_not_followed(site: Site, tmp_path: Path) -> None:
    site.put("a.txt", b"one")
    site.page("", "".join(f'<a href="{link}">x</a>\n' for link in NAUGHTY) + site.line("", "a.txt"))
    folder = tmp_path / "in" / "m"
    summary = run(site.url, folder)
    assert summary.fetched == 1
    assert tree(tmp_path / "in") == {"m/a.txt": b"one"}
    assert site.asked() == ["/pub/a.txt"]


def test_names_are_made_safe_and_none_hides_another(site: Site, tmp_path: Path) -> None:
    for name in (".bashrc", "-rf", "con", "trailing.", "A", "a"):
        site.put(name, name.encode())
    summary = run(site.url, tmp_path)
    assert set(tree(tmp_path)) == {"bashrc", "_rf", "_con", "trailing", "A", "a"}
    assert summary.renamed == 4
    site.put("bashrc", b"other")
    summary = run(site.url, tmp_path)
    assert summary.failed == 1
    assert "named twice" in str(summary.errors[0])


def test_where_case_does_not_count_names_that_differ_in_it_are_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.storage.strays.Tree.folds_case", lambda self: True)
    for name in ("A.txt", "a.txt", "ä.txt", "a\u0308.txt"):
        site.put(name, b"x")
    summary = run(site.url, tmp_path)
    assert told(summary) == (2, 0, 0, 2)


def test_a_name_is_a_file_or_a_folder(site: Site, tmp_path: Path) -> None:
    site.put("x/y.txt", b"1")
    site.put("z", b"3")
    site.page("", '<a href="x">x</a><a href="x/">x/</a><a href="z/q.txt">q</a><a href="z">z</a>')
    site.server.resources["/pub/x"] = Resource(body=b"2")
    site.server.resources["/pub/z/q.txt"] = Resource(body=b"4")
    summary = run(site.url, tmp_path)
    assert tree(tmp_path) == {"x": b"2", "z/q.txt": b"4"}
    assert told(summary) == (2, 0, 0, 2)
    assert all("is a file and a folder" in str(error) for error in summary.errors)


def test_a_folder_that_holds_itself_is_a_loop(site: Site, tmp_path: Path) -> None:
    site.put("a.txt", b"one")
    lines = site.line("", "a.txt") + '<a href="self/">self/</a> 01-Jan-2024 10:00 -\n'
    for depth in range(40):
        site.page("self/" * depth, lines)
    problems: list[ThunderdlError] = []
    summary = run(site.url, tmp_path, delete=True)
    assert told(summary) == (1, 0, 0, 0)
    assert summary.kept_because == "the list was not read to its end"
    assert not problems
    assert len(site.server.requests) == 3


def test_folders_without_end_end(site: Site, tmp_path: Path) -> None:
    def page(request: Any, reply: Any) -> Any:
        depth = request.path.count("/")
        if request.path.endswith("/"):
            body = f'<a href="d{depth}/">d</a><a href="../">up</a><a href=".">here</a>'.encode()
            reply.status, reply.blocks = 200, [body]
            reply.headers = [("Content-Length", str(len(body)))]
        return reply

    site.server.behaviour = page
    summary = run(site.url, tmp_path, delete=True)
    assert summary.kept_because
    assert len(site.server.requests) < 40
    assert "longer or deeper" in str(summary.errors[0])


@pytest.mark.parametrize(("limit", "most"), [("MAX_FILES", 2), ("MAX_FOLDERS", 1), ("MAX_PAGE_BYTES", 300)])
def test_what_is_taken_is_bounded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    fill(site)
    site.page("sub/", site.line("sub/", "b c.txt") + '<a href="deep/">deep/</a>' + " " * 300)
    monkeypatch.setattr(walking, limit, most)
    summary = run(site.url, tmp_path, delete=True)
    assert summary.failed
    assert summary.kept_because == "the list was not read to its end"
    assert summary.fetched < 4


def test_a_list_at_another_address_is_refused(site: Site, tmp_path: Path) -> None:
    with LoopbackServer() as other:
        Site(other).put("a.txt", b"one")

        def away(request: Any, reply: Any) -> Any:
            reply.status = 302
            return reply.header("Location", other.url("/pub/"))

        site.server.resources["/pub/"] = Resource(body=b"", behaviour=away)
        with pytest.raises(RedirectRefused, match="mirror that one if you trust it"):
            run(site.url, tmp_path, headers=(("Authorization", "secret"),))
        assert all(request.header("authorization") is None for request in other.requests)
    assert tree(tmp_path) == {}


def test_a_folder_without_its_slash_is_redirected_to_it(site: Site, tmp_path: Path) -> None:
    fill(site)

    def slash(request: Any, reply: Any) -> Any:
        reply.status = 301
        return reply.header("Location", "/pub/")

    site.server.resources["/pub"] = Resource(body=b"", behaviour=slash)
    assert told(run(site.url.rstrip("/"), tmp_path)) == (4, 0, 0, 0)


def test_two_runs_at_once_are_refused(site: Site, tmp_path: Path) -> None:
    fill(site)
    state = MirrorState.open(str(tmp_path))
    with pytest.raises(TargetLocked):
        run(site.url, tmp_path)
    state.close()
    assert told(run(site.url, tmp_path)) == (4, 0, 0, 0)


def test_a_hundred_thousand_names(site: Site, tmp_path: Path) -> None:
    """Looked at, not fetched: all but one are left out."""
    count = 100_000
    lines = "".join(f'<a href="f{number}.bin">f</a> 01-Jan-2024 10:00 5\n' for number in range(count))
    site.put("a.txt", b"one")
    site.page("", site.line("", "a.txt") + lines)
    assert told(run(site.url, tmp_path, include=("a.txt",), limit_s=4 * LIMIT_S)) == (1, 0, 0, 0)
    assert 20 * count < index_pages.MAX_PARTS
