"""What is found beside a download: header fields, metalinks that they name, checksum files."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.engine import runs
from tests.engine.runs import content_of, failed, names
from tests.engine.test_metalinks import a_file, metalink, write
from tests.servers import misbehave as m
from tests.servers.exchange import Reply, Request, Resource, generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.stopwatch import Stopwatch
from tests.test_signatures import signer
from thunderdl.client import Client, Task
from thunderdl.engine import documents, finding
from thunderdl.engine.finding import AT_ONCE, Finding, offer_of_answer
from thunderdl.engine.offers import Offer
from thunderdl.errors import BadContent, BadSignature, UsageError
from thunderdl.model import ExpiredLink, Result
from thunderdl.options import Exists, Options

SIZE = 4 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
HEX = hashlib.sha256(CONTENT).hexdigest()
STATED = f"sha-256=:{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
WRONG = f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"
VERIFIED = (f"sha256={HEX}",)
TICK_S = 0.02
PACE = Limits(rate_bytes_per_s=12 * 1024 * 1024)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer takes its time."""
    monkeypatch.setattr(finding, "GRACE_S", runs.LIMIT_S)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "GRACE_S", 1.0)


@pytest.fixture
def pair() -> Iterator[list[LoopbackServer]]:
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as one,
        LoopbackServer({"/f": generated(SIZE, seed=1, etag='"two"')}, limits=PACE) as two,
    ):
        yield [one, two]


def fetch(url: str, folder: Path, **changes: Any) -> Result:
    """As a user does, who looks for what lies beside it."""
    return runs.fetch(url, folder, **{"checksum_files": True, **changes})


def says(server: LoopbackServer, *fields: tuple[str, str]) -> None:
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=m.headers(*fields))


