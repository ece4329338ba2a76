"""Seeds of ours, and plain libtorrent sessions and other programs that download from them; all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import libtorrent as lt
import pytest

from tests.servers.leecher import Leecher, leecher
from tests.servers.programs import need
from tests.stopwatch import Stopwatch
from thunderdl.client import Client
from thunderdl.engine import sharing_back
from thunderdl.engine.creating import create_torrent
from thunderdl.engine.seeding import Seeding
from thunderdl.errors import BadContent, StorageError, UsageError
from thunderdl.options import Encryption, Options

CONTENT = random.Random(11).randbytes(2_500_000)
LIMIT_S = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_back, "LOOK_S", 0.02)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "f.bin").write_bytes(CONTENT)
    return folder


T = TypeVar("T")


def run(script: Callable[[Client], Awaitable[T]], **more: Any) -> T:
    async def inside() -> T:
        settled: dict[str, Any] = {"dht": False, "lsd": False, "utp": False, "port": free_port()} | more
        async with asyncio.timeout(LIMIT_S), Client(Options(**settled)) as client:
            return await script(client)

    return asyncio.run(inside())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def metainfo_of(path: str) -> bytes:
    return Path(path).read_bytes()


async def leeched(other: Leecher, source: bytes | str, seeding: Seeding) -> lt.torrent_status:
    handle = other.add(source, ("127.0.0.1", seeding.port))
    return await asyncio.to_thread(other.finish, handle)


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
def test_a_peer_downloads_what_is_seeded(source: Path, tmp_path: Path, version: str) -> None:
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"), version=version)

    async def script(client: Client) -> str:
        seeding = await client.seed(made.path, dir=str(source), ratio=1.0)
        with leecher(tmp_path) as other:
            await leeched(other, metainfo_of(made.path), seeding)
            why = await seeding.outcome()
        assert seeding.progress().ratio >= 1.0
        await seeding.stop()
        return why

    assert run(script) == "ratio"
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_a_plain_file_has_a_link_that_is_enough(source: Path, tmp_path: Path) -> None:
    async def script(client: Client) -> str:
        seeding = await client.seed(str(source / "f.bin"))
        with leecher(tmp_path) as other:
            await leeched(other, seeding.magnet, seeding)
        return seeding.magnet

    magnet = run(script)
    root = magnet.rpartition("dn=")[2]
    assert (tmp_path / root).read_bytes() == CONTENT


def test_a_folder_under_another_name(source: Path, tmp_path: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub" / "g.bin").write_bytes(CONTENT[:100_000])
    made = create_torrent(str(source), str(tmp_path / "t.torrent"), piece_length=65536)
    moved = source.rename(tmp_path / "moved")

    async def script(client: Client) -> None:
        seeding = await client.seed(str(moved), torrent=made.path)
        with leecher(tmp_path) as other:
            await leeched(other, metainfo_of(made.path), seeding)

    run(script)
    assert (tmp_path / "source" / "f.bin").read_bytes() == CONTENT
    assert (tmp_path / "source" / "sub" / "g.bin").read_bytes() == CONTENT[:100_000]


def test_the_time_is_over(source: Path) -> None:
    async def script(client: Client) -> tuple[str, float, float]:
        seeding = await client.seed(str(source / "f.bin"), seed_time=0.2)
        watch = Stopwatch()
        return await seeding.outcome(), watch.wall_s, watch.took_s

    why, wall_s, took_s = run(script)
    assert why == "time"
    assert wall_s > 0.1
    assert took_s < 1.0


def test_the_limit_holds_on_the_local_network_too(source: Path, tmp_path: Path) -> None:
    """libtorrent by itself limits nobody there."""

    async def script(client: Client) -> tuple[float, float]:
        seeding = await client.seed(str(source / "f.bin"))
        with leecher(tmp_path) as other:
            watch = Stopwatch()
            await leeched(other, seeding.magnet, seeding)
            return watch.wall_s, watch.took_s

    wall_s, took_s = run(script, upload_limit=1_250_000)
    # A second's worth may come at once.
    assert wall_s > 0.9
    assert took_s < 6


@pytest.mark.parametrize("single", [True, False])
def test_data_that_does_not_match(source: Path, tmp_path: Path, single: bool) -> None:
    (source / "z.bin").write_bytes(CONTENT[:50_000])
    made = create_torrent(
        str(source / "f.bin" if single else source), str(tmp_path / "t.torrent"), piece_length=65536, version="v1"
    )
    with (source / "f.bin").open("r+b") as stream:
        for at in (3 * 65536 + 5, 9 * 65536):
            stream.seek(at)
            stream.write(b"\0\0\0\0")
    where = str(source if single else tmp_path)
    with pytest.raises(BadContent) as caught:
        run(lambda client: client.seed(made.path, dir=where))
    assert str(caught.value) == (
        f"{source / 'f.bin'}, piece 3 of {made.pieces}: expected what the torrent names, found other bytes "
        "(and 1 more pieces are wrong)."
    )
    assert sorted(path.name for path in source.iterdir()) == ["f.bin", "z.bin"]


def test_data_of_another_length_or_none(source: Path, tmp_path: Path) -> None:
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"))
    with pytest.raises(StorageError, match=r"cannot be found here \(no such file or directory\); give the folder"):
        run(lambda client: client.seed(made.path, dir=str(tmp_path)))
    (source / "f.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(BadContent, match="expected 2500000 bytes as the torrent says, found 2499999 bytes"):
        run(lambda client: client.seed(made.path, dir=str(source)))
    assert not (tmp_path / "f.bin").exists()


def test_data_that_may_not_be_read(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match=r"f\.bin: cannot be read: permission denied; check its permissions\.$"):
        run(lambda client: client.seed(made.path, dir=str(source)))


def test_a_port_that_is_taken(source: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is in use or not allowed; choose another with --port"):
            run(lambda client: client.seed(str(source / "f.bin")), port=port)


@pytest.mark.parametrize("private", [True, False])
def test_a_private_torrent_is_found_by_its_trackers_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"), private=private)
    flags = lt.torrent_flags
    found: list[int] = []
    add = lt.session.add_torrent

    def seen(session: lt.session, params: lt.add_torrent_params) -> lt.torrent_handle:
        found.append(params.flags)
        return add(session, params)

    monkeypatch.setattr(lt.session, "add_torrent", seen)
    run(lambda client: client.seed(made.path, dir=str(source)))
    for flag in (flags.disable_dht, flags.disable_lsd, flags.disable_pex):
        # The first is the check, of which nobody is to hear.
        assert [bool(each & flag) for each in found] == [True, private]


def test_no_pex_is_said_of_each_torrent(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    add = lt.session.add_torrent

    def seen(session: lt.session, params: lt.add_torrent_params) -> lt.torrent_handle:
        found.append(params.flags)
        return add(session, params)

    monkeypatch.setattr(lt.session, "add_torrent", seen)
    for pex in (True, False):
        run(lambda client: client.seed(str(source / "f.bin")), pex=pex)
    assert [bool(each & lt.torrent_flags.disable_pex) for each in found] == [False, True]


def test_aria2_downloads_from_a_seed(source: Path, tmp_path: Path) -> None:
    program = need("aria2c")
    # aria2 1.36 takes another hash of a hybrid one's info: it does not know v2.
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"), version="v1")

    async def script(client: Client) -> None:
        # aria2 is given no peers: we go to it.
        port = free_port()
        command = [
            program, "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
            f"--listen-port={port}", "--no-conf", "-d", str(tmp_path / "got"), made.path,
        ]  # fmt: skip
        with _program(command) as process:
            await _listening(port)
            await client.seed(made.path, dir=str(source), peers=(("127.0.0.1", port),))
            assert await asyncio.to_thread(process.wait, 20) == 0

    run(script)
    assert (tmp_path / "got" / "f.bin").read_bytes() == CONTENT


def test_transmission_that_requires_encryption_downloads_from_a_seed(source: Path, tmp_path: Path) -> None:
    program = need("transmission-daemon")
    made = create_torrent(str(source / "f.bin"), str(tmp_path / "t.torrent"), version="v1")
    for name in ("watch", "got"):
        (tmp_path / name).mkdir()

    remote = need("transmission-remote")

    async def script(client: Client) -> None:
        port, asked = free_port(), free_port()
        command = [
            program, "-f", "-g", str(tmp_path / "config"), "-w", str(tmp_path / "got"), "-c", str(tmp_path / "watch"),
            "-P", str(port), "-p", str(asked), "-O", "--no-utp", "--no-portmap", "-er",
            "-i", "127.0.0.1",
        ]  # fmt: skip
        with _program(command):
            # Not by a look at its port: it takes one handshake of an address at a time.
            os.link(made.path, tmp_path / "watch" / "t.torrent")
            # Who comes before it has begun is sent away for a minute.
            await until(lambda: "Idle" in told_by(remote, str(asked), "-l"))
            await client.seed(made.path, dir=str(source), peers=(("127.0.0.1", port),))
            # It looks every ten seconds whom it wants something from.
            got = tmp_path / "got" / "f.bin"
            await until(lambda: got.exists() and got.read_bytes() == CONTENT)

    run(script, encryption=Encryption.REQUIRE)


@contextlib.contextmanager
def _program(command: list[str]) -> Any:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


async def _listening(port: int) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        await asyncio.sleep(0.05)


def told_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


async def until(claim: Callable[[], bool]) -> None:
    """Of what another program does nobody tells us."""
    while not claim():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
