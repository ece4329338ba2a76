"""The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as far as reading files needs them. No I/O.

Version 3 is what OpenSSH speaks, and what every other server falls back to. Nothing here trusts a length: whatever
does not fit its packet raises ValueError with a clause that says what.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# OpenSSH's own bound (sftp-common.h, SFTP_MAX_MSG_LENGTH): no honest server sends more.
MAX_PACKET_BYTES = 256 * 1024
# What every server must take (section 3 of the draft); more where it says so.
SAFE_READ_BYTES = 32 * 1024
LIMITS = b"limits@openssh.com"

VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 2, 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
_INIT, _OPEN, _CLOSE, _READ, _FSTAT, _OPENDIR, _READDIR, _EXTENDED = 1, 3, 4, 5, 8, 11, 12, 200
_FOR_READING = 1
_HAS_SIZE, _HAS_OWNER, _HAS_PERMISSIONS, _HAS_TIMES, _HAS_MORE = 1, 2, 4, 8, 0x80000000
_FORMAT_BITS, _REGULAR, _FOLDER = 0o170000, 0o100000, 0o040000


class Attributes(NamedTuple):
    """What a server says of a file; None where it does not. ``modified``: seconds since 1970."""

    size_bytes: int | None
    permissions: int | None
    modified: int | None

    @property
    def is_folder(self) -> bool:
        return self._format == _FOLDER

    @property
    def is_file(self) -> bool:
        """Certainly a regular file."""
        return self._format == _REGULAR

    @property
    def is_special(self) -> bool:
        """Certainly neither a file nor a folder: a device, a pipe, a socket."""
        return self._format not in (0, _REGULAR, _FOLDER)

    @property
    def _format(self) -> int:
        return (self.permissions or 0) & _FORMAT_BITS


class Status(NamedTuple):
    """How a request went; ``message``: in the server's words, not to be shown as they are."""

    code: int
    message: str


def init() -> bytes:
    """The first packet of a client."""
    return _packet(_INIT, struct.pack(">I", 3))


def open_file(request_id: int, path: bytes) -> bytes:
    """For reading; answered by HANDLE."""
    return _packet(_OPEN, struct.pack(">I", request_id) + _string(path) + struct.pack(">II", _FOR_READING, 0))


def open_folder(request_id: int, path: bytes) -> bytes:
    """Answered by HANDLE."""
    return _packet(_OPENDIR, struct.pack(">I", request_id) + _string(path))


def read_folder(request_id: int, handle: bytes) -> bytes:
    """Answered by NAME with some of its entries, or by STATUS with EOF behind the last."""
    return _packet(_READDIR, struct.pack(">I", request_id) + _string(handle))


def fstat(request_id: int, handle: bytes) -> bytes:
    """Answered by ATTRS."""
    return _packet(_FSTAT, struct.pack(">I", request_id) + _string(handle))


def read(request_id: int, handle: bytes, position: int, length: int) -> bytes:
    """Answered by DATA of at most ``length`` bytes, or by STATUS with EOF."""
    return _packet(_READ, struct.pack(">I", request_id) + _string(handle) + struct.pack(">QI", position, length))


def close(request_id: int, handle: bytes) -> bytes:
    """Answered by STATUS."""
    return _packet(_CLOSE, struct.pack(">I", request_id) + _string(handle))


def ask_limits(request_id: int) -> bytes:
    """OpenSSH's extension (PROTOCOL, section 4.8); answered by EXTENDED_REPLY where VERSION names it."""
    return _packet(_EXTENDED, struct.pack(">I", request_id) + _string(LIMITS))


def parse_version(payload: bytes) -> tuple[int, frozenset[bytes]]:
    """The version and the names of the extensions, from what follows the type of a VERSION packet."""
    fields, names = _Fields(payload), set()
    version = fields.number()
    while fields.left:
        names.add(fields.string())
        fields.string()
    return version, frozenset(names)


def parse_handle(payload: bytes) -> bytes:
    """From what follows the id of a HANDLE packet; at most 256 bytes long (section 6.3)."""
    handle = _Fields(payload).string()
    if len(handle) > 256:
        raise ValueError("a file handle of more than 256 bytes")
    return handle


def parse_status(payload: bytes) -> Status:
    """From what follows the id of a STATUS packet; old servers leave the message out."""
    fields = _Fields(payload)
    code = fields.number()
    return Status(code, fields.string().decode("utf-8", "replace") if fields.left else "")


def parse_attributes(payload: bytes) -> Attributes:
    """From what follows the id of an ATTRS packet (section 5)."""
    return _attributes(_Fields(payload))


def parse_names(payload: bytes) -> list[tuple[bytes, Attributes]]:
    """Names and attributes, from what follows the id of a NAME packet (section 7)."""
    fields, found = _Fields(payload), list[tuple[bytes, Attributes]]()
    # The count is a stranger's number: what is not there raises.
    for _ in range(fields.number()):
        name = fields.string()
        # In the form of ls -l, for people.
        fields.string()
        found.append((name, _attributes(fields)))
    return found


def _attributes(fields: _Fields) -> Attributes:
    flags = fields.number()
    size = fields.long() if flags & _HAS_SIZE else None
    if flags & _HAS_OWNER:
        fields.long()
    permissions = fields.number() if flags & _HAS_PERMISSIONS else None
    modified = (fields.number(), fields.number())[1] if flags & _HAS_TIMES else None
    for _ in range(fields.number() if flags & _HAS_MORE else 0):
        fields.string(), fields.string()
    if size is not None and size >= 1 << 63:
        raise ValueError("a file of more than 2^63 bytes")
    return Attributes(size, permissions, modified)


def parse_limits(payload: bytes) -> int:
    """The most bytes that one read may ask for, from what follows the id of the reply; 0 where it has no limit."""
    fields = _Fields(payload)
    fields.long()
    return fields.long()


def _packet(kind: int, payload: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def _string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


class _Fields:
    """Reads a packet from front to back."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._at

    def number(self) -> int:
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        return int.from_bytes(self._take(8))

    def string(self) -> bytes:
        return self._take(self.number())

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("a packet that is shorter than its fields")
        self._at += count
        return self._payload[self._at - count : self._at]
