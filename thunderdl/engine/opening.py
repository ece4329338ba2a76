"""Opening a source: the first request to a URL, from what the user typed to a head that can be judged.

The first request asks for a range right away, so that a small file takes one round trip and a large one's
first connection is at work already while the rest is decided. It goes over a connection of ours; what needs
policy (a redirect, cookies, the user's own httpx settings) is asked of httpx, and then repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from thunderdl.core import backing_off
from thunderdl.core.inward import is_inward
from thunderdl.core.trust import Version
from thunderdl.engine.access import Hop, of_mirror
from thunderdl.engine.proxies import given_proxy, policy_of, proxy_for
from thunderdl.engine.session import Session
from thunderdl.engine.strangers import must_stay_outside
from thunderdl.errors import (
    BadResponse,
    Cancelled,
    ConnectionLost,
    InvalidUrl,
    PassingFault,
    RedirectRefused,
    ServerBusy,
    SourceError,
    ThunderdlError,
    TimedOut,
)
from thunderdl.formats.links import scheme_of
from thunderdl.options import Options
from thunderdl.sources.http.bucket import Meter
from thunderdl.sources.http.events import Broke, Finished, Headed
from thunderdl.sources.http.head import ResponseHead, check_opening, status_fault
from thunderdl.sources.http.redirects import MAX_REDIRECTS, STATUSES, next_hop
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import DEFAULT_PORTS, Address, Endpoint, build_request, parse_url, with_proxy
from thunderdl.sources.queueing import NotTaken

if TYPE_CHECKING:
    from thunderdl.sources.base import Access as Speaker
    from thunderdl.sources.base import Carrier, Request

# Enough to see a fast path's speed, little enough for a slow one; asked for before anything is known.
OPENING_BYTES = 1024 * 1024
# Without a login, with one, with a fresh nonce.
MAX_LOGINS = 3


@dataclass(slots=True)
class Opening:
    """A source that answered. ``transfer``: its body, parked in the mover or collected in memory; ``way``: the URLs
    that redirected to it, in order; ``before``: the head of the last of them; ``peer``: the address that answered, ""
    where it is not known."""

    url: str
    request: Request
    head: ResponseHead
    transfer: Transfer
    connection: Carrier | None
    final_url: str
    on_new_connection: bool = True
    before: ResponseHead | None = None
    way: tuple[str, ...] = ()
    peer: str = ""

    @property
    def endpoint(self) -> Endpoint:
        return self.request.address.endpoint


class Renewing(Protocol):
    """Gets a source another request where the one that it has is refused from some moment on."""

    def may_help(self, error: ThunderdlError) -> bool:
        """Whether that may bring what ``error`` denied."""

    async def renew(self, refused: Request, error: ThunderdlError) -> None:
        """Return once the source has another request than ``refused``. Raises ThunderdlError."""


@dataclass(slots=True, kw_only=True)
class OpenSource:
    """A source that lanes can be opened to. ``request``: what they ask, until it is renewed; ``slots``: whose slots of
    the pool they take, whatever a renewed request leads to; ``bytes``, ``wasted_bytes``: served and used, served and
    thrown away."""

    id: int
    url: str
    request: Request
    version: Version
    timeout_s: float
    bytes: int = 0
    wasted_bytes: int = 0
    renewal: Renewing | None = None
    slots: Endpoint = field(init=False)
    # Read for each lane at each event: made anew each time it took three quarters of all CPU time with 40 mirrors.
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.slots = self.request.address.endpoint
        self.host = self.slots.origin


@dataclass(frozen=True, slots=True)
class First:
    """What a first request asks for: ``length`` bytes from ``start`` on; ``start`` None: all of it, without a range;
    ``is_urgent``: one connection more than the host is to have, since the others wait for its answer."""

    start: int | None = 0
    length: int = OPENING_BYTES
    if_range: str | None = None
    is_urgent: bool = False


Answer = asyncio.Future[Headed | Finished | Broke]


# A mirror is asked for a byte, to see what it has: bytes of its answer are of use to nobody, the origin brings them.
MIRROR_FIRST = First(0, 1)


async def open_source(
    session: Session, url: str, options: Options, first: First, meter: Meter, told_by: str = ""
) -> Opening:  # fmt: skip
    """Ask ``url`` for what ``first`` says; holds a slot of the pool afterwards. Raises SourceError.

    ``meter``: the limits that the body obeys. ``told_by``: path or URL of what named it, where the user did not: then
    it may not lead everywhere. Redirects are followed, each asked what it may be asked.
    """
    outside = bool(told_by) and await must_stay_outside(session, url, told_by)
    if (protocol := session.protocol(scheme_of(url))) is not None:
        return await _open_elsewhere(session, protocol, url, options, first, meter, outside=outside)
    if session.httpx_settings and not told_by:
        return await _open_by_httpx(session, url, options, first, meter)
    address, before, way = parse_url(url), None, list[str]()
    home, may_downgrade = address.endpoint.origin, session.options.downgrade
    for _ in range(MAX_REDIRECTS + 1):
        hop = await _hop(session, address.staying(outside=outside), home, options)
        opening = await _ask(session, url, hop, options, first, meter)
        head = opening.head
        if head.status not in STATUSES:
            opening.before, opening.way = before, tuple(way)
            return opening
        before = head
        way.append(opening.final_url)
        outside = outside or (bool(told_by) and not is_inward(opening.peer))
        release(session, opening)
        if (location := head.raw("location")) is None:
            raise BadResponse(url, f"the server answered {head.status}, and not where to go on")
        address = next_hop(url, address, location, may_downgrade=may_downgrade)
    raise RedirectRefused(url, f"more than {MAX_REDIRECTS} redirects")


async def _hop(
    session: Session, address: Address, home: str, options: Options, *, takes_proxy: bool = True
) -> Hop:  # fmt: skip
    proxy = proxy_for(session, address.endpoint, options) if takes_proxy else None
    await session.access.keeping.prepare(session.on_disk, address.endpoint, options)
    return Hop(with_proxy(address, proxy) if proxy else address, home)


async def _open_by_httpx(session: Session, url: str, options: Options, first: First, meter: Meter) -> Opening:
    """Where the user's own httpx settings decide."""
    address, start = parse_url(url), first.start or 0
    hop = await _hop(session, address, address.endpoint.origin, options)
    fields = session.access.request(hop, options).plain_fields()
    resolved = await policy_of(session, options).resolve(url, fields, start, start + first.length)
    hop = await _hop(session, parse_url(resolved.url), "", options)
    opening = await _ask(session, url, hop, options, first, meter, build_request(hop.address, resolved.fields))
    if opening.head.status in STATUSES:
        release(session, opening)
        raise BadResponse(url, f"the server answered {opening.head.status} where it had not before")
    return opening


