"""What stands before every route: whose request it is, how long it may be, whether it has the secret.

Invariants: what begins with ``/api/`` or is ``/metrics`` is reached with the secret or a cookie only; a request with a
foreign Host or Origin reaches nothing, a WebSocket's and an event stream's neither; every answer has the headers that
keep it from being framed, sniffed or embedded elsewhere.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import cast

from thunderdl.rpc.access import Access
from thunderdl.rpc.exchange import Answer, App, GoneAway, Headers, Message, Receive, Refused, Scope, Send, header_of
from thunderdl.rpc.secret import Secret, TooManyGuesses

COOKIE = "thunderdl"
# aria2's own bound of a request (--rpc-max-request-size); documents come as they are.
MOST_BYTES = 2 * 1024 * 1024
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024
_OF_DOCUMENTS = ("/api/v1/documents", "/api/v1/inspect")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
SAFE_HEADERS: Headers = (
    (b"content-security-policy", _POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
_LOG_IN = "this needs the daemon's secret: log in, or send it as Authorization: Bearer."


class Guard:
    """ASGI: ``secured`` behind the secret, ``others`` for the rest, which see to themselves."""

    def __init__(self, access: Access, secret: Secret, *, secured: App, others: App) -> None:
        self._access, self._secret = access, secret
        self._secured, self._others = secured, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        began = False
        more = SAFE_HEADERS

        async def sending(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                message["headers"] = [*message["headers"], *more]
            await send(message)

        try:
            more = (*SAFE_HEADERS, *self._check_sender(scope))
            if scope["method"] == "OPTIONS":
                await Answer(204, headers=_PREFLIGHT).send(sending)
                return
            await self._pass_on(scope, _within(most_bytes(scope["path"]), scope, receive), sending)
        except Refused as refused:
            if not began:
                await refused.answer().send(sending)
        except GoneAway:
            return

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_secured(scope["path"]):
            await self._others(scope, receive, send)
            return
        await self._check_secret(scope)
        await self._secured(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_sender(scope)
        except Refused:
            await refuse_websocket(receive, send)
            return
        await self._others(scope, receive, send)

    def _check_sender(self, scope: Scope) -> Headers:
        """The headers for a page of another origin that may ask. Raises Refused."""
        host, origin = _text(scope, b"host"), header_of(scope, b"origin")
        if not self._access.admits_host(host):
            raise Refused(
                421, "AccessError",
                "the daemon is not called by that name; start it with --host-name NAME to allow it.",
            )  # fmt: skip
        if origin is None:
            if self._access.is_page_of_another(_text(scope, b"sec-fetch-site"), _text(scope, b"sec-fetch-mode")):
                raise _foreign()
            return ()
        text = origin.decode("latin-1").lower()
        if not self._access.admits_origin(text, host):
            raise _foreign()
        if not self._access.is_foreign(text, host):
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"Origin"))

    async def _check_secret(self, scope: Scope) -> None:
        """Raises Refused for a request without it."""
        if scope["path"] == "/api/v1/login" or self._secret.admits(cookie_of(scope)):
            return
        scheme, _, text = _text(scope, b"authorization").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Refused(401, "AccessError", _LOG_IN, ((b"www-authenticate", b"Bearer"),))
        await prove(self._secret, text.strip())


async def refuse_websocket(receive: Receive, send: Send) -> None:
    """Before it is accepted: answered with 403 (ASGI's WebSocket specification)."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})


async def prove(secret: Secret, text: str) -> None:
    """Raises Refused where that is not the secret."""
    try:
        if await secret.proven(text):
            return
    except TooManyGuesses:
        message = "too many wrong secrets were tried just now; try again in a second."
        raise Refused(429, "AccessError", message, ((b"retry-after", b"1"),)) from None
    raise Refused(401, "AccessError", "that is not the daemon's secret; it is in the file secret of its state folder.")


def is_secured(path: str) -> bool:
    """Whether nothing of it is told without the secret."""
    return path.startswith("/api/") or path == "/metrics"


def most_bytes(path: str) -> int:
    """How long the body of a request may be."""
    return MOST_DOCUMENT_BYTES if path in _OF_DOCUMENTS else MOST_BYTES


def cookie_of(scope: Scope) -> str:
    """Ours of the request's cookies, empty where there is none."""
    text = _text(scope, b"cookie")
    if COOKIE not in text:
        return ""
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _within(most: int, scope: Scope, receive: Receive) -> Receive:
    """``receive`` that raises Refused for what is longer, told or not."""
    told = header_of(scope, b"content-length")
    if told is not None and told.isdigit() and int(told[:20]) > most:
        raise _too_long(most)
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(cast(bytes, message.get("body", b"")))
        if got > most:
            raise _too_long(most)
        return message

    return bounded


def _too_long(most: int) -> Refused:
    return Refused(413, "UsageError", f"the request is longer than {most >> 20} MiB.", ((b"connection", b"close"),))


def _foreign() -> Refused:
    return Refused(
        403, "AccessError", "a page of another origin asks; start the daemon with --allow-origin ORIGIN to allow it."
    )


def _text(scope: Scope, name: bytes) -> str:
    return (header_of(scope, name) or b"").decode("latin-1")


# What a page of an allowed origin may send. No cookie of ours goes with it: it has the secret itself.
_PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-allow-private-network", b"true"), (b"access-control-max-age", b"600"),
)  # fmt: skip
