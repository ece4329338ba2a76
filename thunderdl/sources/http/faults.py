"""What went wrong with a connection in a mover, told apart."""

from __future__ import annotations

import ssl

from thunderdl.errors import ConnectionLost, ThunderdlError, TlsFailure, foreseen


class StoreFault(OSError):
    """A write that failed, told apart from a socket that failed."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.cause = cause


def fault_of(error: Exception) -> ThunderdlError | OSError:
    """What to tell of it: a write that failed as the system said it, a bug as a bug."""
    if isinstance(error, StoreFault):
        return error.cause
    if not isinstance(error, OSError):
        return foreseen(error)
    if isinstance(error, ssl.SSLError) and (fault := certificate_refused("", error)) is not None:
        # In TLS 1.3 the handshake is over for the client before the server has looked at its certificate (RFC 8446
        # section 4.4.2.4): the refusal is the first thing read.
        return fault
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return ConnectionLost("", f"the connection broke ({reason or type(error).__name__})")


# As OpenSSL calls the alerts of RFC 8446 section 6.2 by which a server refuses what a client has shown.
_REFUSED = {
    "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "TLSV1_ALERT_UNKNOWN_CA",
}  # fmt: skip


def certificate_refused(url: str, error: ssl.SSLError) -> TlsFailure | None:
    """The fault for an alert about the client's certificate, which no second try changes; None for any other."""
    if error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED":
        return TlsFailure(url, "it lets in only clients that show a certificate", "give yours with --cert")
    if error.reason in _REFUSED:
        return TlsFailure(url, f"it refuses the certificate that it was shown ({error.reason})", "check --cert")
    return None
