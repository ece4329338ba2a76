"""Whether the user's key signed a download: who may have its signature, asked once the bytes are there and right.

A signature proves itself, so it may come from anybody: a metalink, a Link header, beside any URL that brought the file,
or beside the checksum file whose digest the file has. Without a good one the file does not get its final name.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from thunderdl.engine.access import of_stranger
from thunderdl.engine.documents import fetched
from thunderdl.errors import BadSignature, ThunderdlError, printable, shown_url
from thunderdl.formats.checksum_files import digests_in
from thunderdl.formats.hashes import new_hasher
from thunderdl.formats.metalink_model import Signature
from thunderdl.formats.sidecars import checksum_candidates, signature_candidates
from thunderdl.formats.strength import is_strong
from thunderdl.model import Digest
from thunderdl.options import Exists
from thunderdl.signatures import (
    MAX_SIGNATURE_BYTES,
    Key,
    check_clear_signed,
    check_signature,
    is_clear_signed,
    load_key,
)
from thunderdl.storage.files import write_small

if TYPE_CHECKING:
    from thunderdl.engine.candidates import Candidate
    from thunderdl.engine.download import Download
    from thunderdl.engine.session import Session

# So many of the URLs that brought the file are looked beside.
MOST_BESIDE = 3
_TIMEOUT_S = 15.0
_CHUNK_BYTES = 1024 * 1024
# What a signature is called that is saved beside the file.
_SUFFIXES = {"application/pgp-signature": ".asc"}


@dataclass(frozen=True, slots=True)
class Made:
    """A signature, and where it came from."""

    told_by: str
    text: bytes


class Signed:
    """The check of one download against ``options.signed_by``. Raises UsageError for a key that is none."""

    def __init__(self, download: Download, path: str) -> None:
        self._download, self._session, self._path = download, download.session, path
        self._key: Key | None = None

    async def load(self) -> None:
        """Read the key, before anything is asked for. Raises UsageError."""
        self._key = await self._session.on_disk(load_key, self._path)

    async def check(self, what: str, open_it: Callable[[], BinaryIO]) -> str:
        """Who signed the file called ``what``, which ``open_it`` opens. Raises BadSignature, StorageError."""
        assert self._key is not None
        made = await self._of_the_file()
        if made is not None:
            who = await self._session.on_disk(_check, self._key, made, open_it, what)
            self._download.notes.append(f"signed by {who}, as {shown_url(made.told_by)} proves")
            return who
        return await self._of_its_checksum(what, open_it)

    async def _of_the_file(self) -> Made | None:
        """The first signature of the key's kind, by the order of who is asked."""
        for each in self._download.signatures:
            if self._fits(text := each.text.strip().encode() + b"\n"):
                return Made(self._download.offer.told_by if self._download.offer else "metalink", text)
        named = self._download.stated.signatures if self._download.stated else ()
        if (made := await self._first([(url, None) for url in named])) is not None:
            return made
        for candidate in self._beside():
            wanted = [(url, candidate) for url in signature_candidates(candidate.url)]
            if (made := await self._first(wanted)) is not None:
                return made
        return None

    def _beside(self) -> list[Candidate]:
        """The origin where it answered, then those that brought most."""
        brought = [each for each in self._download.candidates.all if each.source is not None and each.source.bytes]
        brought.sort(key=lambda each: -(each.source.bytes if each.source else 0))
        every = self._download.candidates
        brought.sort(key=lambda each: each is not every.origin)
        # All of it may have been here already.
        return brought[:MOST_BESIDE] or ([every.origin] if every.all else [])

    async def _of_its_checksum(self, what: str, open_it: Callable[[], BinaryIO]) -> str:
        """The signature of a checksum file beside it, whose digest the file must have."""
        for candidate in self._beside()[:1]:
            urls = checksum_candidates(candidate.url)
            texts = await asyncio.gather(*(self._get(url, candidate) for url in urls))
            for url, text in zip(urls, texts, strict=True):
                digest = _strong_digest(text, url, candidate.url) if text else None
                if text is None or digest is None or (who := await self._who_signed(url, text, candidate)) is None:
                    continue
                # Taken from the text that was signed, and not from what was heard of such a file before.
                if digest != await self._session.on_disk(_digest_of, open_it, digest.algorithm):
                    raise BadSignature(what, f"it has another digest than {shown_url(url)} tells, which is signed")
                self._download.notes.append(f"{shown_url(url)}, whose digest it has, is signed by {who}")
                return who
        raise BadSignature(
            what, "no signature of it by a key of this kind was found; without --signed-by none is needed"
        )

    async def _who_signed(self, url: str, text: bytes, beside: Candidate) -> str | None:
        """Who signed a checksum file; None where nobody did. Raises BadSignature."""
        assert self._key is not None
        if is_clear_signed(text):
            return await self._session.on_disk(check_clear_signed, self._key, text, shown_url(url))
        found = await self._first([(each, beside) for each in signature_candidates(url)])
        if found is None:
            return None
        return await self._session.on_disk(_check, self._key, found, of_memory(text), url)

    async def _first(self, wanted: Sequence[tuple[str, Candidate | None]]) -> Made | None:
        texts = await asyncio.gather(*(self._get(url, candidate) for url, candidate in wanted))
        fitting = [Made(url, text) for (url, _), text in zip(wanted, texts, strict=True) if text and self._fits(text)]
        return next(iter(fitting), None)

    def _fits(self, text: bytes) -> bool:
        # A page of HTML that answers every question is none.
        return self._key is not None and self._key.fits(text)

    async def _get(self, url: str, beside: Candidate | None) -> bytes | None:
        # What others name gets nothing of the user's; what lies beside the user's own URL does.
        options = beside.options if beside else of_stranger(self._download.options)
        told_by = beside.told_by if beside else self._download.url
        settled = replace(options, retries=0, timeout=min(options.timeout, _TIMEOUT_S))
        try:
            return await fetched(
                self._session, url, settled, most_bytes=MAX_SIGNATURE_BYTES, told_by=told_by, is_asked_for=False
            )
        except ThunderdlError:
            return None


