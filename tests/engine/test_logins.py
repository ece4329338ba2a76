"""Users, passwords and tokens: asked for, answered by the strongest way, and given to nobody else (C1 to C4)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import all_say, content_of, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.fake_ftp import FakeFtp
from tests.servers.logins import Digest
from tests.servers.loopback import LoopbackServer, Resource, generated
from tests.servers.proxy import ProxyServer
from thunderdl.engine.candidates import Candidates
from thunderdl.engine.keeping import token_variable
from thunderdl.engine.session import Session
from thunderdl.errors import AccessDenied, UsageError
from thunderdl.options import Options
from thunderdl.sources.http.wire import parse_url

BASIC = "Basic " + base64.b64encode(b"user:secret").decode()
SIZE = 8 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
# Slow enough for several lanes.
RATE = 3 * SIZE
ME: dict[str, Any] = {"user": "user", "password": "secret"}


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
def test_digest(tmp_path: Path, server: LoopbackServer, algorithm: str) -> None:
    asks = Digest("user", "secret", algorithm=algorithm)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=asks)
    assert content_of(fetch(server.url("/f"), tmp_path, task_limit=RATE, **ME)) == CONTENT
    [counts] = asks.counts.values()
    assert sorted(counts) == list(range(1, len(counts) + 1))
    assert len(counts) > 1
    assert algorithm.endswith("sess") or len(asks.cnonces) == len(counts)
    # The first request alone came without a login.
    assert len([r for r in server.requests if r.header("Authorization") is None]) == 1


def test_a_nonce_that_becomes_stale_midway_is_no_failure(tmp_path: Path, server: LoopbackServer) -> None:
    asks = Digest("user", "secret", uses=2)
    server.resources["/f"] = generated(SIZE, seed=1, behaviour=asks)
    result = fetch(server.url("/f"), tmp_path, task_limit=RATE, **ME)
    assert content_of(result) == CONTENT
    assert len(asks.counts) > 1


def test_the_strongest_way_is_taken(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=Digest("user", "secret", also='Basic realm="here"'))
    assert content_of(fetch(server.url("/f"), tmp_path, **ME)) == b"x"
    assert not any((r.header("Authorization") or "").startswith("Basic") for r in server.requests)


def test_basic_where_nothing_better_is_asked_for(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=bytes(300_000), behaviour=m.needs_basic("user", "secret"))
    assert content_of(fetch(server.url("/f"), tmp_path, **ME)) == bytes(300_000)
    assert server.requests[0].header("Authorization") is None
    assert server.requests[1].header("Authorization") == BASIC


def test_a_second_file_of_the_same_server_is_asked_for_with_the_login(tmp_path: Path, server: LoopbackServer) -> None:
    import asyncio

    from thunderdl.client import Client

    asks = Digest("user", "secret")
    for path in ("/f", "/g"):
        server.resources[path] = Resource(body=b"x", behaviour=asks)

    async def both() -> None:
        async with Client(Options(dir=str(tmp_path), **ME)) as client:
            await client.add(server.url("/f"))
            await client.add(server.url("/g"))

    asyncio.run(both())
    assert len(server.requests) == 3


@pytest.mark.parametrize("asks", [Digest("user", "other"), m.needs_basic("user", "other"), m.status(401)])
def test_a_wrong_password(tmp_path: Path, server: LoopbackServer, asks: Any) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=asks)
    result = fetch(server.url("/f"), tmp_path, **ME)
    failed(result, AccessDenied, 5, "401")
    assert "secret" not in str(result.error)
    assert len(server.requests) <= 3
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["Digest", 'Digest nonce="', "Negotiate", 'Bearer realm="x"', "\x00", ",,,", "Basic" * 9999]
)
def test_questions_that_nobody_can_answer(tmp_path: Path, server: LoopbackServer, text: str) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=m.status(401, ("WWW-Authenticate", text)))
    result = fetch(server.url("/f"), tmp_path, **ME)
    assert result.error is not None
    assert len(server.requests) <= 3


def test_a_user_with_a_password_of_a_url_answers_digest_too(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=Digest("user", "s@cret"))
    assert content_of(fetch(server.url("/f").replace("//", "//user:s%40cret@"), tmp_path)) == b"x"


def test_netrc_answers_digest_too(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login user password secret")
    server.resources["/f"] = Resource(body=b"x", behaviour=Digest("user", "secret"))
    assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"


def test_digest_by_a_proxy(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x", behaviour=Digest("user", "secret"))
    with ProxyServer() as proxy:
        assert content_of(fetch(server.url("/f"), tmp_path, proxy=proxy.url, **ME)) == b"x"


def test_over_https_the_password_goes_with_the_first_request(tmp_path: Path, certificates: Certificates) -> None:
    with LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.good().server_context()) as server:
        assert content_of(fetch(server.url("/f"), tmp_path, ca=str(certificates.ca_file), **ME)) == b"x"
        assert all_say(server, "Authorization", BASIC)


def test_a_password_file(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "password").write_text("secret\nmore\n")
    server.resources["/f"] = Resource(body=b"x", behaviour=m.needs_basic("user", "secret"))
    result = fetch(server.url("/f"), tmp_path / "a", user="user", password_file=str(tmp_path / "password"))
    assert content_of(result) == b"x"
    (tmp_path / "password").write_text("sec\x00ret\n")
    for bad in (tmp_path / "password", tmp_path / "absent", tmp_path):
        failed(fetch(server.url("/f"), tmp_path / "b", user="user", password_file=str(bad)), UsageError, 2, str(bad))


# Where they go.


@pytest.mark.parametrize("where", ["host", "port", "scheme"])
@pytest.mark.parametrize("given", [ME, {"token": "secret"}], ids=["user", "token"])
def test_what_is_for_one_origin_goes_to_no_other(
    tmp_path: Path, server: LoopbackServer, certificates: Certificates, where: str, given: dict[str, Any]
) -> None:
    tls = certificates.good().server_context() if where == "scheme" else None
    with LoopbackServer(
        {"/f": Resource(body=b"x", behaviour=m.status(401, ("WWW-Authenticate", "Basic")))}, tls=tls
    ) as other:
        target = other.url("/f").replace("127.0.0.1", "localhost") if where == "host" else other.url("/f")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(target))
        failed(fetch(server.url("/f"), tmp_path, ca=str(certificates.ca_file), **given), AccessDenied, 5)
        assert all_say(other, "Authorization", None)


@pytest.mark.parametrize("given", [ME, {"token": "secret"}], ids=["user", "token"])
def test_a_mirror_gets_neither_password_nor_token(
    tmp_path: Path, server: LoopbackServer, given: dict[str, Any]
) -> None:
    size = 4 * 1024 * 1024
    server.resources["/f"] = generated(size, seed=1)
    asks = m.when(lambda request: request.number == 1, m.status(401, ("WWW-Authenticate", "Basic")))
    with LoopbackServer({"/f": generated(size, seed=1, behaviour=asks)}) as mirror:
        result = fetch(server.url("/f"), tmp_path, mirrors=[mirror.url("/f")], task_limit=3 * size, **given)
        assert result.error is None
        assert all_say(mirror, "Authorization", None)


def test_a_token(tmp_path: Path, server: LoopbackServer, content: bytes) -> None:
    server.resources["/f"] = Resource(body=content)
    assert content_of(fetch(server.url("/f"), tmp_path, token="t0ken")) == content
    assert all_say(server, "Authorization", "Bearer t0ken")


@pytest.mark.parametrize("variable", ["token", "host"])
def test_no_token_goes_where_everybody_can_read_along(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    from thunderdl.reach import parse_resolve

    if variable == "host":
        monkeypatch.setenv(f"THUNDERDL_TOKEN_FILES_EXAMPLE_{server.port}", "secret")
    server.resources["/f"] = Resource(body=b"x")
    url = server.url("/f").replace("127.0.0.1", "files.example")
    given: dict[str, Any] = {"token": "secret"} if variable == "token" else {}
    result = fetch(url, tmp_path, resolve=(parse_resolve("files.example:127.0.0.1"),), **given)
    assert content_of(result) == b"x"
    assert all_say(server, "Authorization", None)


def test_a_token_for_one_host(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found anew for each hop, mirrors and redirects included, and for that host alone."""
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        monkeypatch.setenv(f"THUNDERDL_TOKEN_127_0_0_1_{other.port}", "secret")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(other.url("/f")))
        assert content_of(fetch(server.url("/f"), tmp_path)) == b"x"
        assert all_say(server, "Authorization", None)
        assert all_say(other, "Authorization", "Bearer secret")


