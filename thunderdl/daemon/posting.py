"""A POST of JSON that can be cut off.

The limit of a socket begins anew with each byte: an answer that drips would keep its thread for as long as it likes.
Who cuts it off shuts the connection down, and the thread that reads from it has come to the end.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.request
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any


class Post:
    """One to ``address``, of ``facts``; ``timeout_s``: how long it may be silent. :meth:`send` in a thread, once;
    always :meth:`cut`."""

    def __init__(self, address: str, facts: Mapping[str, str], timeout_s: float) -> None:
        self._address, self._facts, self._timeout_s = address, facts, timeout_s
        self._lock = threading.Lock()
        self._is_cut = False
        self._connected: list[socket.socket] = []

    def send(self) -> None:
        """Raises OSError, ValueError, HTTPException; no answer but one of success is taken for one."""
        body = json.dumps(self._facts).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "thunderdl"}
        request = urllib.request.Request(self._address, body, headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect, _Plain(self), _Secure(self))
        with opener.open(request, timeout=self._timeout_s):
            pass

    def cut(self) -> None:
        """It is over, whatever it does; for any thread."""
        with self._lock:
            self._is_cut = True
            for each in self._connected:
                with each, contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._connected.clear()

    def has_connected(self, connection: socket.socket) -> None:
        """Raises TimeoutError where it was cut off before."""
        with self._lock:
            if self._is_cut:
                raise TimeoutError
            # TLS takes the descriptor away from the one that we have.
            self._connected.append(connection.dup())


class _Connection(HTTPConnection):
    post: Post

    def connect(self) -> None:
        super().connect()
        self.post.has_connected(self.sock)


class _SecureConnection(HTTPSConnection, _Connection):
    """In this order TLS begins once the connection is known: it may drip, too."""


def _connection(kind: type[_Connection], post: Post, host: str, **more: Any) -> _Connection:
    made = kind(host, **more)
    made.post = post
    return made


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, post: Post) -> None:
        super().__init__()
        self._post = post

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_connection, _Connection, self._post), request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, post: Post) -> None:
        super().__init__()
        self._post = post

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_connection, _SecureConnection, self._post), request)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is told goes where the user said, nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None
