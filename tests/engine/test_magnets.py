"""A magnet link that goes on: what peers sent once is kept, and believed as far as its hash proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from tests.engine.runs import content_of, drive, failed, fetch, names, stopped_after
from tests.engine.swarm import ALONE, CONTENT, SIZE, Kind, joint, made_torrent, seeds
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import metainfo, seeding, tree_of, write_tree
from thunderdl.model import Status
from thunderdl.sources.swarm.host import SwarmFault
from thunderdl.sources.swarm.magnet import info_hashes, named_by
from thunderdl.sources.swarm.torrent import bare, load
from thunderdl.storage import metainfo as kept

PACE = Limits(rate_bytes_per_s=4 * 1024 * 1024)


def kept_names(own_cache: Path) -> list[str]:
    folder = own_cache / "thunderdl" / "metainfo"
    return names(folder) if folder.exists() else []


@pytest.mark.parametrize("kind", [Kind.V1, Kind.HYBRID])
def test_stopped_and_gone_on_where_nobody_has_the_metadata(tmp_path: Path, own_cache: Path, kind: Kind) -> None:
    torrent = made_torrent(tmp_path / "seed", kind)
    named, out = load(torrent, "t"), tmp_path / "out"
    with LoopbackServer({"/f": generated(SIZE, seed=1)}, limits=PACE) as mirror:
        url = mirror.url("/f")
        with seeds(torrent, tmp_path / "seed", 1, rate_bytes_per_s=1024 * 1024) as peers:
            changes: dict[str, Any] = {**ALONE, "peers": tuple(peer.address for peer in peers)}
            stopped = drive(stopped_after(SIZE // 3), named.magnet, out, mirrors=[url], **changes)
        assert stopped.status is Status.CANCELLED
        assert kept_names(own_cache) == sorted(named.info_hashes)
        result = joint(named.magnet, out, urls=(url,))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 0
    assert kept_names(own_cache) == [], "all is here"


def test_a_folder_goes_on_from_web_seeds(tmp_path: Path, own_cache: Path) -> None:
    files = {"Set/a": CONTENT[: 3 << 20], "Set/b": CONTENT[3 << 20 :]}
    write_tree(tmp_path / "origin", files)
    torrent = metainfo(tmp_path / "origin" / "Set")
    magnet, out = load(torrent, "t").magnet, tmp_path / "out"
    with seeding(torrent, tmp_path / "origin", upload_limit=2 << 20) as seed:
        drive(stopped_after(1 << 20), magnet, out, peers=(seed.peer,), **ALONE)
    assert len(kept_names(own_cache)) == 1
    with LoopbackServer({f"/{name}": Resource(body=held) for name, held in files.items()}) as web:
        result = fetch(magnet, out, mirrors=(web.url("/"),), **ALONE)
    assert result.status is Status.COMPLETE, result.error
    assert tree_of(out) == files
    assert kept_names(own_cache) == []


def test_what_is_not_what_the_link_names_is_not_used(tmp_path: Path) -> None:
    torrent, other = made_torrent(tmp_path / "a"), made_torrent(tmp_path / "b", content=CONTENT[:99_999])
    magnet = load(torrent, "t").magnet
    (info_hash,) = info_hashes(magnet)
    for data in (other, b"", b"de", b"d4:infoi1ee", torrent[:-5], b"\0" * 1000):
        kept.keep(info_hash, data)
        failed(joint(magnet, tmp_path / "out", timeout=0.2), SwarmFault, 4, "nobody sent")
    assert not (tmp_path / "out").exists()


def test_of_what_is_kept_only_what_the_hash_proves_counts(tmp_path: Path) -> None:
    torrent = made_torrent(tmp_path / "seed", Kind.HYBRID)
    tree = cast(dict[bytes, Any], lt.bdecode(torrent))
    tree |= {
        b"announce": b"http://tracker.example/announce", b"nodes": [[b"node.example", 6881]],
        b"url-list": [b"http://web.example/f"], b"comment": b"come here",
    }  # fmt: skip
    named = load(torrent, "t")
    link = named.magnet + "&tr=http%3A%2F%2Fown.example%2Fannounce"
    found = named_by(link, lt.bencode(cast(Any, tree)))
    assert found is not None
    assert (found.trackers, found.web_seeds, found.comment) == (("http://own.example/announce",), (), "")
    assert found.metainfo == bare(torrent)
    for word in (b"tracker.example", b"node.example", b"web.example", b"come here"):
        assert word not in found.metainfo
    assert found.info_hashes == named.info_hashes
    assert found.piece_hashes == named.piece_hashes


def test_both_hashes_of_a_link_must_be_its_own(tmp_path: Path) -> None:
    torrent = made_torrent(tmp_path / "seed", Kind.HYBRID)
    named = load(torrent, "t")
    assert named_by(named.magnet, torrent) is not None
    for right, wrong in ((named.info_hash_v1, "ab" * 20), (named.info_hash_v2, "ab" * 32)):
        assert named_by(named.magnet.replace(right, wrong), torrent) is None


def test_layers_that_are_not_the_files_own(tmp_path: Path) -> None:
    torrent = made_torrent(tmp_path / "seed", Kind.V2)
    tree = cast(dict[bytes, Any], lt.bdecode(torrent))
    (root,) = tree[b"piece layers"]
    tree[b"piece layers"][root] = bytes(len(tree[b"piece layers"][root]))
    assert named_by(load(torrent, "t").magnet, lt.bencode(cast(Any, tree))) is None
