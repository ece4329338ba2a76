"""Downloads that a metalink describes: every mirror counts, none is believed, the user's secrets stay with the user."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, drive, failed, fetch, names, sha256, stopped_after
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Resource, generated
from tests.servers.fake_ftp import FakeFtp
from tests.servers.loopback import Limits, LoopbackServer, in_step
from thunderdl.client import Client, Request
from thunderdl.engine.candidates import Candidates
from thunderdl.engine.ledger import Ledger
from thunderdl.engine.session import Session
from thunderdl.errors import (
    AccessDenied,
    BadContent,
    StorageError,
    ThunderdlError,
    TimedOut,
    UsageError,
)
from thunderdl.model import Result, Status
from thunderdl.options import Exists, Options

SIZE = 4 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
PIECE = 256 * 1024
PACE = Limits(rate_bytes_per_s=16 * 1024 * 1024)


def good() -> Resource:
    return generated(SIZE, seed=1)


def metalink(*files: str) -> str:
    return f'<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">{"".join(files)}</metalink>'


def a_file(
    urls: list[str], *, name: str = "f.bin", size: int | None = SIZE, content: bytes = CONTENT, pieces: bool = False,
    digest: str | None = None, more: str = "",
) -> str:  # fmt: skip
    """The element of one file; ``digest``: another than that of its content."""
    parts = [f"<size>{size}</size>"] if size is not None else []
    parts += [f'<hash type="sha-256">{digest or hashlib.sha256(content).hexdigest()}</hash>']
    if pieces:
        cut = (content[at : at + PIECE] for at in range(0, len(content), PIECE))
        hashes = "".join(f"<hash>{hashlib.sha256(part).hexdigest()}</hash>" for part in cut)
        parts.append(f'<pieces length="{PIECE}" type="sha-256">{hashes}</pieces>')
    parts += [f'<url priority="{at}">{url}</url>' for at, url in enumerate(urls, 1)]
    return f'<file name="{name}">{"".join(parts)}{more}</file>'


def write(folder: Path, document: str, name: str = "x.meta4") -> str:
    path = folder / name
    path.write_text(document)
    return str(path)


def dead() -> str:
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/f"


@pytest.fixture
def pair() -> Iterator[list[LoopbackServer]]:
    with LoopbackServer({"/f": good()}, limits=PACE) as one, LoopbackServer({"/f": good()}, limits=PACE) as two:
        yield [one, two]


def run_all(reference: str, folder: Path, **changes: object) -> list[Result]:
    async def run() -> list[Result]:
        options = Options(dir=str(folder), retries=0, timeout=5.0, **changes)  # type: ignore[arg-type]
        async with asyncio.timeout(LIMIT_S), Client(options) as client:
            return [result async for result in client.run([Request(reference)])]

    return asyncio.run(run())


def test_mirrors_of_a_metalink_bring_one_file_together(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    in_step(*pair)
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair])))
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == CONTENT
    assert names(tmp_path / "out") == ["f.bin"]
    assert all(source.bytes for source in result.sources)
    assert result.verified == (sha256(CONTENT).replace("sha-256", "sha256"),)
    assert result.url == document


def test_a_metalink_from_a_server(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[0].resources["/x.meta4"] = Resource(body=metalink(a_file([pair[1].url("/f")])).encode())
    assert content_of(fetch(pair[0].url("/x.meta4"), tmp_path)) == CONTENT
    assert names(tmp_path) == ["f.bin"]


def test_the_document_itself_where_nobody_wants_it_followed(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = metalink(a_file([pair[1].url("/f")])).encode()
    pair[0].resources["/x.meta4"] = Resource(body=document)
    assert content_of(fetch(pair[0].url("/x.meta4"), tmp_path, follow=False)) == document


def test_the_first_mirror_is_dead(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    gone = [dead() for _ in range(40)]
    document = write(tmp_path, metalink(a_file([*gone, pair[0].url("/f")])))
    result = fetch(document, tmp_path / "out", retries=2)
    assert content_of(result) == CONTENT
    assert any(note.startswith(f"{gone[0]} is not used") for note in result.notes)
    # The same port twice counts once.
    assert any(f" mirrors of {document} are not used: " in note for note in result.notes)
    assert any(note.endswith(f"; saved by 1 mirror of {document}, {pair[0].url('/f')}") for note in result.notes)


def test_dark_mirrors_hold_nobody_up(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    with LoopbackServer({"/f": Resource(body=b"x", behaviour=m.stall_after(0))}) as dark:
        urls = [f"{dark.url('/f')}?{at}" for at in range(60)]
        document = write(tmp_path, metalink(a_file([*urls, pair[0].url("/f")])))
        # None of them gives up by itself within the time that a test has.
        assert content_of(fetch(document, tmp_path / "out", timeout=60.0, per_host=64)) == CONTENT
        dark.release.set()


def test_who_fails_makes_room_for_the_next_at_once(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock alone the last of a hundred was asked 0.7 s after the first."""
    monkeypatch.setattr("thunderdl.engine.candidates.TEND_S", 3600.0)
    monkeypatch.setattr("thunderdl.engine.candidates.MOST_YOUNG", 1)
    monkeypatch.setattr("thunderdl.engine.candidates.YOUNG_S", 3600.0)
    (done,) = run_all(write(tmp_path, metalink(a_file([*(dead() for _ in range(5)), pair[0].url("/f")]))), tmp_path)
    assert content_of(done) == CONTENT


