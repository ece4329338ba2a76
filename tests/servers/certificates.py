"""Certificates for 127.0.0.1, right and wrong, of an authority made for the test run."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """PEM files of a server: ``chain`` (certificate and what it needs) and ``key``."""

    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Certificates:
    """Makes identities on demand in ``folder``. ``ca_file``: what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def good(self) -> Identity:
        return self._identity("good", lambda: self._ca.issue_cert(*_HOSTS))

    def of(self, *hosts: str) -> Identity:
        return self._identity(hosts[0].replace("*", "any"), lambda: self._ca.issue_cert(*hosts))

    def client(self, name: str = "somebody@example.org") -> Identity:
        """What a client may show, and a server with :meth:`asking_context` wants."""
        return self._identity("client", lambda: self._ca.issue_cert(name))

    def asking_context(self, *, insists: bool = True) -> ssl.SSLContext:
        """Of a server that asks clients for a certificate of the authority."""
        context = self.good().server_context()
        context.verify_mode = ssl.CERT_REQUIRED if insists else ssl.CERT_OPTIONAL
        context.load_verify_locations(self.ca_file)
        return context

    def wrong_host(self) -> Identity:
        return self._identity("wrong_host", lambda: self._ca.issue_cert("other.example"))

    def expired(self) -> Identity:
        long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        return self._identity("expired", lambda: self._ca.issue_cert(*_HOSTS, not_before=long_ago, not_after=long_ago))

    def unknown_authority(self) -> Identity:
        return self._identity("unknown", lambda: trustme.CA().issue_cert(*_HOSTS))

    def self_signed(self) -> Identity:
        return self._signed("self_signed", authority=None, usage=ExtendedKeyUsageOID.SERVER_AUTH)

    def client_only(self) -> Identity:
        """Signed by the authority, but its extended key usage is for clients alone (aria2 CVE-2026-8367)."""
        return self._signed("client_only", authority=self._ca, usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def _identity(self, name: str, issue: Callable[[], trustme.LeafCert]) -> Identity:
        leaf = issue()
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return self._store(name, chain, leaf.private_key_pem.bytes())

    def _signed(self, name: str, *, authority: trustme.CA | None, usage: x509.ObjectIdentifier) -> Identity:
        """What trustme does not make."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        signer = key
        if authority is not None:
            issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
            loaded = serialization.load_pem_private_key(authority.private_key_pem.bytes(), password=None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            signer = loaded
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            subject_name=subject, issuer_name=issuer, public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1), not_valid_after=now + datetime.timedelta(days=1),
        )  # fmt: skip
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(_HOSTS[0]))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        certificate = builder.sign(signer, hashes.SHA256()).public_bytes(pem)
        return self._store(name, certificate, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))

    def _store(self, name: str, chain: bytes, key: bytes) -> Identity:
        identity = Identity(chain=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")
        identity.chain.write_bytes(chain)
        identity.key.write_bytes(key)
        return identity
