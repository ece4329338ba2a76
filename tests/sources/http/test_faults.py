"""What a broken connection was about: what a server refuses for good is no passing fault."""

from __future__ import annotations

import ssl

import pytest

from tests.servers.certificates import Certificates
from thunderdl.errors import ConnectionLost, TlsFailure
from thunderdl.sources.http.connect import connect_fault
from thunderdl.sources.http.faults import fault_of

_OF_CLIENTS = {"wants one": ("only clients that show a certificate", "--cert"), "refuses": ("refuses", "--cert")}


# TLS 1.2 has no alert for "wants one": its handshake_failure says no reason.
@pytest.mark.parametrize(
    ("kind", "version"),
    [("refuses", ssl.TLSVersion.TLSv1_2), ("refuses", ssl.TLSVersion.TLSv1_3), ("wants one", ssl.TLSVersion.TLSv1_3)],
)
def test_a_server_that_does_not_take_the_client_s_certificate(
    certificates: Certificates, kind: str, version: ssl.TLSVersion
) -> None:  # fmt: skip
    client = certificates.client_context()
    client.minimum_version = client.maximum_version = version
    if kind == "refuses":
        unknown = certificates.unknown_authority()
        client.load_cert_chain(unknown.chain, unknown.key)
    alert = _alert(client, certificates.asking_context())
    for told in (fault_of(alert), connect_fault("https://h/", alert)):
        assert isinstance(told, TlsFailure)
        assert all(word in str(told) for word in _OF_CLIENTS[kind])


def test_another_alert_is_a_lost_connection(certificates: Certificates) -> None:
    client, server = certificates.client_context(), certificates.good().server_context()
    client.maximum_version, server.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert isinstance(fault_of(_alert(client, server)), ConnectionLost)


def _alert(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLError:
    """What the client hears, all in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for end in (one, other):
            try:
                end.do_handshake()
                end.read(1)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if end is one:
                    return error
    raise AssertionError("nothing was refused")
