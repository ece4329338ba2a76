"""How peers are reached: over IPv6, and through a proxy alone where one is named."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from tests.engine.dht import asked_for, dht_node
from tests.engine.runs import LIMIT_S, content_of, failed, fetch
from tests.engine.swarm import _QUIET, ALONE, CONTENT, SIZE, awaited, made_torrent
from tests.servers.exchange import generated
from tests.servers.loopback import LoopbackServer
from tests.servers.programs import need
from thunderdl import Client, Options
from thunderdl.errors import UsageError
from thunderdl.model import Result
from thunderdl.reach import parse_peer
from thunderdl.sources.swarm import settings
from thunderdl.sources.swarm.host import Host, SwarmFault, free_listen
from thunderdl.sources.swarm.member import Member
from thunderdl.sources.swarm.settings import SwarmSettings, settings_pack
from thunderdl.sources.swarm.torrent import load

PROXY_HOST = "127.0.0.9"
NAMED = (("hidden", 1000), ("open", 2000))


@pytest.fixture
def ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return
    except OSError:
        pytest.skip("needs IPv6 on loopback")


@pytest.fixture
def torrent(tmp_path: Path) -> Path:
    (tmp_path / "t.torrent").write_bytes(made_torrent(tmp_path / "seed"))
    return tmp_path / "t.torrent"


class Seen:
    """A seed that knows who has come."""

    def __init__(self, torrent: Path, listen: str) -> None:
        self.session = lt.session(
            {**_QUIET, "listen_interfaces": listen, "alert_mask": lt.alert.category_t.peer_notification}
        )
        params = lt.load_torrent_buffer(torrent.read_bytes())
        params.save_path, params.flags = str(torrent.parent / "seed"), lt.torrent_flags.seed_mode
        self.handle = self.session.add_torrent(params)
        awaited(lambda: self.session.listen_port() != 0)
        self._came = set[str]()

    @property
    def port(self) -> int:
        return int(self.session.listen_port())

    def came_from(self) -> set[str]:
        """The addresses of all that have connected."""
        alerts = self.session.pop_alerts()
        self._came |= {alert.endpoint[0] for alert in alerts if isinstance(alert, lt.incoming_connection_alert)}
        return self._came


@contextmanager
def seed(torrent: Path, listen: str = "127.0.0.1:0") -> Iterator[Seen]:
    running = Seen(torrent, listen)
    try:
        yield running
    finally:
        running.session.pause()


def reach(torrent: Path, folder: Path, peer: tuple[str, int], **changes: Any) -> Result:
    """Download it from this peer."""
    return fetch(str(torrent), folder, **{**ALONE, "peers": (peer,), **changes})


# -- IPv6


@pytest.mark.usefixtures("ipv6")
def test_a_peer_at_an_ipv6_address(tmp_path: Path, torrent: Path) -> None:
    with seed(torrent, "[::1]:0") as peer:
        named = parse_peer(f"[::1]:{peer.port}")
        result = reach(torrent, tmp_path / "out", named)
        assert peer.came_from() == {"::1"}
    assert content_of(result) == CONTENT


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_peers_come_over_both(tmp_path: Path, torrent: Path, host: str) -> None:
    async def run() -> None:
        giving = Options(**{**ALONE, "dir": str(torrent.parent / "seed")})
        async with asyncio.timeout(LIMIT_S), Client(giving) as giver:
            seeding = await giver.seed(str(torrent))
            taking = Options(**{**ALONE, "dir": str(tmp_path / "out"), "peers": ((host, seeding.port),)})
            async with Client(taking) as taker:
                assert (await taker.add(str(torrent))).bytes == SIZE
            await seeding.stop()

    asyncio.run(run())


@pytest.mark.usefixtures("ipv6")
def test_a_port_that_is_taken_on_ipv6_alone() -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="--port"):
            free_listen(port)


# -- a proxy


@pytest.fixture
def socks() -> Iterator[int]:
    """microsocks at a port; what it connects to sees it come from :data:`PROXY_HOST`."""
    program = need("microsocks")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    command = [program, "-i", "127.0.0.1", "-p", str(port), "-b", PROXY_HOST]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + LIMIT_S
            while True:
                assert time.monotonic() < until, "microsocks does not answer"
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.01)
            yield port
        finally:
            process.terminate()


def test_peers_are_reached_through_a_socks_proxy(tmp_path: Path, torrent: Path, socks: int) -> None:
    with seed(torrent) as peer:
        result = reach(torrent, tmp_path / "out", ("127.0.0.1", peer.port), proxy=f"socks5://127.0.0.1:{socks}")
        assert peer.came_from() == {PROXY_HOST}
    assert content_of(result) == CONTENT


def test_mirror_and_peers_through_one_proxy(tmp_path: Path, torrent: Path, socks: int) -> None:
    with seed(torrent) as peer, LoopbackServer({"/f": generated(SIZE, seed=1)}) as mirror:
        result = reach(
            torrent,
            tmp_path / "out",
            ("127.0.0.1", peer.port),
            mirrors=(mirror.url("/f"),),
            proxy=f"socks5://127.0.0.1:{socks}",
        )
        assert peer.came_from() <= {PROXY_HOST}
    assert content_of(result) == CONTENT


@pytest.mark.parametrize("scheme", ["socks5", "socks4", "http"])
def test_nothing_goes_around_a_proxy_that_is_down(tmp_path: Path, torrent: Path, scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    with seed(torrent) as peer:
        result = reach(
            torrent,
            tmp_path / "out",
            ("127.0.0.1", peer.port),
            proxy=f"{scheme}://127.0.0.1:{port}",
            timeout=1.0,
            lsd=True,
        )
        assert peer.came_from() == set()
    failed(result, SwarmFault, 4)


def test_nobody_is_looked_for_on_the_local_network_where_a_proxy_is_named() -> None:
    """Its multicast would tell the network what no proxy is to hide; and it cannot go through one."""
    chosen: dict[str, Any] = {"listen": "127.0.0.1:0", "user_agent": "t", "lsd": True, "upnp": True}
    assert settings_pack(SwarmSettings(**chosen))["enable_lsd"] is True
    pack = settings_pack(SwarmSettings(**chosen, proxy="socks5://127.0.0.1:1"))
    assert (pack["enable_lsd"], pack["enable_upnp"], pack["enable_natpmp"]) == (False, False, False)


@pytest.mark.parametrize("scheme", ["socks5", "socks4", "http"])
def test_the_dht_is_not_asked_around_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    hidden, open_ = (load(made_torrent(tmp_path / name, content=CONTENT[:size]), "t") for name, size in NAMED)
    with dht_node() as (node, port):
        monkeypatch.setattr(settings, "DHT_NODES", (f"127.0.0.1:{port}",))
        heard = set[str]()

        async def run() -> None:
            # The hidden one first: when the other has been asked for, it would have been, too.
            hosts = [Host(SwarmSettings(listen="127.0.0.1:0", user_agent="t", proxy=f"{scheme}://127.0.0.1:1"))]
            await Member(hosts[0], hidden).start(str(tmp_path), {0: "h"}, have=[False], assigned=None)
            await asyncio.sleep(0.3)
            hosts.append(Host(SwarmSettings(listen="127.0.0.1:0", user_agent="t")))
            await Member(hosts[1], open_).start(str(tmp_path), {0: "o"}, have=[False], assigned=None)
            async with asyncio.timeout(LIMIT_S):
                while open_.info_hash_v1 not in heard:
                    heard.update(asked_for(node))
                    await asyncio.sleep(0.05)
            for host in hosts:
                await host.close()

        asyncio.run(run())
        heard |= asked_for(node)
    assert hidden.info_hash_v1 not in heard


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:1", "socks5://", "nonsense"])
def test_what_is_no_proxy_is_refused(tmp_path: Path, torrent: Path, proxy: str) -> None:
    failed(reach(torrent, tmp_path / "out", ("127.0.0.1", 1), proxy=proxy), UsageError, 2, "--proxy")


def test_a_login_is_handed_on_as_it_is_meant() -> None:
    pack = settings_pack(SwarmSettings(listen="", user_agent="t", proxy="socks5h://me%40home:p%3Aw@127.0.0.1"))
    login = (pack["proxy_type"], pack["proxy_username"], pack["proxy_password"], pack["proxy_port"])
    assert login == (lt.proxy_type_t.socks5_pw, "me@home", "p:w", 1080)
