"""What is said of a file that came from peers, too."""

from __future__ import annotations

from thunderdl.cli.sentences import outcome
from thunderdl.model import Result, SourceKind, SourceProgress, Status

MIB = 1 << 20


def result(*, mirrors: int, peers: int, resumed: int = 0) -> Result:
    sources = (
        SourceProgress(url="http://one/f", bytes=mirrors),
        SourceProgress(url="peers", kind=SourceKind.PEERS, bytes=peers),
    )
    size = mirrors + peers + resumed
    return Result(
        url="f.torrent",
        path="f",
        bytes=size,
        seconds=2.0,
        status=Status.COMPLETE,
        resumed_bytes=resumed,
        sources=sources,
    )


def test_what_each_side_brought_is_told() -> None:
    assert "30.0 MiB from peers, 10.0 MiB from mirrors" in outcome(result(mirrors=10 * MIB, peers=30 * MIB))


def test_what_was_there_is_counted_to_neither() -> None:
    told = outcome(result(mirrors=10 * MIB, peers=30 * MIB, resumed=60 * MIB))
    assert "30.0 MiB from peers, 10.0 MiB from mirrors, 60.0 MiB were there" in told


def test_peers_alone() -> None:
    told = outcome(result(mirrors=0, peers=MIB))
    assert ", from peers" in told
    assert "mirrors" not in told


def test_of_mirrors_alone_nothing_is_said() -> None:
    assert "mirrors" not in outcome(result(mirrors=MIB, peers=0))
