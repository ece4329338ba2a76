"""Opening a source: the first request to a URL, from what the user typed to a head that can be judged.

The first request asks for a range right away, so that a small file takes one round trip and a large one's
first connection is at work already while the rest is decided. It goes over a connection of ours; what needs
policy (a redirect, cookies, the user's own httpx settings) is asked of httpx, and then repeated.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thunderdl.core import backing_off
from thunderdl.core.trust import Version
from thunderdl.engine.session import Session
from thunderdl.errors import (
    BadResponse,
    Cancelled,
    ConnectionLost,
    PassingFault,
    ServerBusy,
    SourceError,
    ThunderdlError,
    TimedOut,
    UsageError,
)
from thunderdl.formats.links import scheme_of
from thunderdl.options import Options
from thunderdl.sources.http.bucket import Meter
from thunderdl.sources.http.connect import check_proxy
from thunderdl.sources.http.events import Broke, Finished, Headed
from thunderdl.sources.http.head import ResponseHead, check_opening, status_fault
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import Address, Endpoint, basic_auth, build_request, parse_url, with_proxy

if TYPE_CHECKING:
    from thunderdl.sources.base import Access, Carrier, Request

# Enough to see a fast path's speed, little enough for a slow one; asked for before anything is known.
OPENING_BYTES = 1024 * 1024
# The environment is asked once for each host, and again where a list has more hosts than this.
MAX_PROXIES_KNOWN = 4096


@dataclass(slots=True)
class Opening:
    """A source that answered. ``transfer``: its body, parked in the mover or collected in memory."""

    url: str
    request: Request
    head: ResponseHead
    transfer: Transfer
    connection: Carrier | None
    final_url: str
    on_new_connection: bool = True

    @property
    def endpoint(self) -> Endpoint:
        return self.request.address.endpoint


@dataclass(slots=True, kw_only=True)
class OpenSource:
    """A source that lanes can be opened to. ``bytes``, ``wasted_bytes``: served and used, served and thrown away."""

    id: int
    url: str
    request: Request
    version: Version
    timeout_s: float
    bytes: int = 0
    wasted_bytes: int = 0

    @property
    def host(self) -> str:
        return self.request.address.endpoint.origin


@dataclass(frozen=True, slots=True)
class First:
    """What a first request asks for: ``length`` bytes from ``start`` on; ``start`` None: all of it, without a range."""

    start: int | None = 0
    length: int = OPENING_BYTES
    if_range: str | None = None


Answer = asyncio.Future[Headed | Finished | Broke]


# A mirror is asked for a byte, to see what it has: bytes of its answer are of use to nobody, the origin brings them.
MIRROR_FIRST = First(0, 1)


async def open_source(session: Session, url: str, options: Options, first: First, meter: Meter) -> Opening:
    """Ask ``url`` for what ``first`` says; holds a slot of the pool afterwards. Raises SourceError.

    ``meter``: the limits that the body obeys.
    """
    request, start = first_request(session, url, options), first.start or 0
    opening = None
    has_policy = request.address.endpoint.scheme in ("http", "https")
    if not has_policy or not _needs_policy(session):
        opening = await _ask(session, url, request, options, first, meter)
        if not has_policy or not 300 <= opening.head.status < 400:
            return opening
        release(session, opening)
    resolved = await session.policy(request.address.endpoint.proxy).resolve(
        url, _fields(session, request.address, options), start, start + first.length
    )
    address = _by_proxy(session, parse_url(resolved.url), options)
    opening = await _ask(session, url, build_request(address, resolved.fields), options, first, meter)
    if 300 <= (status := opening.head.status) < 400:
        release(session, opening)
        raise BadResponse(url, f"the server answered {status}, and not where to go on")
    return opening


def first_request(session: Session, url: str, options: Options) -> Request:
    """The request as the user's options make it, before any redirect."""
    if (access := session.access(scheme_of(url))) is not None:
        return _request_of(access, session, url, options)
    address = _by_proxy(session, parse_url(url), options)
    return build_request(address, _fields(session, address, options))


def _request_of(access: Access, session: Session, url: str, options: Options) -> Request:
    """A request in a protocol that is not the web's: its connection logs in, not each request."""
    address = access.address(url)
    if access.takes_proxy:
        address = _by_proxy(session, address, options)
    endpoint = replace(address.endpoint, login=_login(address, session.options))
    return access.request(replace(address, endpoint=endpoint))