def test_what_a_banned_mirror_brought_of_pieces_that_are_not_whole_is_not_believed(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of them comes to light at its end as of mixed origin, the last of them at the very end."""
    told: list[tuple[int, list[tuple[int, int]]]] = []
    unproven = Ledger.unproven_of

    def noted(self: Ledger, source: int) -> list[tuple[int, int]]:
        told.append((source, found := unproven(self, source)))
        assert not any(self.verified.first_gap(*pair) != pair for pair in found), "what is proven stays"
        return found

    monkeypatch.setattr(Ledger, "unproven_of", noted)
    pair[1].resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(0))
    document = write(tmp_path, metalink(a_file([pair[1].url("/f"), pair[0].url("/f")], pieces=True)))
    (done,) = run_all(document, tmp_path / "out")
    assert content_of(done) == CONTENT
    assert {source for source, _ in told} <= {1}
    liar = next(each for each in done.sources if each.url == pair[1].url("/f"))
    assert liar.bytes == 0, "all that it brought was thrown away"


def test_several_files(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[0].resources["/g"] = Resource(body=b"small")
    small = a_file([pair[0].url("/g")], name="docs/g.txt", size=5, content=b"small")
    document = write(tmp_path, metalink(a_file([pair[0].url("/f")]), small))
    results = run_all(document, tmp_path / "out")
    assert [result.status for result in results] == [Status.COMPLETE] * 2
    assert (tmp_path / "out" / "docs" / "g.txt").read_bytes() == b"small"
    assert (tmp_path / "out" / "f.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("others", [[], ["g.bin"]])
@pytest.mark.parametrize("bad", ["F.bin", ""])
def test_a_file_that_is_left_out_is_told_once(
    tmp_path: Path, pair: list[LoopbackServer], others: list[str], bad: str
) -> None:
    entries = [a_file([pair[0].url("/f")], name=name) for name in ("f.bin", *others, bad)]
    document = write(tmp_path, metalink(*entries))
    results = run_all(document, tmp_path / "out")
    assert names(tmp_path / "out") == ["f.bin", *others]
    (told,) = (note for result in results for note in result.notes if "left out" in note)
    assert told.startswith(f"{document}: a file has ")


def test_mirrors_that_nobody_asks_are_told_of_once(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document must not have the user's keys offered to a host: he may name the mirror himself."""
    monkeypatch.setenv("PATH", str(tmp_path / "no-ssh-here"))
    entries = [
        a_file([f"sftp://h/{name}", pair[0].url("/f"), f"sftp://i/{name}", "rsync://h/f"], name=name)
        for name in ("f.bin", "g.bin")
    ]
    document = write(tmp_path, metalink(*entries))
    results = run_all(document, tmp_path / "out")
    assert [result.status for result in results] == [Status.COMPLETE] * 2
    # Of rsync, which he could not name either, nothing.
    (sftp,) = (note for result in results for note in result.notes if "://" in note and "not used" in note)
    assert sftp.startswith(f"{document}: 4 sftp:// mirrors are not used")
    assert "SSH keys" in sftp
    assert "-m" in sftp


def test_mirrors_by_ftp_are_used(tmp_path: Path) -> None:
    with FakeFtp({"f": CONTENT}) as ftp:
        document = write(tmp_path, metalink(a_file([ftp.url("f")])))
        result = fetch(document, tmp_path / "out")
        assert content_of(result) == CONTENT
        assert not any("not used" in note for note in result.notes)


def test_one_of_several(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[0].resources["/g"] = Resource(body=b"small")
    small = a_file([pair[0].url("/g")], name="g.txt", size=5, content=b"small")
    document = write(tmp_path, metalink(a_file([dead()]), small))
    assert content_of(fetch(document, tmp_path / "out", files="g.*")) == b"small"
    failed(fetch(document, tmp_path / "out"), UsageError, 2, "2 files", "--files")
    failed(fetch(document, tmp_path / "out", files="h*"), UsageError, 2, "--files")


@pytest.mark.parametrize("pieces", [False, True])
def test_a_lying_mirror_is_found_by_the_metalinks_hashes(
    tmp_path: Path, pair: list[LoopbackServer], pieces: bool
) -> None:
    pair[1].behaviour = m.corrupt_from(0)
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair], pieces=pieces)))
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == CONTENT


