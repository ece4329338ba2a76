"""The daemon as the commands reach it: its address and secret from its state folder, its API over one connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.errors import ThunderdlError, UsageError, printable

_TIMEOUT_S = 60.0
# Longer than the pause between two signs of life on the event stream.
_SILENCE_S = 40.0
BATCH = 1000


class Unreachable(ThunderdlError):
    """No daemon answers."""

    exit_code = 4


class Daemon:
    """``address``: http://HOST:PORT; ``secret``: for every request."""

    def __init__(self, address: str, secret: str) -> None:
        self.address, self._secret = address, secret
        where = urlsplit(address)
        self._host, self._port = where.hostname or "127.0.0.1", where.port or 6800
        self._connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The JSON of the answer, None where there is none. Raises UsageError with the daemon's words, Unreachable."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        target = _target(path, query)
        try:
            self._connection.request(method, target, data, self._headers() | ({"Content-Type": kind} if data else {}))
            answer = self._connection.getresponse()
            found = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._unreachable(error) from None
        return _judged(answer.status, found)

    def events(self, **query: object) -> Iterator[tuple[str, Any]]:
        """Name and data of each event, from a snapshot on; ends when the daemon does. Raises Unreachable."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_SILENCE_S)
        try:
            connection.request("GET", _target("events", query), headers=self._headers())
            answer = connection.getresponse()
            if answer.status != 200:
                _judged(answer.status, answer.read())
            name = ""
            for raw in answer:
                line = raw.decode(errors="replace").rstrip("\r\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"}

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreachable(
            f"no daemon answers at {printable(self.address)} ({printable(reason)}); start one with thunderdl daemon."
        )


def daemon_of(typed: Typed) -> Daemon:
    """The daemon whose state folder ``--state`` names, else the user's. Raises UsageError where there is none."""
    state = os.path.expanduser(typed.text("state") or settings.state_path())
    address = _first_line(os.path.join(state, "address"))
    secret = (
        os.environ.get("THUNDERDL_RPC_SECRET") or _named_secret(typed) or _first_line(os.path.join(state, "secret"))
    )
    if address is None:
        raise Unreachable(f"{printable(state)}: no daemon keeps its queue there; start one with thunderdl daemon.")
    if secret is None:
        raise UsageError(f"{printable(state)}: its secret is not there; set THUNDERDL_RPC_SECRET to the daemon's.")
    return Daemon(address, secret)


def _named_secret(typed: Typed) -> str | None:
    """The first line of the file that config.toml names, where it is that daemon that is meant."""
    named = settings.daemon_values().get("secret_file") if typed.text("state") is None else None
    return _first_line(os.path.expanduser(str(named))) if named else None


def gid_of(text: str) -> str:
    """A gid, or the beginning of one, as part of a path."""
    return quote(text, safe="")


def added(daemon: Daemon, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Queue them, some at a time; the tasks as the daemon tells them."""
    told: list[dict[str, Any]] = []
    for start in range(0, len(tasks), BATCH):
        told += daemon.ask("POST", "tasks", {"tasks": tasks[start : start + BATCH]})["tasks"]
    return told


def _target(path: str, query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"/api/v1/{path}" + (f"?{urlencode(given)}" if given else "")


def _judged(status: int, found: bytes) -> Any:
    told = None
    with contextlib.suppress(ValueError):
        told = json.loads(found) if found else None
    if 200 <= status < 300:
        return told
    message = told.get("error", {}).get("message", "") if isinstance(told, dict) else ""
    if status == 401:
        message = "the daemon has another secret; set THUNDERDL_RPC_SECRET to it."
    raise UsageError(printable(message) or f"the daemon answered {status}.")


def _first_line(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.readline().strip() or None
    except OSError:
        return None
