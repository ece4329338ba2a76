"""A tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6) for protocols in which the server speaks first.

python-socks reads the proxy's answer in one wide read: a greeting that came with it was lost, and everybody waited.
Here not one byte behind the head is taken.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import SplitResult, unquote

from thunderdl.errors import ConnectFailed
from thunderdl.sources.http.faults import proxy_login_refused
from thunderdl.sources.http.wire import basic_auth

_MAX_HEAD_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)[ \r]")


def open_tunnel(sock: socket.socket, proxy: SplitResult, host: str, port: int, where: str) -> None:
    """Have the proxy at the other end of ``sock`` connect it to ``host``. Blocking. Raises ConnectFailed,
    AccessDenied, OSError."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.username is not None:
        login = basic_auth(unquote(proxy.username), unquote(proxy.password or ""))
        lines.append(f"Proxy-Authorization: {login}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        if len(head) > _MAX_HEAD_BYTES or not (byte := sock.recv(1)):
            raise ConnectFailed(where, f"gave no answer to the wish for {authority}")
        head += byte
    status = _STATUS.match(head)
    if status is None or not status[1].startswith(b"2"):
        if status and status[1] == b"407":
            raise proxy_login_refused(where, authority, "407")
        told = status[1].decode() if status else "something else than HTTP"
        raise ConnectFailed(where, f"refused to connect to {authority} ({told})")
