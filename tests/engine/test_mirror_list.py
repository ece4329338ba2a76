"""Mirrors by a list: tried in passing, believed only as far as something proves them right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, failed, fetch, names, sha256
from tests.engine.test_metalinks import CONTENT, SIZE, a_file, dead, good, metalink, write
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import PART_BYTES, Limits, LoopbackServer
from thunderdl.errors import ThunderdlError
from thunderdl.model import Result

OTHER_TAG = generated(SIZE, seed=1, etag='"other"', last_modified=None)
WRONG = generated(SIZE, seed=2, etag='"wrong"', last_modified=None)


@pytest.fixture
def origin() -> Iterator[LoopbackServer]:
    """Slow enough that mirrors matter."""
    with LoopbackServer({"/pub/f": good()}, limits=Limits(rate_bytes_per_s=4 * 1024 * 1024)) as server:
        yield server


@pytest.fixture
def farm() -> Iterator[LoopbackServer]:
    """Many mirrors on one port, told apart by their first folder."""
    with LoopbackServer({}, limits=Limits(rate_bytes_per_s=16 * 1024 * 1024)) as server:
        yield server


def a_list(folder: Path, *bases: str) -> str:
    path = folder / "mirrors.txt"
    path.write_text("# mirrors\n" + "\n".join(bases) + "\n")
    return str(path)


def wait_for(farm: LoopbackServer, path: str, origin: LoopbackServer, least_bytes: int = PART_BYTES) -> None:
    """Have the origin wait until that mirror has sent so much: it gets its turn on any machine."""
    origin.waits_until = lambda: farm.sent[path] >= least_bytes


def brought(result: Result, url: str) -> bool:
    return any(source.url == url and source.bytes > 0 for source in result.sources)


def hundred(farm: LoopbackServer) -> list[str]:
    """60 dead (nobody listens, 404, silent), 5 wrong, 35 good; mixed."""
    nobody = [dead().removesuffix("/f") + f"/{at}" for at in range(20)]
    absent = [farm.url(f"/absent{at}") for at in range(20)]
    silent = [farm.url(f"/silent{at}") for at in range(20)]
    for base in range(20):
        farm.resources[f"/silent{base}/pub/f"] = Resource(body=b"x", behaviour=m.stall_after(0))
    right, wrong = [f"/right{at}" for at in range(35)], [f"/wrong{at}" for at in range(5)]
    farm.resources.update({f"{base}/pub/f": good() for base in right} | {f"{base}/pub/f": WRONG for base in wrong})
    live = [farm.url(base) for base in (*right, *wrong)]
    every = [*nobody, *absent, *silent, *live]
    # Each fourth is at work; a stride that shares no factor with 100 mixes them.
    return [f"{every[at * 37 % 100]}/" for at in range(100)]


@pytest.mark.parametrize("is_proven", [True, False])
def test_a_hundred_of_which_sixty_are_dead_and_five_wrong(
    tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer, is_proven: bool
) -> None:
    listed = a_list(tmp_path, *hundred(farm))
    checksum = sha256(CONTENT) if is_proven else None
    origin.waits_until = lambda: any(farm.sent[f"/right{at}/pub/f"] >= PART_BYTES for at in range(35))
    result = fetch(
        origin.url("/pub/f"), tmp_path / "out", mirror_list=listed, checksum=checksum, per_host=64, timeout=60.0
    )
    assert content_of(result) == CONTENT
    used = [source.url for source in result.sources if source.bytes]
    assert any("/right" in url for url in used)
    assert not any("/wrong" in url for url in used)
    farm.release.set()


@pytest.mark.parametrize("is_soft", [False, True])
def test_a_second_guess_is_asked_only_where_the_file_is_not_at_the_first(
    tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer, is_soft: bool
) -> None:
    page = Resource(body=b"<html>Not found</html>", headers=[("Content-Type", "text/html")])
    farm.resources |= {"/whole/pub/f": good(), "/short/f": good(), "/whole/f": good()}
    if is_soft:
        farm.resources["/short/pub/f"] = page
    listed = a_list(tmp_path, farm.url("/whole/"), farm.url("/short/"))
    wait_for(farm, "/short/f", origin)
    result = fetch(origin.url("/pub/f"), tmp_path / "out", mirror_list=listed, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT
    asked = {request.path for request in farm.requests}
    assert asked == {"/whole/pub/f", "/short/pub/f", "/short/f"}
    assert brought(result, farm.url("/short/f"))


def test_a_dead_origin_is_replaced_where_the_hash_is_known(tmp_path: Path, farm: LoopbackServer) -> None:
    farm.resources["/m/f"] = good()
    listed = a_list(tmp_path, farm.url("/m/"))
    result = fetch(dead(), tmp_path / "out", mirror_list=listed, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT


def test_a_dead_origin_is_not_replaced_by_strangers(tmp_path: Path, farm: LoopbackServer) -> None:
    farm.resources["/m/f"] = good()
    listed = a_list(tmp_path, farm.url("/m/"))
    result = fetch(dead(), tmp_path / "out", mirror_list=listed)
    failed(result, ThunderdlError, 4)
    assert farm.sent["/m/f"] == 0
    why = "without a hash nothing shows that they have the same file"
    assert result.notes == (f"the mirrors of {listed} were not tried: {why}; give --checksum",)


def test_with_a_hash_nothing_of_a_list_is_untried(tmp_path: Path) -> None:
    listed = a_list(tmp_path, dead().removesuffix("f"))
    result = fetch(dead(), tmp_path / "out", mirror_list=listed, checksum=sha256(CONTENT))
    failed(result, ThunderdlError, 4)
    assert not any("not tried" in note for note in result.notes)


def test_without_a_hash_validators_must_agree(tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer) -> None:
    farm.resources |= {"/a/pub/f": good(), "/b/pub/f": OTHER_TAG}
    wait_for(farm, "/a/pub/f", origin)
    result = fetch(origin.url("/pub/f"), tmp_path / "out", mirror_list=a_list(tmp_path, farm.url("/a"), farm.url("/b")))
    assert brought(result, farm.url("/a/pub/f"))
    assert not brought(result, farm.url("/b/pub/f"))
    assert any("validators do not show" in note for note in result.notes)


def test_a_digest_of_plain_http_is_no_proof_of_strangers(
    tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who could write the digest on the way could name the mirrors, too (trust level E3)."""
    monkeypatch.setattr("thunderdl.engine.finding.is_unaltered", lambda url: False)
    farm.resources |= {"/a/pub/f": good(), "/b/pub/f": OTHER_TAG}
    stated = sha256(CONTENT).removeprefix("sha-256=")
    duplicates = ", ".join(f"<{farm.url(path)}>; rel=duplicate" for path in ("/a/pub/f", "/b/pub/f"))
    fields = m.headers(("X-Checksum-Sha256", stated), ("Link", duplicates))
    origin.resources["/pub/f"] = generated(SIZE, seed=1, behaviour=fields)
    wait_for(farm, "/a/pub/f", origin)
    result = fetch(origin.url("/pub/f"), tmp_path / "out")
    assert result.verified == (f"sha256={stated}",)
    assert brought(result, farm.url("/a/pub/f"))
    assert not brought(result, farm.url("/b/pub/f"))
    assert any("attacker" in note for note in result.notes)


