"""BEP 27: of a private torrent only its own trackers hear, whatever the user names and the DHT could tell."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.engine.dht import asked_for, dht_node
from tests.engine.runs import LIMIT_S, content_of
from tests.engine.swarm import CONTENT, NAME, SIZE, joint
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import LoopbackServer
from thunderdl.engine.torrents import privacy_note
from thunderdl.options import Options
from thunderdl.sources.swarm import settings
from thunderdl.sources.swarm.collector import Collector, Plan
from thunderdl.sources.swarm.host import Host
from thunderdl.sources.swarm.magnet import _as_linked, parse
from thunderdl.sources.swarm.member import Member
from thunderdl.sources.swarm.settings import SwarmSettings
from thunderdl.sources.swarm.torrent import Torrent, bare, load

NOBODY = b"d8:intervali1800e5:peers0:e"


def made(folder: Path, *, private: bool, trackers: tuple[str, ...] = ()) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(CONTENT)
    torrent = lt.create_torrent([lt.create_file_entry(NAME, SIZE)], 64 * 1024, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(folder))
    torrent.set_priv(private)
    tree = cast(dict[bytes, Any], torrent.generate())
    if trackers:
        tree[b"announce"] = trackers[0].encode()
    return lt.bencode(cast(Any, tree))


@pytest.mark.parametrize("private", [True, False])
def test_the_users_tracker_hears_of_public_torrents_only(tmp_path: Path, *, private: bool) -> None:
    # libtorrent speaks to a tracker on loopback only at this path (ssrf_mitigation).
    hears = {"/announce": Resource(body=NOBODY)}
    with LoopbackServer({**hears, "/f": generated(SIZE, seed=1)}) as owns, LoopbackServer(hears) as users:
        (tmp_path / "t.torrent").write_bytes(
            made(tmp_path / "seed", private=private, trackers=(owns.url("/announce"),))
        )
        result = joint(
            str(tmp_path / "t.torrent"), tmp_path / "out", urls=(owns.url("/f"),),
            trackers=(users.url("/announce"),), seed_time=0.5,
        )  # fmt: skip
        heard = [any("/announce" in request.path for request in server.requests) for server in (owns, users)]
    assert content_of(result) == CONTENT
    assert heard == [True, not private]
    assert any("private" in note and "--tracker" in note for note in result.notes) is private


def test_a_note_only_where_something_is_left_out(tmp_path: Path) -> None:
    own, users = "http://own.example/announce", "http://users.example/announce"
    private = load(made(tmp_path, private=True, trackers=(own,)), "t")
    public = load(made(tmp_path, private=False, trackers=(own,)), "t")
    assert privacy_note(private, Options(trackers=(users,))) == (
        f"{NAME} is a private torrent: --tracker is not used, its peers come from its own trackers alone"
    )
    assert privacy_note(private, Options()) == ""
    assert privacy_note(private, Options(trackers=(own,))) == ""
    assert privacy_note(public, Options(trackers=(users,))) == ""


def settled(**changes: Any) -> SwarmSettings:
    return SwarmSettings(listen="127.0.0.1:0", user_agent="t", **{"dht": True, "lsd": False, "pex": True, **changes})


@pytest.mark.parametrize("kind", [Member, Collector])
def test_the_dht_never_hears_of_a_private_torrent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Member] | type[Collector]
) -> None:
    private, public = (load(made(tmp_path / str(flag), private=flag), "t") for flag in (True, False))
    with dht_node() as (node, port):
        monkeypatch.setattr(settings, "DHT_NODES", (f"127.0.0.1:{port}",))
        heard = set[str]()

        async def run() -> None:
            host = Host(settled())
            # The private one first: when the other has been asked for, it would have been, too.
            for number, torrent in enumerate((private, public)):
                await began(kind, host, torrent, tmp_path / f"out{number}")
            until = time.monotonic() + LIMIT_S
            while public.info_hash_v1 not in heard:
                assert time.monotonic() < until, "the public one was not asked for"
                heard.update(asked_for(node))
                await asyncio.sleep(0.05)
            await host.close()

        asyncio.run(run())
        heard |= asked_for(node)
    assert private.info_hash_v1 not in heard


async def began(kind: type[Member] | type[Collector], host: Host, torrent: Torrent, folder: Path) -> None:
    if issubclass(kind, Member):
        await kind(host, torrent).start(str(folder), {}, have=[False] * torrent.piece_count, assigned=None)
    else:
        await kind(host, torrent).start(Plan(folder=str(folder), wanted=frozenset([0])))


@pytest.mark.parametrize("kind", [Member, Collector])
@pytest.mark.parametrize("private", [True, False])
def test_neither_pex_nor_lsd_nor_dht(tmp_path: Path, kind: type[Member] | type[Collector], *, private: bool) -> None:
    torrent = load(made(tmp_path / "seed", private=private), "t")
    flags = lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex

    async def run() -> None:
        host = Host(settled(dht=False))
        await began(kind, host, torrent, tmp_path / "out")
        (handle,) = host.session.get_torrents()
        assert (await host.call(handle.flags)) & flags == (flags if private else 0)
        await host.close()

    asyncio.run(run())


@pytest.mark.parametrize("private", [True, False])
def test_of_a_private_magnet_only_what_the_link_names_stays(tmp_path: Path, *, private: bool) -> None:
    """Before its metadata is here nobody knows that it is private; who was met by then is asked no more."""
    torrent = load(bare(made(tmp_path / "seed", private=private, trackers=("http://x.example/announce",))), "t")
    link = torrent.magnet + "&tr=http%3A%2F%2Fown.example%2Fannounce&x.pe=192.0.2.1:1"
    found = _as_linked(torrent, parse(link), [("192.0.2.2", 2)])
    assert found.trackers == ("http://own.example/announce",)
    assert found.peers == ((("192.0.2.1", 1),) if private else (("192.0.2.1", 1), ("192.0.2.2", 2)))
    assert b"example" not in found.metainfo
