"""The lab's own BitTorrent: metainfo read by libtorrent, announces answered."""

from __future__ import annotations

import hashlib
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.lab.torrent import bencode, has_all, info_of, metainfo
from tests.lab.tracker import INTERVAL_S, Swarm, compact, tracking

ANNOUNCE = "info_hash=%FF%00&peer_id=-XX0000-%80&port=6881&left=5&compact=1"


def test_bencode() -> None:
    assert bencode({b"b": [1, -2], b"a": b"x:y", b"c": {}}) == b"d1:a3:x:y1:bli1ei-2ee1:cdee"


def test_libtorrent_reads_it(tmp_path: Path) -> None:
    lt = pytest.importorskip("libtorrent")
    (tmp_path / "a.bin").write_bytes(b"x" * 40_000)
    info = info_of(tmp_path / "a.bin", 16_384)
    read = lt.load_torrent_buffer(metainfo(info, "http://127.0.0.1:1/announce"))
    assert (read.ti.name(), read.ti.total_size(), read.ti.num_pieces()) == ("a.bin", 40_000, 3)
    assert read.ti.info_hashes().v1.to_bytes() == hashlib.sha1(info).digest()
    assert read.trackers == ["http://127.0.0.1:1/announce"]
    assert lt.load_torrent_buffer(metainfo(info)).trackers == []


def test_peers_that_were_given_are_named_to_everybody() -> None:
    swarm = Swarm([("10.0.0.2", 6881), ("10.0.0.6", 258)])
    named = b"\n\0\0\2\x1a\xe1\n\0\0\6\1\2"
    assert compact([("10.0.0.2", 6881), ("10.0.0.6", 258)]) == named
    for event in ("started", "completed", "stopped"):
        answer = swarm.answer("10.0.0.1", f"{ANNOUNCE}&event={event}")
        assert answer.endswith(b"5:peers12:" + named + b"e")
        assert b"8:intervali%de" % INTERVAL_S in answer


def test_others_that_have_announced_are_named() -> None:
    swarm = Swarm()
    first = swarm.answer("10.0.0.2", f"{ANNOUNCE}&event=started")
    assert b"5:peers0:" in first
    assert b"5:peers6:" + compact([("10.0.0.2", 6881)]) in swarm.answer(
        "10.0.0.3", ANNOUNCE.replace("left=5", "left=0")
    )
    again = swarm.answer("10.0.0.2", ANNOUNCE)
    assert b"5:peers6:" + compact([("10.0.0.3", 6881)]) in again
    assert b"8:completei1e10:incompletei1e" in again
    swarm.answer("10.0.0.3", f"{ANNOUNCE}&event=stopped")
    assert b"5:peers0:" in swarm.answer("10.0.0.2", ANNOUNCE)


def test_it_is_served() -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with tracking(Swarm([("10.0.0.2", 1)])) as url:
        assert url.endswith("/announce")
        with opener.open(f"{url}?{ANNOUNCE}", timeout=5) as answer:
            assert answer.read().endswith(b"5:peers6:\n\0\0\2\0\1e")


@pytest.mark.parametrize(
    ("bitfield", "whole"), [(b"\xff\xe0", True), (b"\xff\xc0", False)], ids=["all", "not the last one"]
)
def test_whether_a_peer_has_all(bitfield: bytes, whole: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def peer() -> None:
            connection, _ = server.accept()
            with connection:
                handshake = connection.recv(68, socket.MSG_WAITALL)
                extended = b"\0\0\0\2\x14\0"
                connection.sendall(handshake + extended + (1 + len(bitfield)).to_bytes(4) + b"\5" + bitfield)

        thread = threading.Thread(target=peer)
        thread.start()
        assert has_all("127.0.0.1", server.getsockname()[1], b"de", 11) is whole
        thread.join()
