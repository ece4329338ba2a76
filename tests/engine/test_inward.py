"""URLs that a torrent, a metalink or a server names lead from the internet to no inward address (bad-inputs B4, C9).

In these tests 127.0.0.1 is the internet, and 127.0.0.2 the inside.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import content_of, failed, fetch
from tests.servers import misbehave as m
from tests.servers.exchange import Resource, generated
from tests.servers.loopback import LoopbackServer
from tests.servers.torrents import content, metainfo, write_tree
from thunderdl.core import inward
from thunderdl.engine import opening
from thunderdl.engine.session import Session
from thunderdl.errors import RedirectRefused
from thunderdl.model import Result, Status
from thunderdl.options import Exists
from thunderdl.sources.http import connect, dialing
from thunderdl.sources.http.connect import Wire
from thunderdl.sources.http.wire import Address, Endpoint
from thunderdl.sources.swarm.settings import SwarmSettings, settings_pack

HELD = content(700_000)
ALONE: dict[str, Any] = {"dht": False, "lsd": False, "utp": False, "timeout": 1.0}


def is_inside(address: str) -> bool:
    return address == "127.0.0.2"


@pytest.fixture(autouse=True)
def two_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dialing, opening, connect, inward):
        monkeypatch.setattr(module, "is_inward", is_inside)


@pytest.fixture
def inner() -> Iterator[LoopbackServer]:
    with LoopbackServer({"/f.bin": Resource(body=HELD)}, address="127.0.0.2") as server:
        yield server


Told = Callable[..., Result]


@pytest.fixture
def told(tmp_path: Path, server: LoopbackServer) -> Told:
    """Download what a torrent names, that comes from the internet, whose web seed is ``url``; or from a file."""

    def fetched(url: str, *, by_file: bool = False, **changes: Any) -> Result:
        (tmp_path / "origin").mkdir(exist_ok=True)
        (tmp_path / "origin" / "f.bin").write_bytes(HELD)
        made = metainfo(tmp_path / "origin" / "f.bin", url_list=[url.encode()])
        (tmp_path / "f.torrent").write_bytes(made)
        server.resources["/f.torrent"] = Resource(body=made)
        named = str(tmp_path / "f.torrent") if by_file else server.url("/f.torrent")
        return fetch(named, tmp_path / "target", **{**ALONE, **changes})

    return fetched


def test_a_torrent_of_the_internet_names_no_inward_web_seed(told: Told, inner: LoopbackServer) -> None:
    result = told(inner.url("/f.bin"))
    assert result.status is Status.FAILED
    assert inner.connections == 0


def test_what_the_user_names_may_lie_anywhere(told: Told, inner: LoopbackServer) -> None:
    result = told(inner.url("/f.bin"), mirrors=[inner.url("/f.bin")])
    assert content_of(result) == HELD


def test_a_torrent_file_may_name_servers_of_the_own_network_but_gives_no_orders(
    told: Told, inner: LoopbackServer
) -> None:
    assert content_of(told(inner.url("/f.bin"), by_file=True)) == HELD
    connections = inner.connections
    assert told(inner.url("/f.bin?delete=all"), by_file=True, exists=Exists.RENAME).status is Status.FAILED
    assert inner.connections == connections


@pytest.mark.parametrize("by_file", [False, True])
def test_no_redirect_leads_inward(told: Told, server: LoopbackServer, inner: LoopbackServer, *, by_file: bool) -> None:
    server.resources["/moved"] = Resource(body=b"", behaviour=m.redirect(inner.url("/f.bin")))
    server.resources["/twice"] = Resource(body=b"", behaviour=m.redirect("/moved"))
    assert told(server.url("/twice"), by_file=by_file).status is Status.FAILED
    assert [request.path for request in server.requests if request.path != "/f.torrent"] == ["/twice", "/moved"]
    assert inner.connections == 0


def test_a_redirect_from_inside_may_stay_inside(told: Told, server: LoopbackServer, inner: LoopbackServer) -> None:
    inner.resources["/moved"] = Resource(body=b"", behaviour=m.redirect("/f.bin"))
    assert content_of(told(inner.url("/moved"), by_file=True)) == HELD


def test_but_not_by_way_of_the_internet(told: Told, server: LoopbackServer, inner: LoopbackServer) -> None:
    inner.resources["/moved"] = Resource(body=b"", behaviour=m.redirect(server.url("/back")))
    server.resources["/back"] = Resource(body=b"", behaviour=m.redirect(inner.url("/f.bin")))
    assert told(inner.url("/moved"), by_file=True).status is Status.FAILED
    assert [request.path for request in inner.requests] == ["/moved"]


def test_redirects_of_the_internet_are_followed_with_nothing_of_the_user(told: Told, server: LoopbackServer) -> None:
    server.resources["/x/f.bin"] = Resource(body=HELD)
    server.resources["/moved"] = Resource(body=b"", behaviour=m.redirect("x/f.bin"))
    result = told(
        server.url("/moved"), by_file=True, headers=(("X-Key", "s3cret"),), httpx_settings={"headers": {"X-Own": "1"}}
    )
    assert content_of(result) == HELD
    assert not any(request.header("X-Own") or request.header("X-Key") for request in server.requests)


def test_a_name_that_means_another_address_by_the_time_of_connecting(
    told: Told, inner: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is harmless, every later one leads inside."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def rebinding(host: str, *rest: Any, **more: Any) -> Any:
        if host != "rebound.example":
            return look_up(host, *rest, **more)
        asked.append(host)
        return look_up("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert socket.getaddrinfo("rebound.example", 80)[0][4][0] == "127.0.0.1"
    assert told(f"http://rebound.example:{inner.port}/f.bin").status is Status.FAILED
    assert len(asked) > 1
    assert inner.connections == 0


def test_the_sentence_says_what_to_do(inner: LoopbackServer, server: LoopbackServer, tmp_path: Path) -> None:
    """A metalink of the internet that names nothing else."""
    digest = hashlib.sha256(HELD).hexdigest()
    server.resources["/f.meta4"] = Resource(
        body=f"""<?xml version="1.0" encoding="UTF-8"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">
        <file name="f.bin"><size>{len(HELD)}</size><hash type="sha-256">{digest}</hash>
        <url>{inner.url("/f.bin")}</url></file></metalink>""".encode()
    )
    result = fetch(server.url("/f.meta4"), tmp_path)
    failed(result, RedirectRefused, 6, "leads into this machine or its network", "-m")
    assert inner.connections == 0


@pytest.mark.parametrize(("by_file", "is_asked"), [(False, False), (True, True)])
def test_web_seeds_that_libtorrent_asks(
    tmp_path: Path, server: LoopbackServer, inner: LoopbackServer, *, by_file: bool, is_asked: bool
) -> None:
    """Those of a folder."""
    inner.resources = {"/Set/f.bin": Resource(body=HELD), "/Set/g": Resource(body=b"g")}
    write_tree(tmp_path / "origin", {"Set/f.bin": HELD, "Set/g": b"g"})
    made = metainfo(tmp_path / "origin" / "Set", url_list=[inner.url("/").encode()])
    (tmp_path / "set.torrent").write_bytes(made)
    server.resources["/set.torrent"] = Resource(body=made)
    named = str(tmp_path / "set.torrent") if by_file else server.url("/set.torrent")
    result = fetch(named, tmp_path / "target", **ALONE)
    assert (result.status is Status.COMPLETE) == is_asked
    assert bool(inner.connections) == is_asked
    assert any("leads into this machine" in note for note in result.notes) != is_asked


def test_libtorrent_lets_no_redirect_lead_inward_either() -> None:
    pack = settings_pack(SwarmSettings(listen="127.0.0.1:0", user_agent="x"))
    assert pack["ssrf_mitigation"] is True
    assert pack["validate_https_trackers"] is True


@pytest.mark.parametrize("host", ["127.0.0.2", "0x7f.2", "2130706434", "localhost", "x.localhost."])
def test_a_proxy_is_not_asked_for_inward_hosts(host: str, server: LoopbackServer) -> None:
    endpoint = Endpoint("http", host, 80, proxy=server.url(""), outside=True)
    with pytest.raises(RedirectRefused, match="leads into"):
        connect.connect(endpoint, connect.TlsSettings(), 1.0)
    assert server.connections == 0


def test_nor_does_what_lies_beside_a_metalinks_mirror_lead_inward(
    inner: LoopbackServer, server: LoopbackServer, tmp_path: Path
) -> None:
    server.resources |= {
        "/f.meta4": Resource(
            body=f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="f.bin">
            <url>{server.url("/big.bin")}</url></file></metalink>""".encode()
        ),
        "/big.bin": generated(4_000_000, seed=1),
        "/big.bin.sha256": Resource(body=b"", behaviour=m.redirect(inner.url("/order"))),
    }
    assert fetch(server.url("/f.meta4"), tmp_path, checksum_files=True).status is Status.COMPLETE
    assert any(request.path == "/big.bin.sha256" for request in server.requests)
    assert inner.connections == 0


def test_a_coded_body_is_asked_for_again_on_the_internet_alone(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the name may stand for another address."""
    again, connect_to = list[Endpoint](), Session._connect

    async def told(self: Session, address: Address) -> Wire:
        again.append(address.endpoint)
        return await connect_to(self, address)

    monkeypatch.setattr(Session, "_connect", told)
    server.resources |= {
        "/f.meta4": Resource(
            body=f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="f.bin">
            <url>{server.url("/f.bin")}</url></file></metalink>""".encode()
        ),
        "/f.bin": Resource(body=HELD, behaviour=m.gzip_coded),
    }
    assert content_of(fetch(server.url("/f.meta4"), tmp_path)) == HELD
    assert [endpoint.outside for endpoint in again] == [True]
    assert content_of(fetch(server.url("/f.bin"), tmp_path / "own")) == HELD
    assert [endpoint.outside for endpoint in again] == [True, False]
