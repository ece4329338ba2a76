"""Looks beside a download for who else tells what its file is and where else it is.

The server's own header fields (RFC 6249, RFC 9530 and what stores and registries use), metalinks that it names,
checksum files in the same folder. Nothing here holds a download up: what is found in time is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from thunderdl.engine.documents import fetched
from thunderdl.engine.offers import Offer
from thunderdl.engine.opening import Opening
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError, shown_url
from thunderdl.formats.links import is_unaltered, scheme_of
from thunderdl.formats.stated_digests import Statement, combined, stated_digests
from thunderdl.options import Options
from thunderdl.sources.http.head import ResponseHead

if TYPE_CHECKING:
    from thunderdl.formats.metalink_http import HttpMetalink

# So many checksum files are asked for, so many at once: a stranger's server is not searched.
MOST_LOOKED_FOR, AT_ONCE = 9, 3
SIDECAR_BYTES = 1 << 20
# Who has not answered by then, counted from the question, is not waited for by a download that is through.
GRACE_S = 1.0
_TIMEOUT_S = 10.0


def offer_of_answer(url: str, opening: Opening, notes: list[str], *, insecure: bool = False) -> Offer:
    """What the header fields of an answer, and of the redirect before it, say of the file. ``insecure``: certificates
    are not checked."""
    heads = [head for head in (opening.before, opening.head) if head is not None]
    said = combined(stated_digests(_fields(head), status=head.status) for head in heads)
    linked = [(_links(head), opening.final_url if head is opening.head else opening.way[-1]) for head in heads]
    links = [_linked(lines, base) for lines, base in linked if lines]
    mirrors = dict.fromkeys(mirror.url for each in links for mirror in each.mirrors)
    notes += [f"{shown_url(url)} contradicts itself: {each}" for each in said.disagreements]
    return Offer(
        told_by=url, size=said.size, urls=tuple(mirrors), checksum=next(iter(said.of_file), None),
        torrents=tuple(one for each in links for one in each.torrents),
        documents=tuple(one for each in links for one in each.metalinks),
        signatures=tuple(one for each in links for one in each.signatures),
        is_authentic=_is_authentic(insecure, url, *opening.way, opening.final_url),
    )  # fmt: skip


def _is_authentic(insecure: bool, *urls: str) -> bool:
    """Whether all of it came as its server sent it (trust level E3)."""
    return all(is_unaltered(url) for url in urls) and not (insecure and any(scheme_of(url) != "http" for url in urls))


def _fields(head: ResponseHead) -> list[tuple[str, str]]:
    return [(name, value.decode("latin-1")) for name, value in head.fields]


def _links(head: ResponseHead) -> list[str]:
    return [value for name, value in _fields(head) if name.lower() == "link"]


def _linked(lines: list[str], base: str) -> HttpMetalink:
    from thunderdl.formats.metalink_http import metalink_http

    return metalink_http(lines, base)


class Finding:
    """``url``: the origin; ``options``: what it may be asked with; ``found``: takes each offer, on the loop; ``notes``:
    what is to be told of them; ``told_by``: who named it, where the user did not."""

    def __init__(
        self, session: Session, options: Options, url: str, found: Callable[[Offer], None], notes: list[str],
        told_by: str = "",
    ) -> None:  # fmt: skip
        self._session, self._url, self._found, self._told_by = session, url, found, told_by
        self._notes = notes
        # What each checksum file states, by its place in the order of worth. Whether they agree shows when all have
        # been read.
        self._stated: dict[int, tuple[str, Statement]] = {}
        self._options = replace(options, retries=0, timeout=min(options.timeout, _TIMEOUT_S))
        self._task: asyncio.Task[None] | None = None
        self._is_named_authentic = False
        self._began = session.loop.time()

    def begin(self, documents: Iterable[str], *, is_proven: bool, is_authentic: bool = False) -> None:
        """Look for what ``documents`` say, and for checksum files where the whole has no digest yet. ``is_authentic``:
        whether nobody can have altered what names the documents."""
        self._is_named_authentic = is_authentic
        names, beside = tuple(documents), () if is_proven else self._beside()
        if names or beside:
            self._task = self._session.loop.create_task(self._look(names, beside))

    async def settled(self) -> None:
        """Wait until all has been looked at, or :data:`GRACE_S` have passed since it began."""
        if self._task is not None:
            left = self._began + GRACE_S - self._session.loop.time()
            await asyncio.wait({self._task}, timeout=max(0.0, left))
            self.close()
            self._conclude()

    def close(self) -> None:
        """Look no further."""
        if self._task is not None:
            self._task.cancel()

    def _beside(self) -> tuple[str, ...]:
        # Behind a query lies a program or a signature for this one URL: nothing lies beside it.
        if not self._options.checksum_files or urlsplit(self._url).query:
            return ()
        from thunderdl.formats.sidecars import checksum_candidates

        return checksum_candidates(self._url)[:MOST_LOOKED_FOR]

    async def _look(self, documents: tuple[str, ...], beside: tuple[str, ...]) -> None:
        await asyncio.gather(*map(self._document, documents), self._sidecars(beside))

    async def _document(self, url: str) -> None:
        # Loaded when one is named: the parsers cost every small file 12 ms of its start.
        from thunderdl.engine.metalinks import metalink_of, offers_of

        try:
            # It is told by the server of the file: what the user sends to that one is for no other.
            options = replace(self._options, headers=(), files=None)
            offers = offers_of(await metalink_of(self._session, url, options, self._url), url, options)
        except ThunderdlError:
            return
        name = unquote(urlsplit(self._url).path).rpartition("/")[2]
        alike = offers if len(offers) == 1 else [each for each in offers if each.name.rpartition("/")[2] == name]
        if len(alike) == 1:
            is_authentic = self._is_named_authentic and _is_authentic(self._options.insecure, url)
            self._found(replace(alike[0], name="", is_authentic=is_authentic))

    async def _sidecars(self, candidates: tuple[str, ...]) -> None:
        from thunderdl.formats.sidecars import is_weak_sidecar

        # Where each connection logs in, over one: the lanes want the others, and take that one when it is idle.
        at_once = AT_ONCE if self._session.protocol(scheme_of(self._url)) is None else 1
        for at in range(0, len(candidates), at_once):
            wave = list(enumerate(candidates[at : at + at_once], at))
            if self._stated:
                # Whether others of its worth say the same is left to be seen.
                wave = [(place, url) for place, url in wave if not is_weak_sidecar(url)]
            await asyncio.gather(*(self._read(place, url) for place, url in wave))
        self._conclude()

    async def _read(self, place: int, url: str) -> None:
        """Keep what a checksum file states as soon as it is here: another one may never come."""
        if (text := await self._text(url)) is not None:
            said = self._statement(url, text)
            if said.digests or said.disagreements:
                self._stated[place] = url, said

    async def _text(self, url: str) -> bytes | None:
        """A checksum file; None where there is none. Those of one folder are asked for once in a session."""

        async def ask() -> bytes | None:
            try:
                return await fetched(
                    self._session, url, self._options, most_bytes=SIDECAR_BYTES, told_by=self._told_by,
                    is_asked_for=False,
                )  # fmt: skip
            except ThunderdlError:
                return None

        # What is denied to a stranger's word is there for the user's, perhaps.
        return await self._session.shelf.get(f"{self._told_by} {url}" if self._told_by else url, ask)

    def _statement(self, url: str, text: bytes) -> Statement:
        from thunderdl.formats.checksum_files import digests_in

        name = unquote(urlsplit(self._url).path).rpartition("/")[2]
        return digests_in(text, target=name, sidecar=unquote(url.rpartition("/")[2]))

    def _conclude(self) -> None:
        """Hand on the first digest that no other checksum file contradicts, and tell of those that do."""
        stated = [self._stated[place] for place in sorted(self._stated)]
        self._stated.clear()
        said = combined(each for _, each in stated)
        self._notes += [f"beside {shown_url(self._url)}: {each}; neither is believed" for each in said.disagreements]
        agreed = {digest: url for url, each in reversed(stated) for digest in each.of_file if digest in said.of_file}
        for url, each in stated:
            if digest := next((digest for digest in each.of_file if digest in agreed), None):
                others = tuple((by, other) for other, by in agreed.items() if other.algorithm != digest.algorithm)
                authentic = _is_authentic(self._options.insecure, url)
                found = Offer(told_by=url, checksum=digest, is_beside=True, others=others, is_authentic=authentic)
                self._found(found)
                return