def test_those_that_wanted_proof_are_asked_again_when_it_comes(
    tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thunderdl.engine.finding.GRACE_S", LIMIT_S)
    farm.resources["/b/pub/f"] = OTHER_TAG
    text = sha256(CONTENT).removeprefix("sha-256=").encode()
    # Looked for last: the mirror has been refused by then.
    origin.resources["/pub/CHECKSUM"] = Resource(body=b"SHA256 (f) = " + text)
    listed = a_list(tmp_path, farm.url("/b"))
    wait_for(farm, "/b/pub/f", origin)
    result = fetch(origin.url("/pub/f"), tmp_path / "out", mirror_list=listed, checksum_files=True)
    assert result.verified == (f"sha256={text.decode()}",)
    assert brought(result, farm.url("/b/pub/f"))
    assert not any("validators do not show" in note for note in result.notes)


def test_a_list_from_a_server_gets_no_header_of_the_user(
    tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer
) -> None:
    farm.resources |= {"/a/pub/f": good(), "/list": Resource(body=farm.url("/a/").encode())}
    wait_for(farm, "/a/pub/f", origin)
    result = fetch(origin.url("/pub/f"), tmp_path, mirror_list=farm.url("/list"), headers=(("X-Mine", "1"),))
    assert brought(result, farm.url("/a/pub/f"))
    assert not any(request.header("X-Mine") for request in farm.requests)


def test_a_list_that_never_comes_holds_nobody_up(tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer) -> None:
    farm.resources["/list"] = Resource(body=b"x", behaviour=m.stall_after(0))
    result = fetch(origin.url("/pub/f"), tmp_path, mirror_list=farm.url("/list"), timeout=60.0)
    assert content_of(result) == CONTENT
    farm.release.set()


@pytest.mark.parametrize("text", ["", "no URL in it", "rsync://h/pub/", "\x00" * 100, "[" * 100_000, "<html></html>"])
def test_what_is_no_list_is_told(tmp_path: Path, origin: LoopbackServer, text: str) -> None:
    result = fetch(origin.url("/pub/f"), tmp_path / "out", mirror_list=a_list(tmp_path, text))
    assert content_of(result) == CONTENT
    assert ["names no mirror" in note for note in result.notes] == [True]
    assert names(tmp_path / "out") == ["f"]


def test_a_list_that_cannot_be_had(tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer) -> None:
    result = fetch(origin.url("/pub/f"), tmp_path / "out", mirror_list=farm.url("/no"))
    assert content_of(result) == CONTENT
    assert any(note.startswith("the mirror list is not used") for note in result.notes)


def test_a_list_beside_a_metalink(tmp_path: Path, origin: LoopbackServer, farm: LoopbackServer) -> None:
    farm.resources["/m/pub/f"] = OTHER_TAG
    # Twice it is asked for a sample of 64 KiB, to see whether it is the same file; what comes then is its own part.
    wait_for(farm, "/m/pub/f", origin, 8 * PART_BYTES)
    document = write(tmp_path, metalink(a_file([origin.url("/pub/f")])))
    result = fetch(document, tmp_path / "out", mirror_list=a_list(tmp_path, farm.url("/m/")))
    assert content_of(result) == CONTENT
    assert brought(result, farm.url("/m/pub/f"))
    # It was opened by two at once, who both let it in; what it brought for the first of them was in no figure.
    assert [request.header("Range") for request in farm.requests].count("bytes=0-0") == 1
    assert sum(source.bytes for source in result.sources) == SIZE
