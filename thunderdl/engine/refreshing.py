"""Asking for a new URL where a link has expired: a callable of the program's, or a command of the user's.

The command is run without a shell, what it is about is in its environment: no name or URL of a server's becomes a
part of a command line. What it prints is data: the first line is a URL or nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import shlex
import signal

from thunderdl.errors import InvalidUrl, LinkExpired, printable, shown_url
from thunderdl.model import ExpiredLink
from thunderdl.options import Options, Refresh
from thunderdl.sources.http.wire import parse_url

REFRESH_TIMEOUT_S = 60.0
# What a server says of a link that holds no more; of some that never did.
EXPIRED = frozenset({401, 403, 410})
# In a row, without a byte in between.
MAX_REFRESHES = 3
MAX_OUTPUT_BYTES = 64 * 1024
# For what is in the pipes yet; one that has left the process group could hold them open for ever.
_LAST_WORDS_S = 0.5
_TAIL_CHARS = 200
_SHOWN_CHARS = 60


class RefreshFailed(Exception):
    """``args[0]``: a clause that says why there is no new URL."""


def expired(url: str, reason: str) -> LinkExpired:
    """The error for a link that could not be renewed. ``reason``: a clause."""
    return LinkExpired(url, f"the link has expired: {reason[:600]}", "a new one goes to thunderdl resume --url")


def can_refresh(options: Options) -> bool:
    """Whether there is anybody to ask."""
    return options.refresh is not None or options.refresh_cmd is not None


async def new_url(options: Options, link: ExpiredLink) -> str:
    """Another URL for what ``link`` was. Raises RefreshFailed."""
    if options.refresh is not None:
        found = await _by_callable(options.refresh, link)
    else:
        found = await _by_command(options.refresh_cmd or "", link)
    try:
        parse_url(found)
    except InvalidUrl as error:
        who = "refresh" if options.refresh is not None else "--refresh-cmd"
        raise RefreshFailed(f"{who} answered {_why_none(found, error)}") from None
    return found


def _why_none(answer: str, error: InvalidUrl) -> str:
    """What it was and what is expected. Advice for a URL that somebody typed would be none for a command."""
    scheme, _, rest = answer.partition("://")
    if rest and re.fullmatch(r"thunder|flashget|qqdl", scheme, re.IGNORECASE):
        return f"with a {scheme.lower()}:// link, and the http or https URL that is wrapped in it is expected"
    # What is behind the "?" may be a signature, which is as good as a password.
    words = " ".join(shown_url(answer.partition("?")[0]).split()).replace(". ", "; ")
    shown = f"{words[:_SHOWN_CHARS]}…" if len(words) > _SHOWN_CHARS else words
    if scheme.lower() in ("http", "https"):
        return f"{shown!r}, which is no URL that can be asked: {printable(error.reason)}"
    return f"{shown!r}, and a URL that begins with https:// or http:// is expected"


async def _by_callable(refresh: Refresh, link: ExpiredLink) -> str:
    try:
        async with asyncio.timeout(REFRESH_TIMEOUT_S):
            # In a thread: one that is not async may well wait for the network.
            answer = refresh(link) if inspect.iscoroutinefunction(refresh) else await asyncio.to_thread(refresh, link)
            found = await answer if inspect.isawaitable(answer) else answer
    except TimeoutError:
        raise RefreshFailed(f"refresh gave none within {REFRESH_TIMEOUT_S:g} seconds") from None
    except Exception as error:
        raise RefreshFailed(f"refresh raised {type(error).__name__}: {_tail(str(error))}") from error
    if not isinstance(found, str):
        raise RefreshFailed(f"refresh gave no text but {type(found).__name__}")
    return found.strip()


async def _by_command(command: str, link: ExpiredLink) -> str:
    size = "" if link.size_bytes is None else str(link.size_bytes)
    told = {"THUNDERDL_URL": link.url, "THUNDERDL_NAME": link.name, "THUNDERDL_SIZE": size}
    try:
        transport, run = await asyncio.get_running_loop().subprocess_exec(
            _Run, *shlex.split(command), env={**os.environ, **told}, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise RefreshFailed(f"--refresh-cmd could not be run ({getattr(error, 'strerror', None) or error})") from None
    try:
        async with asyncio.timeout(REFRESH_TIMEOUT_S):
            await run.ended
    except TimeoutError:
        raise RefreshFailed(f"--refresh-cmd did not end within {REFRESH_TIMEOUT_S:g} seconds") from None
    finally:
        await _end(transport, run)
    if (code := transport.get_returncode()) != 0:
        complaint = _tail(run.complaint.decode("utf-8", "replace"))
        said = f": {complaint}" if complaint else ""
        raise RefreshFailed(f"--refresh-cmd failed with code {code}{said}")
    return _first_line(run.out)


def _first_line(out: bytes) -> str:
    lines = out.decode("utf-8", "replace").splitlines()
    if not lines or not (url := lines[0].strip()):
        raise RefreshFailed("--refresh-cmd printed no URL")
    return url


class _Run(asyncio.SubprocessProtocol):
    """What a command prints: ``out`` the first of it, ``complaint`` the last; the rest is read too, so that nobody
    waits for us, and dropped. ``ended``: the command itself; ``closed``: whoever had its pipes as well."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.out = self.complaint = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self.out += data[: MAX_OUTPUT_BYTES - len(self.out)]
        else:
            self.complaint = (self.complaint + data)[-MAX_OUTPUT_BYTES:]

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def _end(transport: asyncio.SubprocessTransport, run: _Run) -> None:
    """The command and all that it started; what has left its process group lives on, without the pipes to us."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    try:
        await asyncio.wait([run.closed], timeout=_LAST_WORDS_S)
    finally:
        transport.close()
    await run.closed


def _tail(text: str) -> str:
    """The end of it as a part of one sentence."""
    words = " ".join(text.split())
    return printable(words[-_TAIL_CHARS:]).rstrip(".").replace(". ", "; ")
