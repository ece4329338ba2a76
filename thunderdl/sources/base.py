"""The seam at which a protocol joins: what the engine asks of it, whatever is spoken on its wire.

**Every protocol answers as an HTTP/1.1 server would.** A request for ``[start, end)`` is answered by a ResponseHead
(206 with Content-Range, Content-Length, Last-Modified; 200 where there are no ranges; 416 behind the end), then by
bytes that a Transfer writes and records. So the judge of heads, openings, resuming, lanes and limits stay as they
are, and a file may come from several protocols at once.

It must not know any protocol: :mod:`thunderdl.sources.registry` does, and loads each when a URL first names it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from thunderdl.errors import ThunderdlError
from thunderdl.sources.http.connect import TlsSettings
from thunderdl.sources.http.dialing import Reach
from thunderdl.sources.http.head import Body
from thunderdl.sources.http.transfer import Store, Transfer
from thunderdl.sources.http.wire import Address, Endpoint

if TYPE_CHECKING:
    from thunderdl.formats.listings import Entry
    from thunderdl.options import Options
    from thunderdl.sources.http.mover import Mover


T = TypeVar("T")


class OnDisk(Protocol):
    """Runs blocking work on files in a thread."""

    def __call__(self, work: Callable[..., T], *args: object) -> Awaitable[T]: ...


class Request(Protocol):
    """What is asked for, repeatable for any range. The bytes are read by carriers of the same protocol alone."""

    @property
    def address(self) -> Address: ...

    def range(self, start: int, end: int, if_range: str | None = None) -> bytes:
        """What asks for ``[start, end)``."""

    def whole(self) -> bytes:
        """What asks for all of it: answered by 200."""

    def fields(self) -> list[tuple[bytes, bytes]]:
        """HTTP fields to repeat; empty elsewhere."""


class Carrier(Protocol):
    """A connection that carries one transfer after another. All is called on the loop, nothing blocks.

    What happens is told to ``transfer.notify``, on the loop too, and never from within one of these calls: Headed,
    Finished, Lowered, Broke (:mod:`thunderdl.sources.http.events`). ``transfer.notify`` may change meanwhile.
    """

    @property
    def is_closed(self) -> bool:
        """Whether it carries nothing any more."""

    def ask(self, transfer: Transfer) -> None:
        """Queue ``transfer`` behind what is being carried. ``transfer.judge`` is asked about its head before a byte is
        written; an opening (no judge) is collected in ``transfer.body`` where it is at most COLLECT_BYTES long, else
        it is Headed, and waits."""

    def proceed(
        self, transfer: Transfer, body: Body, store: Store, choose: Callable[[Mover], Mover] | None = None
    ) -> None:  # fmt: skip
        """Let the body of an opening that waits go to ``store``, until ``transfer.end``. ``choose``: the mover for it,
        given the one that has it, where movers do the work."""

    def lower(self, transfer: Transfer, end: int) -> None:
        """Lower the transfer's end, not below what is written; answered by Lowered, or by its end in passing."""

    def close(self, error: ThunderdlError) -> None:
        """End it; every transfer on it is answered by Broke with ``error``."""


class Lister(Protocol):
    """A Carrier whose protocol lists folders."""

    async def listed(self, path: bytes) -> list[Entry]:
        """What is in the folder at ``path``, decoded, with a slash at both ends; nothing else may be asked meanwhile.
        Raises a SourceError: NotFound leaves the connection as it was, after any other it is to be closed."""


class Access(Protocol):
    """One protocol, for one session. ``runs_on``: what follows a range comes unasked, any other costs a connection."""

    takes_proxy: bool
    runs_on: bool

    def address(self, url: str) -> Address:
        """The URL taken apart. Raises InvalidUrl."""

    def folder(self, url: str) -> Address:
        """The URL of a folder, taken apart: the connections to its endpoint are Listers. Raises InvalidUrl, also where
        folders are not listed."""

    def request(self, address: Address) -> Request:
        """What asks for the file there. Its endpoint has the proxy and the login that are to be used."""

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Carrier:
        """A new connection, logged in. Raises a SourceError: ServerBusy with 429 or 503 where it wants fewer."""

    async def close(self) -> None:
        """End what is not closed yet, threads too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a session gives its protocols. ``least_busy``: the mover for one more body; ``on_disk``: a thread for what
    blocks on files."""

    options: Options
    tls: TlsSettings
    reach: Reach
    least_busy: Callable[[], Mover]
    on_disk: OnDisk