def test_no_two_hosts_have_one_variable() -> None:
    hosts = ("api.example.org", "api-example.org", "api.example-org", "a.pi.example.org", "api--example.org")
    variables = [token_variable(parse_url(f"https://{host}/").endpoint) for host in hosts]
    assert variables[0] == "THUNDERDL_TOKEN_API_EXAMPLE_ORG"
    assert len(set(variables)) == len(hosts)
    # An underscore in a host's name could stand for a dot.
    assert token_variable(parse_url("https://api_example.org/").endpoint) is None
    assert token_variable(parse_url("https://api.example.org:8443/").endpoint) == "THUNDERDL_TOKEN_API_EXAMPLE_ORG_8443"
    assert token_variable(parse_url("https://[::1]/").endpoint) is None


def test_the_users_own_header_wins(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    headers = (("authorization", "Own way"),)
    assert content_of(fetch(server.url("/f"), tmp_path, headers=headers, token="t", **ME)) == b"x"
    assert all_say(server, "Authorization", "Own way")


@pytest.mark.parametrize("name", ["password", "token", "cert_password"])
def test_a_secret_with_a_newline_is_refused(tmp_path: Path, name: str) -> None:
    given: dict[str, Any] = {name: "a\r\nX-Evil: 1"}
    with pytest.raises(UsageError, match=name):
        fetch("http://127.0.0.1:1/f", tmp_path, **given)


# netrc (C3, C4).


def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, mode: int = 0o600) -> None:
    file = tmp_path / "netrc"
    file.write_text(text + "\n")
    file.chmod(mode)
    monkeypatch.setenv("NETRC", str(file))


