"""What went wrong with a connection in a mover, told apart."""

from __future__ import annotations

import ssl

from thunderdl.errors import ConnectionLost, ThunderdlError, foreseen


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
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return ConnectionLost("", f"the connection broke ({reason or type(error).__name__})")