def test_a_digest_that_the_server_states_is_checked(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    says(pair[0], ("Repr-Digest", STATED))
    assert fetch(pair[0].url("/f"), tmp_path).verified == VERIFIED


def test_bytes_that_belie_what_the_server_states(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    says(pair[0], ("Repr-Digest", WRONG))
    result = fetch(pair[0].url("/f"), tmp_path)
    failed(result, BadContent, 7, "00" * 32)
    assert names(tmp_path) == ["f.part", "f.part.journal"]


def test_a_small_file_too(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    small = Resource(body=b"small", behaviour=m.headers(("Repr-Digest", WRONG)))
    pair[0].resources["/s"] = small
    failed(fetch(pair[0].url("/s"), tmp_path), BadContent, 7)


def test_what_the_user_gave_counts_before_what_the_server_states(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    says(pair[0], ("Repr-Digest", WRONG))
    result = fetch(pair[0].url("/f"), tmp_path, checksum=f"sha-256={HEX}")
    assert result.verified == VERIFIED
    assert any("tells another sha256" in note for note in result.notes)


def test_a_server_that_contradicts_itself_is_not_believed(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    says(pair[0], ("Repr-Digest", STATED), ("X-Checksum-Sha256", "00" * 32))
    result = fetch(pair[0].url("/f"), tmp_path)
    assert result.verified == ()
    assert any("contradicts itself" in note for note in result.notes)


def test_the_digest_of_a_redirect(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """Hugging Face states it there alone, not at the store that it leads to."""

    pair[0].resources["/r"] = Resource(
        body=b"", behaviour=m.together(m.redirect(pair[1].url("/f")), m.headers(("X-Linked-ETag", f'"{HEX}"')))
    )
    assert fetch(pair[0].url("/r"), tmp_path).verified == VERIFIED


def test_a_link_of_a_redirect_is_meant_from_where_that_was_sent(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """RFC 8288 section 3.2: not from where the chain began."""
    link = m.headers(("Link", '<f.meta4>; rel=describedby; type="application/metalink4+xml"'))
    pair[0].resources["/a/f"] = Resource(body=b"", behaviour=m.redirect(pair[1].url("/b/f")))
    pair[1].resources["/b/f"] = Resource(body=b"", behaviour=m.together(m.redirect(pair[0].url("/f")), link))
    pair[1].resources["/b/f.meta4"] = Resource(body=metalink(a_file([pair[1].url("/f")], name="f")).encode())
    assert fetch(pair[0].url("/a/f"), tmp_path, checksum_files=False).verified == VERIFIED


@pytest.mark.parametrize(("scheme", "is_authentic"), [("https", True), ("http", False)])
def test_what_came_by_way_of_plain_http_may_have_been_altered(scheme: str, *, is_authentic: bool) -> None:
    silent = SimpleNamespace(fields=[], status=302)
    way = ("https://a/f", f"{scheme}://b/f")
    opening = SimpleNamespace(before=silent, head=silent, final_url="https://c/f", way=way)
    assert offer_of_answer("https://a/f", cast(Any, opening), []).is_authentic is is_authentic


def test_a_metalink_that_plain_http_names_is_no_more_authentic_than_that(tmp_path: Path) -> None:
    named = list[Offer]()

    async def look(*, is_authentic: bool) -> None:
        async with Client(Options(dir=str(tmp_path))) as client:
            looking = Finding(client._running_session(), Options(), "https://a/f", named.append, [])
            looking.begin([document], is_proven=True, is_authentic=is_authentic)
            await looking.settled()

    document = "https://a/f.meta4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thunderdl.engine.metalinks.fetched", _one_metalink)
        for is_authentic in (True, False):
            asyncio.run(look(is_authentic=is_authentic))
    assert [offer.is_authentic for offer in named] == [True, False]


async def _one_metalink(*_: object, **__: object) -> bytes:
    return metalink(a_file(["https://a/f"], name="f")).encode()


def test_duplicates_that_the_server_names_join(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    named = m.headers(("Repr-Digest", STATED), ("Link", f"<{pair[1].url('/f')}>; rel=duplicate; pri=1"))
    # On a busy machine one alone brings all before the other has answered.
    held = m.together(named, m.stall_after(SIZE // 16))
    pair[0].resources["/f"] = generated(SIZE, seed=1, behaviour=held)

    async def until_joined(task: Task) -> Result:
        async for progress in task:
            if any(source.bytes for source in progress.sources[1:]):
                pair[0].release.set()
        return await task.outcome()

    result = runs.drive(until_joined, pair[0].url("/f"), tmp_path, headers=(("X-Mine", "1"),))
    assert content_of(result) == CONTENT
    assert [source.bytes > 0 for source in result.sources] == [True, True]
    assert not any(request.header("X-Mine") for request in pair[1].requests)


@pytest.mark.parametrize("digest", ["", "Content-MD5"])
def test_duplicates_that_nothing_proves_do_not(tmp_path: Path, pair: list[LoopbackServer], digest: str) -> None:
    link = ("Link", f"<{pair[1].url('/f')}>; rel=duplicate")
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    pair[1].resources["/f"] = generated(SIZE, seed=2, etag='"two"', last_modified=None)
    says(pair[0], link, *([("Digest", f"md5={md5}")] if digest else []))
    result = fetch(pair[0].url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert pair[1].sent["/f"] <= 1


def test_a_metalink_that_the_server_names(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = metalink(a_file([pair[1].url("/f")], name="f", pieces=True))
    pair[0].resources["/f.meta4"] = Resource(body=document.encode())
    says(pair[0], ("Link", '</f.meta4>; rel=describedby; type="application/metalink4+xml"'))
    result = fetch(pair[0].url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.verified == (*VERIFIED, "pieces:sha256")
    assert len(result.sources) == 2


def test_a_metalink_of_another_file_counts_for_nothing(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    document = metalink(a_file([pair[1].url("/f")], name="f", size=SIZE + 1, digest="00" * 32))
    pair[0].resources["/f.meta4"] = Resource(body=document.encode())
    says(pair[0], ("Link", '</f.meta4>; rel=describedby; type="application/metalink4+xml"'))
    result = fetch(pair[0].url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.verified == ()
    assert any("is of another file" in note for note in result.notes)
    assert not pair[1].requests


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f.sha256", HEX),
        ("SHA256SUMS", f"{'00' * 32}  g\n{HEX}  f\n"),
        ("f.md5", f"{hashlib.md5(CONTENT).hexdigest()} *f"),
    ],
)
def test_a_checksum_file_beside_it(tmp_path: Path, pair: list[LoopbackServer], name: str, text: str) -> None:
    pair[0].resources[f"/{name}"] = Resource(body=text.encode())
    result = fetch(pair[0].url("/f"), tmp_path)
    assert len(result.verified) == 1
    assert names(tmp_path) == ["f"]


def test_a_checksum_file_that_says_otherwise(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    pair[0].resources["/f.sha256"] = Resource(body=b"00" * 32)
    result = fetch(pair[0].url("/f"), tmp_path)
    failed(result, BadContent, 7, pair[0].url("/f.sha256"), "--no-checksum-files")


@pytest.mark.parametrize(
    "said",
    [
        {"f.sha256": HEX, "SHA256SUMS": f"{'00' * 32}  f\n"},
        {"f.sha256": "00" * 32, "SHA256SUMS": f"{HEX}  f\n"},
        {"SHA256SUMS": f"{HEX}  f\n{'00' * 32}  f\n"},
    ],
)
def test_checksum_files_that_contradict_each_other(
    tmp_path: Path, pair: list[LoopbackServer], said: dict[str, str]
) -> None:
    pair[0].resources |= {f"/{name}": Resource(body=text.encode()) for name, text in said.items()}
    result = fetch(pair[0].url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.verified == ()
    differ = [note for note in result.notes if "two sha256 digests of the same file differ" in note]
    assert len(differ) == 1
    assert all(word in differ[0] for word in (*said, HEX[:16], "00" * 8, "neither is believed"))


def test_what_only_one_of_two_contradicts_is_verified_by_what_is_left(
    tmp_path: Path, pair: list[LoopbackServer]
) -> None:
    sums = f"{'00' * 32}  f\n", f"{hashlib.sha512(CONTENT).hexdigest()}  f\n"
    said = {"/f.sha256": HEX, "/SHA256SUMS": sums[0], "/SHA512SUMS": sums[1]}
    pair[0].resources |= {name: Resource(body=text.encode()) for name, text in said.items()}
    assert fetch(pair[0].url("/f"), tmp_path).verified == (f"sha512={hashlib.sha512(CONTENT).hexdigest()}",)


def test_digests_of_two_algorithms_that_contradict_each_other(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """Nobody is blamed for bytes that one of them speaks for: it is not the servers of the file that are at odds."""
    said = {"/f.sha256": "00" * 32, "/SHA512SUMS": f"{hashlib.sha512(CONTENT).hexdigest()}  f\n"}
    pair[0].resources |= {name: Resource(body=text.encode()) for name, text in said.items()}
    pair[1].resources["/f"] = generated(SIZE, seed=1)
    result = fetch(pair[0].url("/f"), tmp_path, mirrors=[pair[1].url("/f")])
    failed(result, BadContent, 7, pair[0].url("/f.sha256"), "--no-checksum-files")
    assert f"{pair[0].url('/f.sha256')} contradicts {pair[0].url('/SHA512SUMS')}, whose sha512 the bytes have" in (
        result.notes
    )
    assert result.wasted_bytes == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("silent", ["f.sha512", "SHA512SUMS"])
def test_what_was_found_counts_where_another_checksum_file_never_comes(
    tmp_path: Path, pair: list[LoopbackServer], silent: str
) -> None:
    pair[0].resources["/f.sha256"] = Resource(body=HEX.encode())
    pair[0].resources[f"/{silent}"] = Resource(body=b"x", behaviour=m.stall_after(0))
    assert fetch(pair[0].url("/f"), tmp_path).verified == VERIFIED


@pytest.mark.parametrize("text", [f"{'00' * 32}  another\n", "<html>not found</html>", ""])
def test_a_checksum_file_of_another_file(tmp_path: Path, pair: list[LoopbackServer], text: str) -> None:
    pair[0].resources["/SHA256SUMS"] = Resource(body=text.encode())
    assert fetch(pair[0].url("/f"), tmp_path).verified == ()


def test_nothing_is_looked_for_where_nobody_wants_it(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    for url, options in (
        (pair[0].url("/f"), {"checksum_files": False}),
        (pair[0].url("/f"), {"checksum": f"sha-256={HEX}"}),
        (pair[0].url("/f?signed=1"), {}),
    ):
        fetch(url, tmp_path, exists=Exists.OVERWRITE, out="f", **options)
    assert {request.path.partition("?")[0] for request in pair[0].requests} == {"/f"}


def test_what_lies_beside_a_metalinks_mirror_is_asked_with_nothing_of_the_user(
    tmp_path: Path, pair: list[LoopbackServer]
) -> None:
    """CVE-2021-22923 of curl: without a hash the first mirror is the origin, and still a stranger's."""
    document = write(tmp_path, metalink(f'<file name="f"><url>{pair[0].url("/f")}</url></file>'))
    unlisted = m.when(lambda request: not request.header("Authorization"), m.needs_basic("me", "s3cret"))
    pair[0].resources["/f.sha256"] = Resource(body=HEX.encode(), behaviour=unlisted)
    fetch(document, tmp_path / "out", headers=(("X-Mine", "1"),), user="me", password="s3cret")
    asked = [request for request in pair[0].requests if request.path == "/f.sha256"]
    assert asked
    assert not any(request.header("X-Mine") or request.header("Authorization") for request in asked)


def test_nobody_is_asked_for_a_new_link_of_a_checksum_file(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """Stores answer 403 for what is not there."""
    asked: list[ExpiredLink] = []

    def refresh(link: ExpiredLink) -> str:
        asked.append(link)
        return link.url

    pair[0].behaviour = m.when(lambda request: request.path != "/f", m.status(403))
    assert content_of(fetch(pair[0].url("/f"), tmp_path, refresh=refresh)) == CONTENT
    assert any(request.path == "/f.sha256" for request in pair[0].requests)
    assert asked == []


@pytest.mark.usefixtures("impatient")
def test_a_checksum_file_that_never_comes_holds_nobody_up(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    for name in ("f.sha256", "SHA256SUMS", "f.sha512"):
        pair[0].resources[f"/{name}"] = Resource(body=b"x", behaviour=m.stall_after(0))
    watch = Stopwatch()
    assert content_of(fetch(pair[0].url("/f"), tmp_path)) == CONTENT
    assert watch.took_s < 4


class Trickle:
    """A behaviour: a byte now and then, for longer than any test may take. ``gone``: the client does not want more."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def __call__(self, request: Request, reply: Reply) -> Reply:
        reply.blocks = self._drops()
        return reply.header("Content-Length", "100000")

    def _drops(self) -> Iterator[bytes]:
        try:
            while True:
                yield b"0"
                time.sleep(TICK_S)
        finally:
            self.gone.set()


@pytest.mark.usefixtures("impatient")
def test_a_checksum_file_that_trickles_holds_nobody_up(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    trickle = Trickle()
    pair[0].resources["/f.sha256"] = Resource(body=b"0", behaviour=trickle)
    result = fetch(pair[0].url("/f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.verified == ()


@pytest.mark.usefixtures("impatient")
def test_a_checksum_file_that_trickles_is_given_up(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon's session lives on, and would hold a connection to it for days."""
    monkeypatch.setattr(documents, "UNASKED_S", 0.5)
    trickle = Trickle()
    pair[0].resources["/f.sha256"] = Resource(body=b"0", behaviour=trickle)

    async def until_given_up(task: Task) -> Result:
        result = await task.outcome()
        assert await asyncio.to_thread(trickle.gone.wait, runs.LIMIT_S / 2)
        return result

    assert content_of(runs.drive(until_given_up, pair[0].url("/f"), tmp_path, checksum_files=True)) == CONTENT


def test_a_signature_that_trickles_does_not_hold_the_end_up_for_ever(
    tmp_path: Path, pair: list[LoopbackServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "UNASKED_S", 0.5)
    (tmp_path / "key.pub").write_bytes(signer().public)
    pair[0].resources["/f.minisig"] = Resource(body=b"0", behaviour=Trickle())
    result = runs.fetch(pair[0].url("/f"), tmp_path / "out", signed_by=str(tmp_path / "key.pub"))
    failed(result, BadSignature, 7, "no signature")


def test_a_digest_in_the_url(tmp_path: Path, pair: list[LoopbackServer]) -> None:
    """As package indexes write their links (PEP 503)."""
    assert fetch(f"{pair[0].url('/f')}#sha256={HEX}", tmp_path).verified == VERIFIED
    failed(fetch(f"{pair[0].url('/f')}#sha256={'00' * 32}", tmp_path / "2"), BadContent, 7)
    assert names(tmp_path / "2") == ["f.part", "f.part.journal"]


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("sha256=abc", "'sha256=abc' behind it is no sha256 of 64 hex digits"),
        ("sha-256=" + "z" * 64, "no sha256 of 64"),
        ("md5=", "no md5 of 32"),
        (f"sha1={'0' * 39}&sha256={HEX}", "no sha1 of 40"),
        (f"sha256={HEX}&sha256={'00' * 32}", "contradicts"),
    ],
)
def test_a_digest_in_the_url_that_cannot_be_read_is_refused_before_anything_is_fetched(
    tmp_path: Path, pair: list[LoopbackServer], fragment: str, words: str
) -> None:
    """The file was saved unverified, and nothing told of it."""
    failed(fetch(f"{pair[0].url('/f')}#{fragment}", tmp_path), UsageError, 2, words)
    assert names(tmp_path) == []
    assert pair[0].requests == []
    # Where something else was given to check by it is of no account.
    assert fetch(f"{pair[0].url('/f')}#{fragment}", tmp_path, checksum=f"sha256={HEX}").verified == VERIFIED


@pytest.mark.parametrize("fragment", ["egg=x&subdirectory=y", "section-2", "note:this", "v=md5", "abc"])
def test_a_fragment_that_is_no_digest_is_left_alone(tmp_path: Path, pair: list[LoopbackServer], fragment: str) -> None:
    assert content_of(fetch(f"{pair[0].url('/f')}#{fragment}", tmp_path)) == CONTENT


def test_the_users_checksum_counts_more_than_the_urls_and_a_note_tells_that_they_differ(
    tmp_path: Path, pair: list[LoopbackServer]
) -> None:
    told = "tells another sha256; the checksum that was given counts"
    result = fetch(f"{pair[0].url('/f')}#sha256={'00' * 32}", tmp_path, checksum=f"sha256={HEX}")
    assert result.verified == VERIFIED
    assert any(note.endswith(told) for note in result.notes)
    result = fetch(f"{pair[0].url('/f')}#sha256={HEX}", tmp_path / "2", checksum=f"sha256={HEX}")
    assert not any(told in note for note in result.notes)


@pytest.mark.parametrize(("url", "at_once"), [("http://h/f", AT_ONCE), ("ftp://h/f", 1)])
def test_where_each_connection_logs_in_one_looks_for_all(url: str, at_once: int) -> None:
    """The others are for the lanes."""
    busy = most = 0

    class Shelf:
        async def get(self, url: str, ask: object) -> None:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1

    class Session:
        shelf = Shelf()

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()

        def protocol(self, scheme: str) -> object | None:
            return None if scheme == "http" else self

    async def look() -> None:
        looking = Finding(cast(Any, Session()), Options(), url, lambda offer: None, [])
        looking.begin((), is_proven=False)
        await looking.settled()

    asyncio.run(look())
    assert most == at_once