async def _open_elsewhere(
    session: Session, protocol: Speaker, url: str, options: Options, first: First, meter: Meter, *, outside: bool
) -> Opening:  # fmt: skip
    """In a protocol that is not the web's."""
    address = protocol.address(url).staying(outside=outside)
    request, home = await logged_in(session, protocol, address, options)
    return await _ask(session, url, Hop(request.address, home), options, first, meter, request)


async def logged_in(
    session: Session, protocol: Speaker, address: Address, options: Options
) -> tuple[Request, str]:  # fmt: skip
    """The request for an address of a protocol that is not the web's, with the login that its connection makes (not
    each request), and the origin that the user named. Raises InvalidUrl for a proxy that is not to be had there."""
    if not protocol.takes_proxy and address.endpoint.host and given_proxy(session, address.endpoint, options):
        # To go around it would show the user's address to the server.
        reason = "ssh takes no --proxy; name one in ~/.ssh/config (ProxyJump, ProxyCommand)"
        raise InvalidUrl(address.url, reason)
    hop = await _hop(session, address, address.endpoint.origin, options, takes_proxy=protocol.takes_proxy)
    login = session.access.login(hop, options)
    endpoint = replace(hop.address.endpoint, login=(login.user, login.password) if login else None)
    return protocol.request(replace(hop.address, endpoint=endpoint)), hop.home


