"""Certificates of both sides: which servers are believed (S1 to S4), and to whom a client's own is shown."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.engine.runs import content_of, failed, fetch
from tests.servers import misbehave as m
from tests.servers.certificates import Certificates
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import ConnectionLost, ThunderdlError, TlsFailure, UsageError
from thunderdl.reach import parse_resolve

HERE = (parse_resolve("*:*:127.0.0.1"),)


def test_a_client_certificate(tmp_path: Path, certificates: Certificates, content: bytes) -> None:
    mine = certificates.client()
    with LoopbackServer({"/f": Resource(body=content)}, tls=certificates.asking_context()) as server:
        result = fetch(
            server.url("/f"), tmp_path, ca=str(certificates.ca_file), cert=str(mine.chain), cert_key=str(mine.key)
        )  # fmt: skip
        assert content_of(result) == content
        without = fetch(server.url("/f"), tmp_path / "b", ca=str(certificates.ca_file))
        assert isinstance(without.error, TlsFailure | ConnectionLost)


def test_it_is_shown_to_those_that_the_user_named_and_to_no_other(tmp_path: Path, certificates: Certificates) -> None:
    mine = certificates.client()
    context = certificates.asking_context(insists=False)
    with LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.asking_context()) as other:
        behaviour = m.redirect(other.url("/f"))
        with LoopbackServer({"/f": Resource(body=b"", behaviour=behaviour)}, tls=context) as server:
            result = fetch(
                server.url("/f"), tmp_path, ca=str(certificates.ca_file), cert=str(mine.chain), cert_key=str(mine.key)
            )  # fmt: skip
            # The other one insists on a certificate, and gets none.
            assert isinstance(result.error, TlsFailure | ConnectionLost)
            assert other.requests == []


@pytest.mark.parametrize("kind", ["absent", "rubbish", "key", "locked", "wrong password"])
def test_a_client_certificate_that_is_unusable(tmp_path: Path, certificates: Certificates, kind: str) -> None:
    mine = certificates.client()
    chain, key, password = str(mine.chain), str(mine.key), None
    if kind == "absent":
        chain = str(tmp_path / "absent")
    elif kind == "rubbish":
        (tmp_path / "rubbish").write_text("rubbish")
        chain = str(tmp_path / "rubbish")
    elif kind == "key":
        key = str(certificates.good().key)
    else:
        loaded = serialization.load_pem_private_key(mine.key.read_bytes(), None)
        locked = serialization.BestAvailableEncryption(b"right")
        pem = loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        (tmp_path / "locked").write_bytes(pem)
        key, password = str(tmp_path / "locked"), "wrong" if kind == "wrong password" else None
    with LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.asking_context()) as server:
        result = fetch(
            server.url("/f"), tmp_path / "d", ca=str(certificates.ca_file), cert=chain, cert_key=key,
            cert_password=password,
        )  # fmt: skip
        failed(result, UsageError, 2, "--cert")


@pytest.mark.parametrize(
    ("names", "host", "is_right"),
    [
        (("*.example.com",), "a.example.com", True), (("*.example.com",), "a.b.example.com", False),
        (("*.example.com",), "example.com", False), (("*.com",), "example.com", None),
        (("a.example.com",), "b.example.com", False),
        (("*.0.0.1",), "127.0.0.1", False), (("xn--bcher-kva.example",), "bücher.example", True),
        (("*.example",), "bücher.example", None),
    ],
)  # fmt: skip
def test_names_of_a_server(
    tmp_path: Path, certificates: Certificates, names: tuple[str, ...], host: str, is_right: bool | None
) -> None:  # fmt: skip
    with LoopbackServer({"/f": Resource(body=b"x")}, tls=certificates.of(*names).server_context()) as server:
        url = server.url("/f").replace("127.0.0.1", host)
        result = fetch(url, tmp_path, ca=str(certificates.ca_file), resolve=HERE)
        if is_right is not None:
            assert (result.error is None) is is_right
        if result.error is not None:
            failed(result, TlsFailure, 12)
            assert server.requests == []


def test_a_redirect_from_https_to_http_where_it_was_allowed(
    tmp_path: Path, server: LoopbackServer, certificates: Certificates
) -> None:
    server.resources["/g"] = Resource(body=b"x")
    down = Resource(body=b"", behaviour=m.redirect(server.url("/g")))
    with LoopbackServer({"/f": down}, tls=certificates.good().server_context()) as secure:
        headers = (("X-Token", "secret"),)
        ca = str(certificates.ca_file)
        refused: ThunderdlError | Exception | None = fetch(secure.url("/f"), tmp_path, ca=ca).error
        assert "allow-downgrade" in str(refused)
        assert server.requests == []
        allowed = fetch(secure.url("/f"), tmp_path, ca=ca, downgrade=True, headers=headers)
        assert content_of(allowed) == b"x"
        assert all(request.header("X-Token") is None for request in server.requests)


def test_tls_1_2_at_least() -> None:
    from thunderdl.sources.http.connect import TlsSettings

    assert TlsSettings().context().minimum_version >= ssl.TLSVersion.TLSv1_2
