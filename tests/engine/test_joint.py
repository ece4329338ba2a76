"""One file from a loopback server and seeds on loopback: whoever brings what, whoever leaves, the file is right."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from tests.engine.runs import LIMIT_S, SHORT_S, all_say, content_of, drive, failed, names, stopped_after
from tests.engine.swarm import ALONE, CONTENT, NAME, PIECE_BYTES, SIZE, Kind, Seed, awaited, joint, made_torrent, seeds
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Resource, generated
from tests.servers.loopback import Limits, LoopbackServer
from thunderdl.client import Client, Request, Task
from thunderdl.errors import UsageError
from thunderdl.model import Result, SourceKind, SourceProgress, Status
from thunderdl.options import Options
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.torrent import load
from thunderdl.verify import PieceVerifier

# Slow enough that peers have connected before the mirror is through.
PACE = Limits(rate_bytes_per_s=4 * 1024 * 1024)


class Ground:
    """A torrent, its seeds and a mirror at /f."""

    def __init__(self, torrent: Path, mirror: LoopbackServer, peers: list[Seed]) -> None:
        self.torrent, self.mirror, self.peers = torrent, mirror, tuple(peers)

    @property
    def url(self) -> str:
        return self.mirror.url("/f")


@pytest.fixture(scope="module")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swarm")
    for kind in Kind:
        (folder / f"{kind.name}.torrent").write_bytes(made_torrent(folder / "seed", kind))
    return folder


@pytest.fixture
def kind() -> Kind:
    return Kind.V1


@pytest.fixture
def ground(source_folder: Path, kind: Kind) -> Iterator[Ground]:
    torrent = source_folder / f"{kind.name}.torrent"
    with (
        LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as mirror,
        seeds(torrent.read_bytes(), source_folder / "seed") as peers,
    ):
        yield Ground(torrent, mirror, peers)


def swarm_of(result: Result) -> SourceProgress:
    return next(source for source in result.sources if source.kind is SourceKind.PEERS)


def mirror_of(result: Result, url: str) -> SourceProgress:
    return next(source for source in result.sources if source.url == url)


def told(result: Result, *words: str) -> bool:
    return any(all(word in note for word in words) for note in result.notes)


# -- who brings it


@pytest.mark.parametrize("kind", list(Kind))
def test_mirrors_and_peers_both_bring_a_part(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers)
    assert content_of(result) == CONTENT
    assert names(tmp_path) == [NAME]
    assert [name.partition(":")[0] for name in result.verified] == ["pieces"]
    assert swarm_of(result).bytes > 0
    assert mirror_of(result, ground.url).bytes > 0
    # What one was asked for already when it was given to the other comes twice.
    assert SIZE <= swarm_of(result).bytes + mirror_of(result, ground.url).bytes <= SIZE + 16 * PIECE_BYTES


@pytest.mark.parametrize("kind", list(Kind))
def test_only_peers(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, peers=ground.peers)
    assert content_of(result) == CONTENT
    assert swarm_of(result).bytes == SIZE
    assert ground.mirror.requests == []


@pytest.mark.parametrize("kind", list(Kind))
def test_only_mirrors_where_no_peer_comes(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,))
    assert content_of(result) == CONTENT
    assert mirror_of(result, ground.url).bytes == SIZE
    assert swarm_of(result).bytes == 0


def test_another_link_of_what_a_torrent_names_is_a_mirror(tmp_path: Path, ground: Ground) -> None:
    request = Request(str(ground.torrent), new_url=ground.url)

    async def run() -> list[Result]:
        async with asyncio.timeout(LIMIT_S), Client(Options(dir=str(tmp_path), **ALONE)) as client:
            return [result async for result in client.run([request])]

    assert [content_of(result) for result in asyncio.run(run())] == [CONTENT]


@pytest.mark.parametrize("size", [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_file_of_a_piece_or_two(tmp_path: Path, kind: Kind, size: int) -> None:
    content = CONTENT[:size]
    (tmp_path / "t.torrent").write_bytes(metainfo := made_torrent(tmp_path / "seed", kind, content))
    with seeds(metainfo, tmp_path / "seed", 1) as peers, LoopbackServer({"/f": Resource(body=content)}) as mirror:
        by_peers = joint(str(tmp_path / "t.torrent"), tmp_path / "one", peers=tuple(peers))
        by_both = joint(str(tmp_path / "t.torrent"), tmp_path / "two", urls=(mirror.url("/f"),), peers=tuple(peers))
        by_mirror = joint(str(tmp_path / "t.torrent"), tmp_path / "three", urls=(mirror.url("/f"),))
    assert content_of(by_peers) == content_of(by_both) == content_of(by_mirror) == content


# -- what names it


def test_a_torrent_behind_a_url(tmp_path: Path, ground: Ground) -> None:
    ground.mirror.resources["/t.torrent"] = Resource(body=ground.torrent.read_bytes())
    result = joint(ground.mirror.url("/t.torrent"), tmp_path, peers=ground.peers)
    assert content_of(result) == CONTENT
    assert names(tmp_path) == [NAME]


@pytest.mark.parametrize("kind", [Kind.V1, Kind.HYBRID])
def test_a_torrent_of_another_server_gets_no_token(tmp_path: Path, ground: Ground) -> None:
    """It was given for the URL; a torrent beside it, now or later, may come from anywhere."""
    told = Resource(body=ground.torrent.read_bytes())

    async def add_late(task: Task) -> Result:
        await task.add_torrent(other.url("/t.torrent"))
        return await task.outcome()

    with LoopbackServer({"/t.torrent": told}) as other:
        beside = joint(ground.url, tmp_path, torrent=other.url("/t.torrent"), token="secret")
        late = drive(add_late, ground.url, tmp_path / "late", token="secret", task_limit=PACE.rate_bytes_per_s, **ALONE)
    assert content_of(beside) == content_of(late) == CONTENT
    assert all_say(other, "Authorization", None)
    assert all_say(ground.mirror, "Authorization", "Bearer secret")


def test_a_magnet_that_names_a_peer(tmp_path: Path, ground: Ground) -> None:
    magnet = load(ground.torrent.read_bytes(), "t").magnet
    peers = "".join(f"&x.pe={host}:{port}" for host, port in (peer.address for peer in ground.peers))
    result = joint(magnet + peers, tmp_path, urls=(ground.url,))
    assert content_of(result) == CONTENT


def test_a_torrent_beside_a_url(tmp_path: Path, ground: Ground) -> None:
    result = joint(ground.url, tmp_path, torrent=str(ground.torrent), peers=ground.peers)
    assert content_of(result) == CONTENT
    assert names(tmp_path) == [NAME]
    assert swarm_of(result).bytes > 0
    assert mirror_of(result, ground.url).bytes > 0


# -- what goes wrong


def test_a_mirror_with_wrong_bytes_in_a_piece(tmp_path: Path, ground: Ground) -> None:
    ground.mirror.resources["/f"] = generated(SIZE, seed=1, behaviour=m.corrupt_from(0))
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers)
    assert content_of(result) == CONTENT
    # On a busy machine peers may have brought all before it had sent one piece whole.
    assert told(result, ground.url, "did not match") is (mirror_of(result, ground.url).wasted_bytes > 0), result.notes
    # A piece that was taken for right and is not comes, and counts, twice.
    assert SIZE <= swarm_of(result).bytes <= SIZE + 16 * PIECE_BYTES


@pytest.mark.parametrize("size", [SIZE + 1, SIZE // 2, 0])
def test_a_mirror_of_another_size(tmp_path: Path, ground: Ground, size: int) -> None:
    ground.mirror.resources["/f"] = generated(size, seed=2)
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers)
    assert content_of(result) == CONTENT
    assert mirror_of(result, ground.url).bytes == 0
    assert told(result, ground.url, "is not used"), result.notes


@pytest.mark.parametrize("behaviour", [m.status(404), m.status(503), m.rubbish, m.no_ranges, m.hang_up])
def test_a_mirror_that_is_of_no_use(tmp_path: Path, ground: Ground, behaviour: Behaviour) -> None:
    ground.mirror.resources["/f"] = generated(SIZE, seed=1, behaviour=behaviour)
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers)
    assert content_of(result) == CONTENT


@pytest.mark.parametrize("dies_at", [PIECE_BYTES // 2, 700_000])
def test_a_mirror_that_dies_midway(tmp_path: Path, ground: Ground, dies_at: int) -> None:
    ground.mirror.limits = Limits(rate_bytes_per_s=4 * 1024 * 1024, dies_at_bytes=dies_at)
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers, timeout=SHORT_S)
    assert content_of(result) == CONTENT


def test_peers_with_wrong_bytes(tmp_path: Path, source_folder: Path, ground: Ground) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / NAME).write_bytes(bytes(SIZE))
    with seeds(ground.torrent.read_bytes(), wrong, 1) as liars:
        result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=tuple(liars))
    assert content_of(result) == CONTENT
    assert mirror_of(result, ground.url).bytes == SIZE


def test_pieces_that_come_before_the_torrent_is_known_to_be_there(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Host.call

    async def late(self: Host, work: Callable[..., Any], *args: object) -> Any:
        result = await call(self, work, *args)
        if isinstance(result, lt.torrent_handle):
            await call(self, lambda: awaited(lambda: result.status().is_finished))
        return result

    monkeypatch.setattr(Host, "call", late)
    ground.mirror.resources["/f"] = Resource(body=b"", behaviour=m.status(404))
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), peers=ground.peers)
    assert content_of(result) == CONTENT


# -- what cannot be


def test_nobody_at_all(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, timeout=1.0)
    failed(result, SwarmFault, 4, "no peer", "--timeout")
    assert names(tmp_path) == []


def test_a_mirror_without_ranges_that_cannot_bring_the_rest(tmp_path: Path, ground: Ground) -> None:
    """What peers were to bring lies in the way of its one connection; without a retry: a sentence, and no waiting for
    ever."""
    ground.mirror.resources["/f"] = generated(SIZE, seed=1, behaviour=m.no_ranges)
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), timeout=1.0)
    failed(result, SwarmFault, 4, "no peer has it", "-m")


@pytest.mark.parametrize("first", [0, 7])
def test_a_mirror_without_ranges_brings_all_of_it_where_no_peer_comes(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """It cannot leave out what the swarm was to bring; nor begin where downloaders that share would."""
    monkeypatch.setattr("random.Random.randrange", lambda self, count: min(first, count - 1))
    ground.mirror.resources["/f"] = generated(SIZE, seed=1, behaviour=m.no_ranges)
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), timeout=1.0, retries=1)
    assert content_of(result) == CONTENT
    assert told(result, "bytes were thrown away", ground.url, "sends no ranges")
    assert mirror_of(result, ground.url).bytes == SIZE


def test_a_magnet_that_nobody_has(tmp_path: Path) -> None:
    result = joint("magnet:?xt=urn:btih:" + "ab" * 20, tmp_path, timeout=1.0)
    failed(result, SwarmFault, 4, "--timeout")
    assert names(tmp_path) == []


def test_a_port_that_is_in_use(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), port=ground.peers[0].address[1])
    failed(result, UsageError, 2, "--port")
    assert result.status is Status.FAILED


# -- stopping and going on


def test_stopped_and_gone_on_nothing_proven_is_fetched_or_read_again(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = tuple(peer.address for peer in ground.peers)
    changes: dict[str, Any] = {**ALONE, "peers": addresses}
    # No peer at first: what the mirror brought is there to the piece.
    stopped = drive(
        stopped_after(SIZE // 3), str(ground.torrent), tmp_path, mirrors=[ground.url], **{**changes, "peers": ()}
    )
    assert stopped.status is Status.CANCELLED
    checked, check = list[int](), PieceVerifier.check

    async def spied(self: PieceVerifier, index: int) -> bool:
        checked.append(index)
        return await check(self, index)

    monkeypatch.setattr(PieceVerifier, "check", spied)
    result = drive(finished, str(ground.torrent), tmp_path, **changes)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes >= SIZE // 4
    # Pieces that were begun are fetched whole.
    assert swarm_of(result).bytes <= SIZE - result.resumed_bytes + 40 * PIECE_BYTES
    assert len(checked) <= 40


async def finished(task: Task) -> Result:
    return await task.outcome()


def test_killed_and_gone_on(tmp_path: Path, ground: Ground) -> None:
    (address, port), out = ground.peers[0].address, tmp_path / "out"
    command = [
        sys.executable, "-m", "thunderdl", str(ground.torrent), "-m", ground.url, "-d", str(out), "--no-dht",
        "--no-lsd", "--no-pex", "--peer", f"{address}:{port}", "--task-limit", "1M",
    ]  # fmt: skip
    ground.mirror.limits = Limits(rate_bytes_per_s=1024 * 1024)
    ground.peers[0].handle.set_upload_limit(1024 * 1024)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        ground.mirror.wait_for(lambda server: server.sent["/f"] >= 500_000, LIMIT_S)
        killed.kill()
    assert NAME not in names(out)
    assert names(out) == [f"{NAME}.part", f"{NAME}.part.journal"]
    result = joint(str(ground.torrent), out, peers=ground.peers[1:])
    assert content_of(result) == CONTENT
    assert names(out) == [NAME]


def test_a_seed_that_leaves_midway(tmp_path: Path, ground: Ground) -> None:
    for peer in ground.peers:
        peer.handle.set_upload_limit(512 * 1024)

    async def leaving(task: Task) -> Result:
        async for progress in task:
            if progress.done_bytes > SIZE // 4:
                for peer in ground.peers:
                    peer.leave()
        return await task.outcome()

    addresses = tuple(peer.address for peer in ground.peers)
    result = drive(leaving, str(ground.torrent), tmp_path, mirrors=[ground.url], **{**ALONE, "peers": addresses})
    assert content_of(result) == CONTENT


@pytest.mark.parametrize(("choice", "words"), [("2", "there is no file 2"), ("*.iso", "matches")])
def test_a_choice_that_its_one_file_is_not_in_is_refused(
    tmp_path: Path, ground: Ground, choice: str, words: str
) -> None:  # fmt: skip
    """Everything came, and the mistake was passed over."""
    failed(joint(str(ground.torrent), tmp_path, files=choice), UsageError, 2, words, "thunderdl info lists the files")
    assert names(tmp_path) == []


def test_a_choice_of_its_one_file_is_that_file(tmp_path: Path, ground: Ground) -> None:
    result = joint(str(ground.torrent), tmp_path, urls=(ground.url,), files="1")
    assert result.status is Status.COMPLETE, result.error
