"""``data:`` URLs (RFC 2397): the file is in its own name."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import quote, unquote_to_bytes

from thunderdl.errors import BadResponse, InvalidUrl
from thunderdl.sources.answering import Facts, PlainRequest, answer
from thunderdl.sources.base import Ground
from thunderdl.sources.carrying import CallCarrier
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import COLLECT_BYTES, Transfer
from thunderdl.sources.http.wire import Address, Endpoint

_ENDPOINT = Endpoint("data", "", 0)
_DATA = re.compile(r"([^,]*?)(;\s*base64)?,(.*)", re.DOTALL | re.IGNORECASE)
# Whatever it holds fits into one first answer then: it never needs a journal, which would hold the URL, too.
MAX_URL_CHARACTERS = COLLECT_BYTES


class InlineData:
    """The :class:`thunderdl.sources.base.Access` for them."""

    takes_proxy = False
    runs_on = False

    def __init__(self, ground: Ground) -> None:
        self._on_disk = ground.on_disk

    def address(self, url: str) -> Address:
        if len(url) > MAX_URL_CHARACTERS:
            raise InvalidUrl(url, f"it is longer than {MAX_URL_CHARACTERS // 1024} KiB")
        content = url.lstrip(" ")[len("data:") :].partition("#")[0]
        try:
            _decoded(content)
        except ValueError as error:
            raise InvalidUrl(url, str(error)) from None
        return Address(_ENDPOINT, quote(content, safe="%/:;,+=&?!$'()*@~[]\""))

    def folder(self, url: str) -> Address:
        raise InvalidUrl(url, "it is no folder")

    def request(self, address: Address) -> PlainRequest:
        return PlainRequest(address)

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> CallCarrier:
        return CallCarrier(_Content(), self._on_disk)

    async def close(self) -> None:
        return


class _Content:
    """The :class:`thunderdl.sources.carrying.Origin`."""

    def __init__(self) -> None:
        self._content = b""

    async def head(self, transfer: Transfer) -> ResponseHead:
        try:
            self._content, kind = _decoded(transfer.request[1:].decode("ascii"))
        except ValueError as error:
            raise BadResponse("", str(error)) from None
        return answer(Facts(size_bytes=len(self._content), type=kind), transfer)

    async def read(self, position: int, most_bytes: int) -> memoryview:
        return memoryview(self._content)[position : position + most_bytes]

    def close(self) -> None:
        self._content = b""


def _decoded(content: str) -> tuple[bytes, str]:
    """The content and its media type; ValueError says why there is none."""
    found = _DATA.fullmatch(content)
    if found is None:
        raise ValueError("it has no comma before its content")
    kind, coded, raw = found[1] or "text/plain;charset=US-ASCII", bool(found[2]), unquote_to_bytes(found[3])
    if not coded:
        return raw, kind
    # As browsers take it ("forgiving-base64" of WHATWG Infra): without padding, with white space, in either alphabet.
    packed = re.sub(rb"[\t\n\f\r ]", b"", raw).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True), kind
    except binascii.Error:
        raise ValueError("its content is no base64") from None