def test_a_metalink_that_lies_of_the_hash(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair], digest="00" * 32)))
    failed(fetch(document, tmp_path / "out"), BadContent, 7, "00" * 32)
    assert not (tmp_path / "out" / "f.bin").exists()


@pytest.mark.parametrize("said", [0, 300, SIZE - 7, SIZE + 1, 1000 * SIZE])
def test_a_metalink_that_lies_of_the_size(tmp_path: Path, pair: list[LoopbackServer], said: int) -> None:
    """It was told as another version on the server, though nothing was fetched before, and the metalink not named."""
    document = write(tmp_path, metalink(a_file([pair[0].url("/f")], size=said)))
    result = fetch(document, tmp_path / "out")
    failed(
        result, BadContent, 7, f"{pair[0].url('/f')}: expected {said} bytes (as {document} says), found {SIZE} bytes"
    )
    assert not any("its file has" in note for note in result.notes), "said twice"
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []
    # Of others it is told what they have.
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair], size=said)))
    result = fetch(document, tmp_path / "out")
    failed(result, BadContent, 7, f"expected {said} bytes (as {document} says), found {SIZE} bytes")
    (note,) = [note for note in result.notes if "is not used" in note]
    assert note.endswith(f"its file has {SIZE} bytes, not {said}")


@pytest.mark.parametrize("digest", ["", f'<hash type="sha-256">{hashlib.sha256(b"small").hexdigest()}</hash>'])
def test_a_small_file_of_another_length_is_another_file(
    tmp_path: Path, pair: list[LoopbackServer], digest: str
) -> None:
    pair[1].resources["/s"] = Resource(body=b"small")
    for other in (b"<html>This mirror has moved.", good()):
        pair[0].resources["/s"] = other if isinstance(other, Resource) else Resource(body=other)
        wrong, right = (server.url("/s") for server in pair)
        one = f"<size>5</size>{digest}<url>{wrong}</url>"
        document = write(tmp_path, metalink(f'<file name="s">{one}<url>{right}</url></file>'))
        result = fetch(document, tmp_path / "out", exists=Exists.OVERWRITE)
        assert content_of(result) == b"small"
        assert any(note.startswith(f"{wrong} is not used: its file has ") for note in result.notes)
        document = write(tmp_path, metalink(f'<file name="s">{one}</file>'))
        result = fetch(document, tmp_path / "alone")
        failed(result, BadContent, 7, f"{wrong}: expected 5 bytes (as {document} says), found ")
        assert not (tmp_path / "alone" / "s").exists()


@pytest.mark.parametrize("size", [5, SIZE], ids=["small", "large"])
@pytest.mark.parametrize("untold", [m.chunked, m.close_delimited])
def test_a_length_that_no_header_tells_is_compared_at_the_end(
    tmp_path: Path, pair: list[LoopbackServer], size: int, untold: Behaviour
) -> None:
    pair[0].resources["/s"] = generated(size, seed=1, behaviour=m.together(m.no_ranges, untold))
    for said in (size - 1, size + 1, size):
        document = write(tmp_path, metalink(f'<file name="s"><size>{said}</size><url>{pair[0].url("/s")}</url></file>'))
        result = fetch(document, tmp_path / "out")
        if said == size:
            assert result.bytes == size
        else:
            failed(result, BadContent, 7, f"expected {said} bytes (as {document} says), found {size} bytes")
            assert not (tmp_path / "out" / "s").exists()


