"""What it means that a proxy makes no connection: a login that it does not take lasts, all else may pass.

Pure. A password that is wrong is wrong the next time, too: asked again and again, some proxies lock the account.
"""

from __future__ import annotations

from thunderdl.errors import AccessDenied, ConnectFailed, SourceError

# RFC 1928 section 3 (method X'FF') and RFC 1929 section 2, in the words of python-socks 2.7 to 3.2: it gives no code
# for them. The third is of a server that names the method it wants though we have not offered it.
_SOCKS5_LOGIN = (
    "No acceptable authentication methods were offered",
    "Username and password authentication failure",
    "Unexpected SOCKS authentication method",
)
_HTTP_LOGIN = 407
# SOCKS 4: the user id is not the one that identd told, or there is no identd to tell it.
_SOCKS4_LOGIN = (0x5C, 0x5D)
_ADVICE = "give the proxy's user name and password in --proxy"


def refusal(where: str, authority: str, told: str, code: int | None) -> SourceError:
    """The error for a proxy that does not connect to ``authority``. ``where``: the proxy; ``told``: its words;
    ``code``: its number for them, a status of HTTP or a reply of SOCKS, None where there is none."""
    if code == _HTTP_LOGIN or code in _SOCKS4_LOGIN or (code is None and told.startswith(_SOCKS5_LOGIN)):
        denied = AccessDenied(where, f"access denied, it does not take this login ({told})", _ADVICE)
        denied.status = code if code == _HTTP_LOGIN else None
        return denied
    return ConnectFailed(where, f"refused to connect to {authority} ({told})")
