"""What a mover tells of a transfer, on the event loop."""

from __future__ import annotations

from typing import NamedTuple

from thunderdl.errors import ThunderdlError
from thunderdl.sources.http.transfer import Transfer


class Headed(NamedTuple):
    """An opening's head is here; its body waits for :meth:`Mover.proceed` or :meth:`Mover.close`."""

    transfer: Transfer


class Finished(NamedTuple):
    """The transfer is at its end. ``reusable``: its connection can carry another."""

    transfer: Transfer
    reusable: bool


class Broke(NamedTuple):
    """The transfer failed, and the connection is closed. ``stale``: it had been idle and closed before the answer's
    first byte, so that the same request on a fresh connection is in order (RFC 9112 section 9.3.1). ``goes_on``: it is
    not closed: an opening asked for what is not there, and others may be asked for."""

    transfer: Transfer
    error: ThunderdlError | OSError
    stale: bool = False
    goes_on: bool = False


class Lowered(NamedTuple):
    """The answer to :meth:`Mover.lower`: the transfer now ends at ``end``."""

    transfer: Transfer
    end: int


Event = Headed | Finished | Broke | Lowered