def origin_of(url: str) -> str | None:
    """Scheme, host and port of a URL, None where it is none."""
    try:
        return parse_url(url, ports=DEFAULT_PORTS).endpoint.origin
    except InvalidUrl:
        return None


def for_url(options: Options, url: str, home: str) -> Options:
    """What ``url``, one more that the user named, is asked with: password and token were given for ``home``."""
    return options if origin_of(url) in (None, origin_of(home)) else of_mirror(options)


def for_document(options: Options, document: str, url: str) -> Options:
    """What the document of a download is asked with: password and token were given for its ``url``, where it has one
    beside the document."""
    return options if origin_of(url) is None else for_url(options, document, url)


def release(session: Session, opening: Opening) -> None:
    """Give an opening's slot back, and its connection: kept where all of the answer is here, else closed."""
    connection, opening.connection = opening.connection, None
    if connection is not None:
        opening.transfer.notify = _unheard
        if opening.transfer.body is not None:
            # Another look at the same file soon follows; over SSH a new login costs a quarter of a second.
            session.pool.keep(opening.endpoint, connection)
        else:
            connection.close(Cancelled())
    session.pool.free_slot(opening.endpoint)


async def _ask(
    session: Session, url: str, hop: Hop, options: Options, first: First, meter: Meter, request: Request | None = None
) -> Opening:  # fmt: skip
    """``request``: the one that is settled already, else that which the access rules make."""
    endpoint = hop.address.endpoint
    opening: Opening | None = None
    if first.is_urgent:
        session.pool.take_slot(endpoint)
    else:
        await session.pool.wait_for_slot(endpoint)
    try:
        opening = await _ask_logged_in(session, url, hop, options, first, meter, request)
        if first.start is not None and _says_nothing_of_the_whole(opening.head, first.start):
            _close(opening.connection)
            first = First(None)
            opening = await _ask_on_slot(session, url, opening.request, options, first, meter)
        try:
            _check(url, opening, first)
        except ThunderdlError:
            _close(opening.connection)
            raise
        return opening
    except BaseException as error:
        if isinstance(error, ServerBusy):
            session.sharing.refused(
                endpoint, error, held=session.pool.taken.get(endpoint.origin, 0),
                is_new=opening is None or opening.on_new_connection, has_worked=False,
            )  # fmt: skip
        session.pool.free_slot(endpoint)
        raise


async def _ask_logged_in(
    session: Session, url: str, hop: Hop, options: Options, first: First, meter: Meter, settled: Request | None
) -> Opening:  # fmt: skip
    """Ask, and once more where the answer is a question that can be answered."""
    if settled is not None:
        return await _ask_on_slot(session, url, settled, options, first, meter)
    for _ in range(MAX_LOGINS):
        request = session.access.request(hop, options)
        opening = await _ask_on_slot(session, url, request, options, first, meter)
        session.access.heard(hop.address, opening.head)
        if opening.head.status != 401:
            break
        challenges = tuple(opening.head.all("www-authenticate"))
        if not session.access.answers(hop, challenges, options, request):
            break
        _close(opening.connection)
    return opening


def _check(url: str, opening: Opening, first: First) -> None:
    """Raise what is wrong with an answer."""
    head = opening.head
    if (fault := status_fault(url, head, time.time())) and (head.status != 416 or not first.start):
        raise fault
    if 300 <= head.status < 400 and head.status not in STATUSES:
        raise BadResponse(url, f"the server answered {head.status}, and not where to go on")
    check_opening(head, first.start, (first.start or 0) + first.length, url)


