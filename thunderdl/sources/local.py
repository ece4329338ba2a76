"""``file:`` URLs (RFC 8089): a copy by the same contract as a download, checked, resumed and mixed with any other.

Only this machine's files, only regular ones: a device or a pipe might never end, or do something when it is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from urllib.parse import quote

from thunderdl.errors import AccessDenied, BadResponse, InvalidUrl, NotFound, SourceError
from thunderdl.formats.links import taken_apart
from thunderdl.sources.answering import Facts, PlainRequest, answer, path_asked
from thunderdl.sources.base import Ground, OnDisk
from thunderdl.sources.carrying import READ_BYTES, CallCarrier
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import Address, Endpoint

_HERE = ("", "localhost", "127.0.0.1", "[::1]")
_ENDPOINT = Endpoint("file", "", 0)


class LocalFiles:
    """The :class:`thunderdl.sources.base.Access` for them."""

    takes_proxy = False
    runs_on = False

    def __init__(self, ground: Ground) -> None:
        self._on_disk = ground.on_disk

    def address(self, url: str) -> Address:
        host, path = taken_apart(url)
        if host.lower() not in _HERE:
            raise InvalidUrl(url, "it names a file of another machine; only file:///PATH can be read")
        if not path.startswith("/") or "%00" in path:
            raise InvalidUrl(url, "it is no absolute path; write file:///PATH")
        if path.endswith("/"):
            raise InvalidUrl(url, "it names a folder; name one file in it")
        return Address(_ENDPOINT, quote(path, safe="/%"))

    def folder(self, url: str) -> Address:
        raise InvalidUrl(url, "folders of this machine are not listed; rsync -a copies them")

    def request(self, address: Address) -> PlainRequest:
        return PlainRequest(address)

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> CallCarrier:
        return CallCarrier(_OpenFiles(self._on_disk), self._on_disk)

    async def close(self) -> None:
        return


class _Descriptor:
    """Closed when nobody uses it any more: a thread may still be reading after its reader was given up."""

    def __init__(self, path: bytes) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.fd)


class _OpenFiles:
    """The :class:`thunderdl.sources.carrying.Origin`: the file asked for last."""

    def __init__(self, on_disk: OnDisk) -> None:
        self._on_disk = on_disk
        self._file: _Descriptor | None = None
        self._view = memoryview(bytearray(READ_BYTES))
        self._path = b""

    async def head(self, transfer: Transfer) -> ResponseHead:
        return answer(await self._on_disk(self._open, path_asked(transfer)), transfer)

    def _open(self, path: bytes) -> Facts:
        try:
            if self._file is None or path != self._path:
                self._file = None
                self._file, self._path = _Descriptor(path), path
            found = os.fstat(self._file.fd)
        except OSError as error:
            raise _fault(error) from None
        if not stat.S_ISREG(found.st_mode):
            what = "a folder; name one file in it" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise BadResponse("", f"it is {what}")
        # Of nanoseconds: unlike a date in whole seconds it tells two versions of one second apart.
        tag = f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
        return Facts(size_bytes=found.st_size, modified=found.st_mtime, tag=tag)

    async def read(self, position: int, most_bytes: int) -> memoryview:
        assert self._file is not None
        part = self._view[:most_bytes]
        try:
            got = await self._on_disk(_read, self._file, part, position)
        except OSError as error:
            raise _fault(error) from None
        except asyncio.CancelledError:
            # The thread may fill the old one yet.
            self._view = memoryview(bytearray(READ_BYTES))
            raise
        return part[:got]

    def close(self) -> None:
        self._file = None


def _read(file: _Descriptor, part: memoryview, position: int) -> int:
    return os.preadv(file.fd, [part], position)


def _fault(error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound("", "no such file")
    if isinstance(error, PermissionError):
        return AccessDenied("", "it may not be read")
    return BadResponse("", f"it cannot be read ({error.strerror or type(error).__name__})")