def _strong_digest(text: bytes, sidecar: str, url: str) -> Digest | None:
    """What a checksum file tells of the file at ``url``: a signed weak digest proves little."""
    name, own = (unquote(urlsplit(each).path).rpartition("/")[2] for each in (url, sidecar))
    return next((one for one in digests_in(text, target=name, sidecar=own).of_file if is_strong(one.algorithm)), None)


def _digest_of(open_it: Callable[[], BinaryIO], algorithm: str) -> Digest:
    hasher = new_hasher(algorithm)
    with open_it() as signed:
        while part := signed.read(_CHUNK_BYTES):
            hasher.update(memoryview(part))
    return Digest(algorithm, hasher.digest())


def _check(key: Key, made: Made, open_it: Callable[[], BinaryIO], what: str) -> str:
    with open_it() as signed:
        return check_signature(key, made.text, signed, printable(what), shown_url(made.told_by))


def of_memory(body: bytes) -> Callable[[], BinaryIO]:
    """Opens what lies in memory as a file: whoever checks it wants a descriptor."""

    def open_it() -> BinaryIO:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - who asks for it closes it
        file.write(body)
        file.seek(0)
        return cast(BinaryIO, file)

    return open_it


def of_file(path: str) -> Callable[[], BinaryIO]:
    """Opens a file on the disk."""
    return lambda: open(path, "rb")


async def keep_signatures(session: Session, path: str, signatures: tuple[Signature, ...]) -> list[str]:
    """Put a metalink's signatures beside its file; what to say of it. What has such a name already is left as it is."""
    try:
        saved = await session.on_disk(_save, path, signatures)
    except ThunderdlError as error:
        return [f"its signature is not saved: {str(error).rstrip('.')}"]
    return [f"its signature is saved as {printable(each)}" for each in saved]


def _save(path: str, signatures: tuple[Signature, ...]) -> tuple[str, ...]:
    saved = []
    for each in signatures:
        name = path + _SUFFIXES.get(each.mediatype, ".minisig" if "minisig" in each.mediatype else ".sig")
        if not os.path.lexists(name):
            saved.append(write_small(name, each.text.strip().encode() + b"\n", Exists.REFUSE))
    return tuple(saved)
