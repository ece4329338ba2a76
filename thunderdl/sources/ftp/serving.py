"""One server, logged in: from an endpoint to a control connection, from a path to a data connection. Blocking."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, replace
from typing import NamedTuple

from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    IsFolder,
    NotFound,
    ServerBusy,
    SourceError,
    TimedOut,
    TlsFailure,
)
from thunderdl.sources.answering import Facts
from thunderdl.sources.ftp.control import Control, Features, Reply, features_of, size_of, time_of
from thunderdl.sources.http.connect import TlsSettings, connect_fault, tcp
from thunderdl.sources.http.dialing import Reach
from thunderdl.sources.http.wire import Endpoint

ANONYMOUS = ("anonymous", "anonymous@")
# RFC 2428 section 3: any character may part the fields; RFC 959 section 4.1.2: of the address nothing is used.
_EXTENDED = re.compile(r"\(([!-~])\1\1(\d{1,5})\1\)", re.ASCII)
_PASSIVE = re.compile(r"\d{1,3},\d{1,3},\d{1,3},\d{1,3},(\d{1,3}),(\d{1,3})", re.ASCII)
_SIZE_TOLD = re.compile(r"\((\d{1,19}) bytes\)", re.ASCII | re.IGNORECASE)
_TOO_MANY = re.compile(r"too many|max|limit|connections|busy|later", re.IGNORECASE)
# What tells how a transfer ended: its bytes are there by then.
END_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """A data connection on which a file comes, from ``start`` to its end. ``sock``: non-blocking."""

    sock: socket.socket
    facts: Facts
    path: bytes
    start: int


class Way(NamedTuple):
    """How connections are made."""

    tls: TlsSettings
    reach: Reach


class Server:
    """Made by :func:`log_in`. Belongs to one thread at a time."""

    def __init__(self, endpoint: Endpoint, control: Control, way: Way, *, is_secure: bool) -> None:
        self.control, self._endpoint, self._way, self._is_secure = control, endpoint, way, is_secure
        self.features = Features()

    def learn(self, known: Features | None) -> None:
        """Bytes as they are, and what the server can do, as far as that is not known."""
        _expect(self.control.ask(b"TYPE I"), "does not send files as they are")
        self.features = replace(known) if known is not None else features_of(self.control.ask(b"FEAT"))

    # -- one file

    def facts(self, path: bytes) -> Facts:
        """Size and time of a file, as far as the server tells them: asked before every retrieval, since nothing else
        shows that it is still the same file. Raises NotFound where it tells them of others: no data connection is made
        for nothing then."""
        self.speak_utf8(path)
        size = _alive(self.control.ask(b"SIZE " + path))
        modified = _alive(self.control.ask(b"MDTM " + path))
        if size.code == modified.code == 550 and self.features.tells_facts:
            raise self._why_not(path, size)
        ranges = self.features.rest is not False
        return Facts(size_bytes=size_of(size), modified=time_of(modified), ranges=ranges)

    def speak_utf8(self, path: bytes) -> None:
        """Have the path read as UTF-8, where that makes a difference."""
        if self.features.utf8 and not path.isascii():
            self.control.ask(b"OPTS UTF8 ON")

    def retrieve(self, path: bytes, start: int, facts: Facts) -> Retrieval:
        """Have it sent, from ``start`` where the server can do that, else from its beginning."""
        sock = self.passive()
        try:
            if not self._restart(start):
                start, facts = 0, replace(facts, ranges=False)
            reply = self.control.ask(b"RETR " + path)
            if reply.code not in (125, 150):
                raise self._why_not(path, reply)
            if facts.size_bytes is None and start == 0:
                # Of a part it would not be told, or another number: so all of it comes on one connection.
                facts = replace(facts, size_bytes=_size_told(reply), ranges=False)
            sock = self.secured(sock)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return Retrieval(sock=sock, facts=facts, path=path, start=start)

    def _restart(self, start: int) -> bool:
        if self.features.rest is None:
            # Asked even where it would not be needed: the answer to the first range promises the others.
            self.features.rest = self.control.ask(b"REST 1").code == 350
            if self.features.rest and start == 0:
                self.control.ask(b"REST 0")
        if not start or not self.features.rest:
            return self.features.rest
        return self.control.ask(b"REST %d" % start).code == 350

    def _why_not(self, path: bytes, reply: Reply) -> SourceError:
        if reply.code == 421:
            return ConnectionLost("", "closed its control connection (the server answered 421)")
        if reply.code < 500:
            return ConnectionLost("", f"cannot send it just now (the server answered {reply.code})")
        if reply.code in (530, 532):
            return AccessDenied("", f"access denied (the server answered {reply.code})")
        if self.control.ask(b"CWD " + path).is_good:
            return IsFolder("")
        if reply.code in (550, 553):
            return NotFound("", f"not found, or not for this user (the server answered {reply.code})")
        return BadResponse("", f"the server answered {reply.code}")

    # -- the data connection

    def passive(self) -> socket.socket:
        """A data connection to the host of the control connection, whatever the server says: an address in its answer
        could make us knock at any door (curl CVE-2020-8284)."""
        if self.features.passive != b"PASV":
            reply = self.control.ask(b"EPSV")
            if reply.code == 229:
                self.features.passive = b"EPSV"
                found = _EXTENDED.search(reply.text)
                return self._data(_port(int(found[2]) if found else 0))
        reply = _alive(self.control.ask(b"PASV"))
        if reply.code != 227:
            raise BadResponse("", f"no passive mode (the server answered {reply.code})")
        self.features.passive = b"PASV"
        found = _PASSIVE.search(reply.text)
        return self._data(_port(int(found[1]) * 256 + int(found[2]) if found else 0))

    def _data(self, port: int) -> socket.socket:
        there = replace(self._endpoint, port=port)
        if there.proxy is None:
            # The very machine: a name may stand for several.
            there = replace(there, host=self.control.sock.getpeername()[0])
        try:
            return tcp(there, self._way.tls, self.control.timeout_s, self._way.reach)
        except TimedOut:
            raise TimedOut("", "its data connection did not come") from None
        except ConnectFailed as error:
            raise ConnectFailed("", f"its data connection could not be made: {error.reason}") from None

    def secured(self, sock: socket.socket) -> socket.socket:
        """The data connection as it is to be used. Where there is TLS, in the session of the control connection: some
        servers take no other (vsftpd's require_ssl_reuse), and it proves that both ends are the same."""
        if not self._is_secure:
            return sock
        control = self.control.sock
        session = control.session if isinstance(control, ssl.SSLSocket) else None
        sock.settimeout(self.control.timeout_s)
        try:
            context = self._way.tls.context(protocol="ftp")
            return context.wrap_socket(sock, server_hostname=self._endpoint.host, session=session)
        except (OSError, ValueError) as error:
            raise connect_fault("", error) from None

    # -- its end

    def ended(self, *, sent_all: bool) -> bool:
        """Hear how a retrieval ended. Whether the control connection can go on. ``sent_all``: as many bytes as were
        stated have come, and the end behind them; where nothing was stated, the server's word alone tells a whole file
        from a part. Raises a SourceError then."""
        try:
            reply = self.control.reply(END_S)
        except (TimedOut, ConnectionLost):
            if sent_all:
                # A firewall forgets a control connection that was silent for a long file.
                return False
            raise
        if not reply.is_good and not sent_all:
            raise ConnectionLost("", f"it was not sent to its end (the server answered {reply.code})")
        return True

    def broke(self) -> SourceError:
        """Why a data connection ended too early."""
        try:
            reply = self.control.reply(END_S)
        except SourceError as error:
            return error if isinstance(error, BadResponse) else ConnectionLost("", "closed in the middle of the file")
        if reply.is_good:
            # It thinks that this was all: asked again it would think so again.
            return BadResponse("", "the file is shorter than the server stated")
        return ConnectionLost("", f"closed in the middle of the file (the server answered {reply.code})")

    def broken_off(self) -> None:
        """Have the answer to a retrieval whose data connection was closed by us."""
        self.control.reply(END_S)


def log_in(endpoint: Endpoint, way: Way, timeout_s: float, known: Features | None = None) -> Server:
    """A server that is ready to be asked for files. ``known``: this login has worked, and showed that. Raises a
    SourceError."""
    control = Control(tcp(endpoint, way.tls, timeout_s, way.reach), timeout_s)
    try:
        secure = _greeted(control, endpoint, way.tls)
        _name_user(
            control, endpoint.login or ANONYMOUS, is_known=known is not None, is_anonymous=endpoint.login is None
        )
        if secure:
            _expect(control.ask(b"PBSZ 0"), "does not protect files")
            _expect(control.ask(b"PROT P"), "does not protect files")
        server = Server(endpoint, control, way, is_secure=secure)
        server.learn(known)
        return server
    except BaseException:
        control.close()
        raise


def _greeted(control: Control, endpoint: Endpoint, tls: TlsSettings) -> bool:
    """The greeting, and TLS where it is asked for: before it (RFC 4217 does not like it, servers at port 990 do it) or
    after AUTH. Whether there is TLS."""
    is_implicit = endpoint.scheme == "ftps" and endpoint.port != 21
    if is_implicit:
        control.secure(tls.context(protocol="ftp"), endpoint.host)
    if (reply := control.reply()).code == 120:
        reply = control.reply()
    if not reply.is_good:
        raise _busy(reply)
    if endpoint.scheme == "ftp" or is_implicit:
        return is_implicit
    reply = control.ask(b"AUTH TLS")
    if reply.code != 234:
        raise TlsFailure(
            "", f"the server speaks no TLS (it answered {reply.code})", "ask by ftp:// if you trust the way"
        )
    control.secure(tls.context(protocol="ftp"), endpoint.host)
    return True


def _name_user(control: Control, login: tuple[str, str], *, is_known: bool, is_anonymous: bool) -> None:
    # As their file holds them, which need not be UTF-8.
    user, password = (text.encode("utf-8", "surrogateescape") for text in login)
    reply = control.ask(b"USER " + user)
    if reply.code == 331:
        reply = control.ask(b"PASS " + password)
    if reply.is_good:
        return
    if reply.code in (421, 425, 426, 450) or is_known or (reply.code >= 500 and _TOO_MANY.search(reply.text)):
        raise _busy(reply)
    if reply.code not in (430, 530, 532, 331, 332):
        raise BadResponse("", f"it lets nobody in (the server answered {reply.code})")
    if is_anonymous:
        raise AccessDenied(
            "", f"it takes no anonymous user (the server answered {reply.code})",
            "give a user name and a password in the URL or with --netrc",
        )  # fmt: skip
    raise AccessDenied("", f"user name or password is wrong (the server answered {reply.code})", "check both")


def _busy(reply: Reply) -> ServerBusy:
    # 429: of the host, whatever is asked for. There is no Retry-After here.
    return ServerBusy("", 429, None, f"takes no further connection now (the server answered {reply.code})")


def _expect(reply: Reply, otherwise: str) -> None:
    if not _alive(reply).is_good:
        raise BadResponse("", f"{otherwise} (the server answered {reply.code})")


def _alive(reply: Reply) -> Reply:
    if reply.code == 421:
        raise ConnectionLost("", "closed its control connection (the server answered 421)")
    return reply


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise BadResponse("", "its answer names no port")
    return port


def _size_told(reply: Reply) -> int | None:
    """Where SIZE is unknown, the size may be told in passing: "150 Opening ... (123 bytes)"."""
    found = _SIZE_TOLD.search(reply.text)
    return int(found[1]) if found and int(found[1]) < 1 << 63 else None