def test_a_name_that_leads_outside_stays_inside(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = write(tmp_path, metalink(a_file([pair[0].url("/f")], name="../../etc/passwd")))
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == CONTENT
    assert result.path is not None
    assert Path(result.path).resolve().is_relative_to((tmp_path / "out").resolve())


@pytest.mark.parametrize("name", ["ln/esc", "ln/new/esc", "sub/ln/esc"])
@pytest.mark.parametrize("several", [False, True])
def test_a_name_that_leads_through_a_link_is_refused(
    tmp_path: Path, pair: list[LoopbackServer], name: str, *, several: bool
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "sub").mkdir(parents=True)
    (out / "ln").symlink_to(elsewhere)
    (out / "sub" / "ln").symlink_to(elsewhere)
    files = [a_file([pair[0].url("/f")], name=name)] + several * [a_file([pair[0].url("/f")], name="sub/good")]
    results = run_all(write(tmp_path, metalink(*files)), out)
    (bad,) = (result for result in results if result.error is not None)
    failed(bad, StorageError, 9, "it is a symbolic link", "/ln")
    assert [result.path for result in results if result.error is None] == several * [str(out / "sub" / "good")]
    assert names(elsewhere) == []


def test_a_metalink_read_on_the_way_leads_through_no_link(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "ln").symlink_to(elsewhere)
    document = write(tmp_path, metalink(a_file([pair[0].url("/f")], name="ln/esc")))
    failed(fetch(document, out), StorageError, 9, "it is a symbolic link")
    assert names(elsewhere) == []
    # The user's own name, and a folder of the user's that is a link, lead where the user wants.
    assert content_of(fetch(document, out, out="ln/mine")) == CONTENT
    assert content_of(fetch(document, out / "ln")) == CONTENT
    assert names(elsewhere) == ["ln", "mine"]


def test_mirrors_of_a_metalink_get_no_header_of_the_user(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """CVE-2021-22923 of curl."""
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair])))
    fetch(document, tmp_path / "out", headers=(("Authorization", "Bearer secret"), ("X-Mine", "1")))
    for server in pair:
        assert server.requests
        assert not any(request.header("Authorization") or request.header("X-Mine") for request in server.requests)