def test_a_login_of_netrc_that_is_no_utf8_goes_as_it_is(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_bytes(b"machine 127.0.0.1 login m\xfcller password s\xe9cret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    server.resources["/f"] = Resource(body=b"x")
    assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"
    assert all_say(server, "Authorization", "Basic " + base64.b64encode(b"m\xfcller:s\xe9cret").decode())
    with FakeFtp({"f": b"y"}) as ftp:
        ftp.replies |= {"USER": b"331 and the password?", "PASS": b"230 in"}
        assert content_of(fetch(ftp.url("f"), tmp_path / "b", netrc=True)) == b"y"
        assert ftp.commands[:2] == ["USER m\xfcller", "PASS s\xe9cret"]


def test_the_default_entry_is_for_those_that_the_user_named(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc(tmp_path, monkeypatch, "machine elsewhere.example login a password b\ndefault login user password secret")
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        away = other.url("/f").replace("127.0.0.1", "localhost")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(away))
        assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"
        assert all_say(server, "Authorization", BASIC)
        assert all_say(other, "Authorization", None)


def test_an_entry_without_a_password_borrows_none(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """curl CVE-2024-11053: the password of the first host went to the second, whose entry had none."""
    netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login user password secret\nmachine localhost login user")
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        away = other.url("/f").replace("127.0.0.1", "localhost")
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(away))
        assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"
        assert not any("c2VjcmV0" in (r.header("Authorization") or "") for r in other.requests)
        assert not any(r.header("Authorization") == BASIC for r in other.requests)


def test_another_port_after_a_redirect_gets_nothing_of_netrc(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login user password secret")
    with LoopbackServer({"/f": Resource(body=b"x")}) as other:
        server.resources["/f"] = Resource(body=b"", behaviour=m.redirect(other.url("/f")))
        assert content_of(fetch(server.url("/f"), tmp_path / "a", netrc=True)) == b"x"
        assert all_say(server, "Authorization", BASIC)
        assert all_say(other, "Authorization", None)


@pytest.mark.parametrize(
    "authority",
    [
        "elsewhere.example:x@127.0.0.1:{port}", "elsewhere.example;x@127.0.0.1:{port}", "127.0.0.1:{port}",
        "a%40elsewhere.example@127.0.0.1:{port}",
    ],
)  # fmt: skip
def test_an_odd_authority_has_one_host(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    """requests CVE-2024-47081: the look-up saw another host than the connection."""
    netrc(tmp_path, monkeypatch, "machine elsewhere.example login user password secret")
    server.resources["/f"] = Resource(body=b"x")
    url = f"http://{authority.format(port=server.port)}/f"
    assert content_of(fetch(url, tmp_path / "a", netrc=True)) == b"x"
    assert not any(r.header("Authorization") == BASIC for r in server.requests)


def test_a_user_of_the_url_and_a_password_of_netrc(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "machine 127.0.0.1 login other password wrong\nmachine 127.0.0.1 login user password secret"
    netrc(tmp_path, monkeypatch, text)
    server.resources["/f"] = Resource(body=b"x")
    fetch(server.url("/f").replace("//", "//user@"), tmp_path / "a", netrc=True)
    assert all_say(server, "Authorization", BASIC)
    server.requests.clear()
    fetch(server.url("/f").replace("//", "//nobody@"), tmp_path / "b", netrc=True)
    assert all_say(server, "Authorization", "Basic " + base64.b64encode(b"nobody:").decode())


def test_hosts_in_capitals_are_the_same(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc(tmp_path, monkeypatch, "machine LOCALHOST login user password secret")
    server.resources["/f"] = Resource(body=b"x")
    url = server.url("/f").replace("127.0.0.1", "LocalHost")
    assert content_of(fetch(url, tmp_path / "a", netrc=True)) == b"x"
    assert all_say(server, "Authorization", BASIC)


def test_a_netrc_that_others_can_read_is_used_and_told_of(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login user password secret", 0o640)
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(server.url("/f"), tmp_path / "a", netrc=True)
    assert content_of(result) == b"x"
    assert any("can be read by others" in note for note in result.notes)


def test_no_secret_is_ever_told(tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """T3: neither in errors, notes, progress nor in what is on the disk."""
    netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login user password topsecret")
    big = generated(4 * 1024 * 1024, seed=1, behaviour=m.after(2, m.status(403)))
    ways: tuple[dict[str, Any], ...] = ({"user": "u", "password": "topsecret"}, {"token": "topsecret"}, {"netrc": True})
    for given in ways:
        assert "topsecret" not in repr(Options(**given))
        server.resources["/f"] = big
        result = fetch(server.url("/f"), tmp_path / "a", task_limit=8 << 20, **given)
        shown = f"{result!r} {result.error} {result.error!r}"
        assert "topsecret" not in shown
        for file in (tmp_path / "a").iterdir():
            assert b"topsecret" not in file.read_bytes()


# -- the password was given for the first URL


@pytest.mark.parametrize("name", ["x.meta4", "x"])
def test_mirrors_beside_a_metalink_of_a_server_get_no_token_of_that_server(
    tmp_path: Path, server: LoopbackServer, name: str
) -> None:
    """Those that the user names, too: the first URL is the metalink's, by its name or by what it turns out to be."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    document = f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="f"><size>{SIZE}</size>
        <hash type="sha-256">{digest}</hash></file></metalink>"""
    server.resources[f"/{name}"] = Resource(
        body=document.encode(), headers=[("Content-Type", "application/metalink4+xml")]
    )
    with LoopbackServer({"/f": generated(SIZE, seed=1)}) as mirror:
        result = fetch(server.url(f"/{name}"), tmp_path, mirrors=[mirror.url("/f")], token="secret")
    assert content_of(result) == CONTENT
    assert all_say(server, "Authorization", "Bearer secret")
    assert all_say(mirror, "Authorization", None)


@pytest.mark.parametrize("scheme", ["http", "ftp", "sftp"])
def test_a_mirror_elsewhere_gets_no_password_in_any_protocol(scheme: str) -> None:
    urls = [f"{scheme}://one.example/f", f"{scheme}://two.example/f", f"{scheme}://one.example/g"]

    async def told() -> list[str | None]:
        session = Session(Options(), {})
        candidates = Candidates(session, urls, Options(user="user", password="secret"))
        await session.close()
        return [candidate.options.password for candidate in candidates.all]

    assert asyncio.run(told()) == ["secret", None, "secret"]


@pytest.mark.parametrize("url", ["file:{}/f", "data:,x"])
@pytest.mark.parametrize("name", ["netrc", "cookies", "password_file", "keyring"])
def test_where_nobody_asks_who_is_there_nothing_is_looked_up(tmp_path: Path, url: str, name: str) -> None:
    """Their endpoints have no host and no usual port: that was told as a bug."""
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "kept").write_text("# Netscape HTTP Cookie File\n")
    given: Any = {name: True if name in ("netrc", "keyring") else str(tmp_path / "kept")}
    assert content_of(fetch(url.format(tmp_path), tmp_path / "a", out="f", user="u", **given)) == b"x"
