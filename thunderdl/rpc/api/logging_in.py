"""Routes of a page's session: a cookie for the secret, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.rpc.api.fields import TEXT, Field
from thunderdl.rpc.api.routes import BASE, Call, Route
from thunderdl.rpc.exchange import Answer
from thunderdl.rpc.guard import COOKIE, cookie_of, prove
from thunderdl.rpc.secret import COOKIE_S

if TYPE_CHECKING:
    from thunderdl.rpc.api.application import Api

_SECRET = (Field("secret", TEXT, "The daemon's secret.", needed=True),)


async def login(api: Api, call: Call) -> object:
    await prove(api.secret, call.body["secret"])
    return _cookie(api.secret.cookie(), COOKIE_S)


async def logout(api: Api, call: Call) -> object:
    api.secret.revoke(cookie_of(call.scope))
    return _cookie("", 0)


async def session(api: Api, _: Call) -> object:
    return {"version": api.version}


def _cookie(value: str, age_s: int) -> Answer:
    told = f"{COOKIE}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Strict"
    return Answer(204, headers=((b"set-cookie", told.encode()), (b"cache-control", b"no-store")))


ROUTES = (
    Route("POST", f"{BASE}/login", login, "A cookie for the secret.", body=_SECRET, status=204),
    Route("POST", f"{BASE}/logout", logout, "Take the cookie back.", status=204),
    Route("GET", f"{BASE}/session", session, "Whether one is logged in.", answers="Session"),
)