def _by_proxy(session: Session, address: Address, options: Options) -> Address:
    proxy = proxy_for(session, address.endpoint, options)
    return with_proxy(address, proxy) if proxy else address


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


def proxy_for(session: Session, endpoint: Endpoint, options: Options) -> str | None:
    """The proxy for an endpoint: the option, the user's httpx settings, else the environment's. Raises UsageError."""
    if (given := options.proxy or session.own_proxy) is not None:
        check_proxy(given)
        return given
    if endpoint not in session.proxies:
        if len(session.proxies) >= MAX_PROXIES_KNOWN:
            session.proxies.clear()
        session.proxies[endpoint] = found = _proxy_of_environment(endpoint)
        if found:
            check_proxy(found)
    return session.proxies[endpoint]


def _proxy_of_environment(endpoint: Endpoint) -> str | None:
    """By http_proxy, https_proxy, all_proxy and no_proxy."""
    names = (f"{endpoint.scheme}_proxy", "all_proxy")
    found = next((os.environ[n] for n in (*names, names[0].upper(), names[1].upper()) if os.environ.get(n)), None)
    # HTTP_PROXY in capitals can be set by a request's "Proxy:" field where we run as CGI (CVE-2016-5385).
    if found is None or ("REQUEST_METHOD" in os.environ and found == os.environ.get("HTTP_PROXY")):
        return None
    excepted = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    if any(_covers(pattern.strip().lstrip("."), endpoint) for pattern in excepted if pattern.strip()):
        return None
    return found if "://" in found else f"http://{found}"


def _covers(pattern: str, endpoint: Endpoint) -> bool:
    host = endpoint.host.lower()
    name, _, port = pattern.partition(":")
    if port.isdigit() and int(port) != endpoint.port:
        return False
    return pattern == "*" or host == name.lower() or host.endswith("." + name.lower())


def _needs_policy(session: Session) -> bool:
    return bool(session.options.cookies or session.httpx_settings)


def _fields(session: Session, address: Address, options: Options) -> list[tuple[str, str]]:
    given = {name.lower() for name, _ in options.headers}
    ours = (("User-Agent", options.user_agent), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
    fields = [(name, value) for name, value in ours if name.lower() not in given]
    fields += options.headers
    if "authorization" not in given and (login := _login(address, session.options)):
        fields.append(("Authorization", basic_auth(*login)))
    return fields


def _login(address: Address, options: Options) -> tuple[str, str] | None:
    """User and password: the URL's, else those of netrc for this host, and this user where the URL names one."""
    named = None if address.user is None else (address.user, address.password)
    if not options.netrc or address.password:
        return named
    found = _login_of_netrc(address.endpoint.host)
    if found is None or (named is not None and found[0] not in ("", named[0])):
        return named
    return (found[0] or named[0], found[1]) if named else found


def _login_of_netrc(host: str) -> tuple[str, str] | None:
    import netrc

    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    try:
        found = netrc.netrc(path).authenticators(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        raise UsageError(
            f"{path}: {getattr(error, 'strerror', None) or getattr(error, 'msg', 'unreadable')}."
        ) from None
    return (found[0], found[2] or "") if found else None


async def _ask(
    session: Session, url: str, request: Request, options: Options, first: First, meter: Meter
) -> Opening:  # fmt: skip
    endpoint, opening = request.address.endpoint, None
    await session.pool.wait_for_slot(endpoint)
    try:
        opening = await _ask_on_slot(session, url, request, options, first, meter)
        if first.start is not None and _says_nothing_of_the_whole(opening.head, first.start):
            _close(opening.connection)
            first = First(None)
            opening = await _ask_on_slot(session, url, request, options, first, meter)
        try:
            if (fault := status_fault(url, opening.head, time.time())) and (
                opening.head.status != 416 or not first.start
            ):
                raise fault
            check_opening(opening.head, first.start, (first.start or 0) + first.length, url)
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
            if event.stale and not fresh:
                connection = None
                continue
            raise _broken(event, url)
        assert transfer.head is not None
        kept = connection if isinstance(event, Headed) or event.reusable else None
        return Opening(url, request, transfer.head, transfer, kept, request.address.url, fresh)


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
