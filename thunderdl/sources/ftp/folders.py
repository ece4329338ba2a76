"""What is in a folder of an FTP server. Blocking.

By MLSD where the server knows it. Else by LIST in the folder itself, since servers read options and patterns in what
follows LIST; then back, for paths are taken from the folder of the login on.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing

from thunderdl.errors import BadResponse, ConnectionLost, NotFound, SourceError, TimedOut
from thunderdl.formats.ftp_listings import parse_list, parse_mlsd
from thunderdl.formats.listings import MAX_PAGE_BYTES, Entry
from thunderdl.sources.ftp.control import Reply
from thunderdl.sources.ftp.serving import Server

_RECEIVE_BYTES = 256 * 1024
# RFC 959 appendix II: a quote in the name is doubled.
_WHERE = re.compile(r'"((?:[^"]|"")+)"')


def listing(server: Server, path: bytes) -> list[Entry]:
    """What is in the folder at ``path``, from the folder of the login on, with a slash at its end unless that is it.
    Raises a SourceError: NotFound where there is no such folder."""
    folder = path.rstrip(b"/") or path[:1]
    server.speak_utf8(path)
    if server.features.lists_facts:
        raw = _read(server, b"MLSD " + folder if folder else b"MLSD")
        if raw is None:
            raise NotFound("", "no such folder, or not for this user")
        return _told(list(parse_mlsd(raw)))
    home = _enter(server, folder) if folder else b""
    # A server without a file to list may say that there is none.
    raw = _read(server, b"LIST") or b""
    if home and not server.control.ask(b"CWD " + home).is_good:
        raise ConnectionLost("", "the server does not go back to the folder of the login")
    return _told(list(parse_list(raw)))


def _told(entries: list[Entry | None]) -> list[Entry]:
    told = [entry for entry in entries if entry is not None]
    if entries and not told:
        raise BadResponse("", "what it lists is in no form that is known")
    # A line that cannot be read is a name that cannot be one: whoever checks names counts it.
    return told + [Entry(b"\0", is_folder=False)] * (len(entries) - len(told))


def _enter(server: Server, folder: bytes) -> bytes:
    """Go into the folder; where we were."""
    found = _WHERE.search(server.control.ask(b"PWD").text)
    if found is None:
        raise BadResponse("", "the server does not tell the folder of the login")
    if not server.control.ask(b"CWD " + folder).is_good:
        raise NotFound("", "no such folder, or not for this user")
    return found[1].replace('""', '"').encode("latin-1")


def _read(server: Server, command: bytes) -> bytes | None:
    """What a command brings on a data connection; None where the server has nothing of that."""
    with closing(server.passive()) as plain:
        reply = server.control.ask(command)
        if reply.code not in (125, 150):
            _check_empty(reply)
            return None
        with closing(server.secured(plain)) as sock:
            raw = _received(sock, server.control.timeout_s)
    server.ended(sent_all=False)
    return raw


def _check_empty(reply: Reply) -> None:
    """Raise where a command was not obeyed for another reason than that nothing is there."""
    if reply.code == 421:
        raise ConnectionLost("", "closed its control connection (the server answered 421)")
    if reply.code not in (450, 501, 550):
        raise BadResponse("", f"it lists no folder (the server answered {reply.code})")


def _received(sock: socket.socket, timeout_s: float) -> bytes:
    """All of it. The time runs on until a line ends: byte by byte a list would last for months."""
    parts, until = bytearray(), time.monotonic() + timeout_s
    try:
        while part := _part(sock, until - time.monotonic()):
            parts += part
            if b"\n" in part:
                until = time.monotonic() + timeout_s
            if len(parts) > MAX_PAGE_BYTES:
                raise BadResponse("", f"it is larger than the {MAX_PAGE_BYTES >> 20} MiB that a list may have")
    except TimeoutError:
        raise TimedOut("", "did not go on with its list in time") from None
    except OSError as error:
        raise _broken(error) from None
    return bytes(parts)


def _part(sock: socket.socket, patience_s: float) -> bytes:
    if patience_s <= 0:
        raise TimeoutError
    sock.settimeout(patience_s)
    return sock.recv(_RECEIVE_BYTES)


def _broken(error: OSError) -> SourceError:
    return ConnectionLost("", f"closed in the middle of its list ({error.strerror or type(error).__name__})")