def _says_nothing_of_the_whole(head: ResponseHead, start: int) -> bool:
    """Whether to ask for all of it instead: an empty file has no satisfiable range (RFC 9110 section 15.5.17), and
    a range of ``*`` bytes leaves the size open."""
    return (head.status == 416 and start == 0) or (head.status == 206 and not head.coded and head.total_unsaid)


async def _ask_on_slot(
    session: Session, url: str, request: Request, options: Options, first: First, meter: Meter
) -> Opening:  # fmt: skip
    """An idle connection first; where that turns out to be closed, a fresh one."""
    endpoint = request.address.endpoint
    connection = session.pool.idle(endpoint)
    while True:
        fresh = connection is None
        if connection is None:
            try:
                connection = await session.pool.connect(endpoint, options.timeout, for_opening=True)
            except SourceError as error:
                raise located(error, url) from None
        answer = session.loop.create_future()
        begin = first.start or 0
        end = begin + first.length
        raw = request.whole() if first.start is None else request.range(begin, end, first.if_range)
        transfer = Transfer(request=raw, start=begin, end=end, notify=_first_answer(answer), meter=meter)
        connection.ask(transfer)
        try:
            event = await _heard(answer, transfer, options.timeout)
        except TimeoutError:
            _close(connection)
            raise TimedOut(url, f"no answer within {options.timeout:g} seconds") from None
        except asyncio.CancelledError:
            _close(connection)
            raise
        if isinstance(event, Broke):
            if event.stale and (not fresh or isinstance(event.error, NotTaken)):
                connection = None
                continue
            if event.goes_on:
                session.pool.keep(endpoint, connection)
            raise _broken(event, url)
        assert transfer.head is not None
        kept = connection if isinstance(event, Headed) or event.reusable else None
        peer = str(getattr(connection, "peer", ""))
        return Opening(url, request, transfer.head, transfer, kept, request.address.url, fresh, peer=peer)


async def _heard(answer: Answer, transfer: Transfer, timeout_s: float) -> Headed | Finished | Broke:
    """The answer. Raises TimeoutError after so much silence: a body that a limit slows down is none."""
    loop = answer.get_loop()

    def look(seen: int) -> None:
        if transfer.position > seen:
            timers[0] = loop.call_later(timeout_s, look, transfer.position)
        elif not answer.done():
            answer.set_exception(TimeoutError())

    timers = [loop.call_later(timeout_s, look, transfer.position)]
    try:
        return await answer
    finally:
        timers[0].cancel()


def _first_answer(answer: Answer) -> Callable[[object], None]:
    def notify(event: object) -> None:
        if isinstance(event, Headed | Finished | Broke) and not answer.done():
            answer.set_result(event)

    return notify


def _unheard(_: object) -> None:
    return


def _close(connection: Carrier | None) -> None:
    if connection is not None:
        connection.close(Cancelled())


def _broken(event: Broke, url: str) -> ThunderdlError:
    if isinstance(event.error, SourceError):
        return located(event.error, url)
    if isinstance(event.error, ThunderdlError):
        return event.error
    return ConnectionLost(url, "the connection broke")


def located(error: SourceError, url: str) -> SourceError:
    """The error with the source's own URL in it; a proxy that failed is named too."""
    if error.url.startswith("proxy "):
        error.reason = f"by {error.url}: {error.reason}"
    error.url = url
    return error


def back_off_s(down_s: float, error: ThunderdlError, jitter: float) -> float:
    """How long to wait before asking again one that has failed for ``down_s``; ``jitter``: a factor around 1.

    As the scheduler does it: missed for little longer than it was away. One that is busy is left alone for longer.
    """
    wait = backing_off.back_off_s(down_s, is_busy=isinstance(error, ServerBusy)) * jitter
    return max(wait, getattr(error, "retry_after_s", None) or 0.0)


def is_passing(error: ThunderdlError) -> bool:
    return isinstance(error, PassingFault)