def test_a_mirror_of_the_user_beside_it_gets_them(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = write(tmp_path, metalink(a_file([pair[0].url("/f")])))
    fetch(document, tmp_path / "out", mirrors=[pair[1].url("/f")], headers=(("X-Mine", "1"),))
    assert all(request.header("X-Mine") == "1" for request in pair[1].requests)
    assert not any(request.header("X-Mine") for request in pair[0].requests)


def test_a_mirror_that_turns_out_to_be_a_metalink_gets_no_login(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """The password was given for the first URL: the document is read again by its own rules, not by those of that."""
    headers: list[tuple[str, str | bytes]] = [("Content-Type", "application/metalink4+xml")]
    refuses_later = m.first(1, m.well, m.needs_basic("me", "s3cret"))
    document = metalink(a_file([pair[0].url("/f")])).encode()
    pair[1].resources["/m"] = Resource(body=document, headers=headers, behaviour=refuses_later)
    result = fetch(pair[0].url("/gone"), tmp_path, mirrors=[pair[1].url("/m")], user="me", password="s3cret")
    failed(result, AccessDenied, 5)
    assert not any(request.header("Authorization") for request in pair[1].requests)


def test_a_document_of_another_server_gets_no_login(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = metalink(a_file([pair[0].url("/f")])).encode()
    guarded = Resource(body=document, behaviour=m.needs_basic("me", "s3cret"))
    pair[1].resources["/m.meta4"] = guarded
    fetch(pair[0].url("/f"), tmp_path, metalink=pair[1].url("/m.meta4"), user="me", password="s3cret")
    assert pair[1].requests
    assert not any(request.header("Authorization") for request in pair[1].requests)
    pair[0].resources["/m.meta4"] = guarded
    result = fetch(pair[0].url("/m.meta4"), tmp_path / "own", user="me", password="s3cret")
    assert content_of(result) == CONTENT


def test_nor_do_other_mirrors_of_its_server(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = metalink(a_file([dead()])).encode()
    pair[1].resources |= {
        "/m": Resource(body=document, headers=[("Content-Type", "application/metalink4+xml")]),
        "/f": generated(SIZE, seed=1, behaviour=m.needs_basic("me", "s3cret")),
    }
    mirrors = [pair[1].url("/m"), pair[1].url("/f")]
    fetch(pair[0].url("/gone"), tmp_path, mirrors=mirrors, user="me", password="s3cret")
    assert not any(request.header("Authorization") for request in pair[1].requests)


def test_a_stranger_does_not_make_a_metalink_of_it(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """Those of a mirror list bring bytes of what is known, or nothing."""
    document = metalink(a_file([pair[0].url("/f")])).encode()
    pair[1].resources["/m/x"] = Resource(body=document, headers=[("Content-Type", "application/metalink4+xml")])
    (tmp_path / "list").write_text(pair[1].url("/m/") + "\n")
    result = fetch(
        pair[0].url("/x"), tmp_path / "out", mirror_list=str(tmp_path / "list"), checksum=sha256(CONTENT),
        user="me", password="s3cret",
    )  # fmt: skip
    failed(result, BadContent, 7)
    assert not any(request.header("Authorization") for request in pair[1].requests)
    assert not any(request.path == "/f" for request in pair[0].requests)


def test_it_goes_on_from_its_journal(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair], pieces=True)))
    drive(stopped_after(SIZE // 4), document, tmp_path / "out")
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 0


def test_a_metalink_of_other_content_keeps_nothing_of_the_old(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = write(tmp_path, metalink(a_file([server.url("/f") for server in pair])))
    drive(stopped_after(SIZE // 4), document, tmp_path / "out")
    other = generated(SIZE, seed=2)
    for server in pair:
        server.resources["/f"] = other
    content = bytes(other.span(0, SIZE))
    write(tmp_path, metalink(a_file([server.url("/f") for server in pair], content=content)))
    result = fetch(document, tmp_path / "out")
    assert content_of(result) == content
    assert result.resumed_bytes == 0


@pytest.mark.parametrize("document", ["", "<html></html>", "<metalink", metalink(), '<!DOCTYPE a [<!ENTITY b "c">]>'])
def test_what_is_no_metalink(tmp_path: Path, document: str) -> None:
    failed(fetch(write(tmp_path, document), tmp_path / "out"), ThunderdlError, 2)


def test_no_url_that_can_be_used(tmp_path: Path) -> None:
    failed(fetch(write(tmp_path, metalink(a_file(["rsync://h/f"]))), tmp_path / "out"), UsageError, 2, "names no URL")


def test_who_saved_a_download_whose_first_link_is_dead(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document, gone = write(tmp_path, metalink(a_file([server.url("/f") for server in pair]))), dead()
    result = fetch(gone, tmp_path / "out", metalink=document)
    assert content_of(result) == CONTENT
    told = " ".join(result.notes)
    assert f"{gone} is not used: " in told
    assert f"saved by 2 mirrors of {document}, most from http://127.0.0.1:" in told


def test_who_saved_a_small_one(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[0].resources["/s"] = Resource(body=b"small")
    gone = dead()
    result = fetch(gone, tmp_path, mirrors=[pair[0].url("/s")])
    assert content_of(result) == b"small"
    (note,) = result.notes
    assert note.startswith(f"{gone} is not used: ")
    assert note.endswith(f"; saved by 1 mirror, {pair[0].url('/s')}")


def test_a_dark_mirror_is_not_waited_for_while_others_bring_it_and_asked_again_when_they_fail(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.engine.candidates.SILENT_S", 0.05)
    dropped, drop = threading.Event(), Candidates._drop_silent

    def told(self: Candidates) -> None:
        drop(self)
        if any(isinstance(error, TimedOut) for error in self.attempts):
            dropped.set()
            pair[0].release.set()

    monkeypatch.setattr(Candidates, "_drop_silent", told)
    four = [f"/{at}" for at in range(4)]
    # Each begins; once nobody waits for the dark one they break off and have it no more. That one has it at its second
    # chance.
    gone = m.together(
        m.stall_after(65536), m.reset_after(65536), m.when(lambda request: dropped.is_set(), m.status(404))
    )
    pair[0].resources |= {path: generated(SIZE, seed=1, behaviour=gone) for path in four}
    pair[1].resources["/f"] = generated(SIZE, seed=1, behaviour=m.first(1, m.stall_after(0)))
    document = write(tmp_path, metalink(a_file([*map(pair[0].url, four), pair[1].url("/f")])))
    result = fetch(document, tmp_path / "out", timeout=60.0)
    pair[1].release.set()
    assert content_of(result) == CONTENT
    assert len(pair[1].requests) > 1


def test_a_dark_mirror_that_the_user_took_away_gets_no_second_chance() -> None:
    async def run() -> tuple[bool, bool]:
        session = Session(Options(), {})
        candidates = Candidates(session, [dead()], Options(), [dead()], "x.meta4")
        dark = candidates._next_from_the_bench()
        candidates._dropped.append(dark)
        candidates.remove(dark.url)
        asked = candidates.ask_more(), candidates.still_opening
        candidates.close()
        await session.close()
        return asked

    assert asyncio.run(run()) == (False, False)
