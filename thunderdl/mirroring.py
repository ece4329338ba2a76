"""A folder made the same as a tree elsewhere: what is new or changed is fetched, what is gone may be removed.

    summary = await thunderdl.mirror("https://example.org/pub/", "pub", delete=True)

What must hold, whatever the list says:

1. nothing outside the folder is touched, and nothing in it through a link;
2. no file is removed unless the list was read to its end, all of it was understood, it named files, and the run was
   not stopped;
3. the run may be cut anywhere: each file is whole under its name or grows beside it, and the next run goes on.
"""

from __future__ import annotations

import asyncio
import os
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from thunderdl.client import Client, Request
from thunderdl.core.mirroring import Claim, Kept, Local, Verdict, after_asking, judged, lasting_words
from thunderdl.engine.walking import Found, Walk, facts_of, stopped
from thunderdl.errors import BadResponse, StorageError, ThunderdlError, UsageError
from thunderdl.formats.http_headers import http_date
from thunderdl.formats.tree_patterns import Selection
from thunderdl.model import Result, Status
from thunderdl.options import Exists, Options
from thunderdl.storage.mirror_state import MirrorState, read_rows
from thunderdl.storage.strays import Tree
from thunderdl.verify import hash_file

# So many files are asked about or compared at a time, beside those that are fetched.
QUESTIONS = 16
# Listed files are looked at in one go for so long; then others have a turn.
_TURN_S = 0.01
_MOST_ERRORS = 100


@dataclass(slots=True, kw_only=True)
class Mirrored:
    """What a run did, or would have done. ``failed``: files and folders that could not be had, and names that no file
    can have; ``kept_because``: why nothing was removed although that was asked for, "" where it was; ``errors``: the
    first hundred."""

    fetched: int = 0
    fetched_bytes: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    renamed: int = 0
    kept_because: str = ""
    errors: list[Exception]


class Mirror:
    """One run. Give :meth:`requests` to ``client.run``, each result to :meth:`settle`, then call :meth:`finish`.

    ``delete``: remove files that the list does not name; ``include``, ``exclude``: patterns of paths; what they leave
    out is neither fetched nor removed; ``dry_run``: look, and write nothing. ``on_problem``, ``on_deleted``,
    ``on_wanted``: told of what goes wrong beside the files, of each name that is removed, and of each that a dry run
    would fetch. Raises UsageError for an empty pattern.
    """

    def __init__(
        self, client: Client, url: str, folder: str, *, delete: bool = False, include: Iterable[str] = (),
        exclude: Iterable[str] = (), dry_run: bool = False,
        on_problem: Callable[[ThunderdlError], None] | None = None, on_deleted: Callable[[str], None] | None = None,
        on_wanted: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._client, self._url, self._folder = client, url, os.path.abspath(folder)
        self._delete, self._dry_run = delete, dry_run
        self._on_problem, self._on_deleted = on_problem or _ignored, on_deleted or _ignored
        self._on_wanted = on_wanted or _ignored
        try:
            self._selection = Selection(include, exclude)
        except ValueError as error:
            raise UsageError(f"{error}; write a pattern, as '*.iso' or 'src'.") from None
        # Of the list and its questions; each file's own come from it. A torrent or metalink in the tree is a file as
        # any other: followed, it would bring what it names under its own name, or join a swarm.
        self._options = replace(
            client.options, dir=self._folder, out=None, exists=Exists.OVERWRITE, checksum=None, piece_hashes=None,
            torrent=None, metalink=None, mirror_list=None, follow=False, files=None, remote_time=True,
        )  # fmt: skip
        self.summary = Mirrored(errors=[])
        self._tree = Tree(self._folder)
        self._state: MirrorState | None = None
        self._rows: Mapping[str, Kept] = {}
        self._folds = False
        self._walk: Walk | None = None
        self._is_listed = False
        # Names of files that the list holds, each with the hash of its URL (None where it has none), and of the folders
        # above them, in the form that tells them apart here.
        self._names: dict[str, int | None] = {}
        self._above: set[str] = set()
        self._wanted: dict[str, Found] = {}
        self._asking: set[asyncio.Task[Request | None]] = set()

    async def requests(self) -> AsyncIterator[Request]:
        """What is to be fetched. Raises ThunderdlError where there is no list, or the folder cannot be used."""
        session = self._client.session
        # Stopped meanwhile, too: what it locks is there for `finish` to unlock.
        await session.to_its_end(self._open)
        walk = self._walk = Walk(
            session, self._options, self._url, enters=self._selection.enters, on_fault=self._problem
        )  # fmt: skip
        turn = time.monotonic()
        async for found in walk.files():
            if (request := self._begin(found)) is not None:
                yield request
            while len(self._asking) >= QUESTIONS:
                for request in await _answered(self._asking):
                    yield request
            if time.monotonic() - turn > _TURN_S:
                await asyncio.sleep(0)
                turn = time.monotonic()
        while self._asking:
            for request in await _answered(self._asking):
                yield request
        self._is_listed = True
        self._tell_of(walk)

    async def settle(self, result: Result) -> None:
        """Take note of how a file ended."""
        if result.error is not None:
            if result.status is not Status.CANCELLED:
                self._count(result.error)
        elif result.path is not None:
            await self._client.session.on_quick_disk(self._settle, result)

    async def finish(self, *, was_cut: bool = False) -> Mirrored:
        """Remove what is to be removed, and close the books. ``was_cut``: the run did not come to its end. Raises
        StorageError."""
        session = self._client.session
        try:
            await stopped(self._asking)
            if self._walk is not None:
                await self._walk.close()
            if self._delete:
                self.summary.kept_because = self._why_kept(was_cut=was_cut)
                if not self.summary.kept_because:
                    # A thread that removes goes on where the wait for it ends: the folder must not be unlocked by then.
                    await session.to_its_end(self._remove)
        finally:
            await session.to_its_end(self._close)
        return self.summary

    # -- deciding

    def _begin(self, found: Found) -> Request | None:
        """The request of a file that is certainly wanted; about others somebody is asked."""
        name = found.file.name
        if not self._selection.takes(name) or not self._is_new(name, found.file.url):
            return None
        try:
            local = self._tree.local(name)
        except StorageError as error:
            self._problem(error)
            return None
        verdict = judged(_claim(found), local, self._rows.get(name))
        if verdict is Verdict.FETCH:
            return self._fetch(found)
        if verdict is Verdict.UNCHANGED or local is None:
            self.summary.unchanged += 1
            return None
        look = self._compare if verdict is Verdict.HASH else self._ask
        self._asking.add(asyncio.ensure_future(look(found, local)))
        return None

    def _is_new(self, name: str, url: str) -> bool:
        """Whether no other file of the list has that name, or needs a folder in its place."""
        key, mark = self._key(name), hash(url) if url else None
        if mark is not None and self._names.get(key) == mark:
            # Linked to once more, by a fragment or from the folder above: the same file.
            return False
        if key in self._names or key in self._above or any(above in self._names for above in _folders_above(key)):
            self._problem(BadResponse(self._url, f"{name!r} is named twice, or is a file and a folder; left out"))
            return False
        self._names[key] = mark
        self._above.update(_folders_above(key))
        return True

    def _key(self, name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold() if self._folds else name

    async def _compare(self, found: Found, local: Local) -> Request | None:
        digest, name = found.file.digest, found.file.name
        assert digest is not None
        path = os.path.join(self._folder, name)
        try:
            same = await self._client.session.on_disk(hash_file, path, digest.algorithm) == digest
        except StorageError as error:
            self._problem(error)
            return None
        if not same:
            return self._fetch(found)
        self._unchanged(name, Kept(*local, digest=str(digest)))
        return None

    async def _ask(self, found: Found, local: Local) -> Request | None:
        name, kept = found.file.name, self._rows.get(found.file.name)
        if found.offer is not None:
            return self._fetch(found)
        try:
            facts = await facts_of(self._client.session, found.file.url, self._options)
        except ThunderdlError:
            # Its download tries again, and tells what is wrong.
            return self._fetch(found)
        if after_asking(facts, local, kept) is not Verdict.UNCHANGED:
            return self._fetch(found)
        stated = lasting_words(found.file.stated, facts.modified_s, time.time())
        self._unchanged(name, Kept(*local, etag=facts.etag, stated=stated))
        return None

    def _unchanged(self, name: str, kept: Kept) -> None:
        self.summary.unchanged += 1
        self._keep(name, kept)

    def _fetch(self, found: Found) -> Request | None:
        file = found.file
        if self._dry_run:
            self.summary.fetched += 1
            self.summary.fetched_bytes += file.size_bytes or 0
            self._on_wanted(file.name)
            return None
        self._wanted[file.name] = found
        options = replace(self._options, out=file.name, checksum=file.digest)
        if found.offer is not None:
            return Request(self._url, options=options, offer=found.offer)
        return Request(file.url, options=options)

    # -- what became of it

    def _settle(self, result: Result) -> None:
        name = os.path.relpath(result.path or "", self._folder).replace(os.sep, "/")
        found = self._wanted.pop(name, None)
        if found is None:
            return
        said = found.file.size_bytes
        if said is not None and said != result.bytes:
            self._problem(BadResponse(result.url, f"the list says {said} bytes, the server sent {result.bytes}"))
            return
        self.summary.fetched += 1
        self.summary.fetched_bytes += result.bytes
        date = result.validators.last_modified
        modified = http_date(date) if date else None
        stated = found.file.stated if found.offer else lasting_words(found.file.stated, modified, time.time())
        digest, etag = str(found.file.digest) if found.file.digest else "", result.validators.etag or ""
        try:
            local = self._tree.local(name)
        except StorageError as error:
            self._problem(error)
            return
        if local is not None:
            self._keep(name, Kept(*local, digest=digest, etag=etag, stated=stated))

    def _keep(self, name: str, kept: Kept) -> None:
        if self._state is None:
            return
        try:
            self._state.keep(name, kept)
        except StorageError as error:
            self._problem(error)

    def _problem(self, error: ThunderdlError) -> None:
        self._count(error)
        self._on_problem(error)

    def _count(self, error: Exception) -> None:
        self.summary.failed += 1
        if len(self.summary.errors) < _MOST_ERRORS:
            self.summary.errors.append(error)

    def _tell_of(self, walk: Walk) -> None:
        self.summary.renamed = walk.renamed
        if names := walk.refused - walk.unread:
            self._problem(BadResponse(self._url, f"{names} listed names cannot be those of files; left out"))
        if walk.unread:
            entries = "1 entry" if walk.unread == 1 else f"{walk.unread} entries"
            why = "without a usable name, size or digest, or in contradiction to another; left out"
            self._problem(BadResponse(self._url, f"{entries} of the list {why}"))
        if walk.loops:
            self._on_problem(BadResponse(self._url, f"{walk.loops} folders hold what is above them; not gone into"))
        elif not walk.is_whole and not self.summary.errors:
            self._problem(BadResponse(self._url, "the list is longer or deeper than is taken; not all was fetched"))

    # -- the folder

    def _open(self) -> None:
        if self._dry_run:
            self._rows = read_rows(self._folder)
        else:
            self._state = MirrorState.open(self._folder)
            self._rows = self._state.rows
        self._folds = self._tree.folds_case()

    def _why_kept(self, *, was_cut: bool) -> str:
        if was_cut or not self._is_listed or self._walk is None:
            return "the run was stopped"
        if not self._walk.is_whole:
            return "the list was not read to its end"
        if self._walk.is_open:
            return "the list may have been cut off, for it has no end of its own"
        if self._walk.unread:
            return "not all of the list could be read"
        return "" if self._names else "the list names no file"

    def _remove(self) -> None:
        for name in self._tree.remove(self._is_stray, dry_run=self._dry_run):
            self.summary.deleted += 1
            self._on_deleted(name)

    def _is_stray(self, name: str) -> bool:
        """What patterns leave out is none of this mirror's."""
        return self._key(name) not in self._names and self._selection.takes(name)

    def _close(self) -> None:
        state, self._state = self._state, None
        if state is not None and not self._is_listed and not self._names:
            state.abandon()
        elif state is not None:
            # What a list that is empty, or was not read to its end, does not name may be there still.
            is_known = self._is_listed and self._names and self._walk is not None and self._walk.is_whole
            state.close((lambda name: self._key(name) in self._names) if is_known else lambda name: True)


async def mirror(
    url: str, dir: str = ".", *, delete: bool = False, include: Iterable[str] = (), exclude: Iterable[str] = (),
    dry_run: bool = False, options: Options | None = None, httpx_settings: Mapping[str, Any] | None = None,
    on_result: Callable[[Result], None] | None = None, on_deleted: Callable[[str], None] | None = None,
) -> Mirrored:  # fmt: skip
    """Make the folder ``dir`` the same as the tree that ``url`` lists: an index page of Apache or nginx, a metalink, a
    checksum file, or JSON of names, sizes and digests. Only what changed is fetched.

    ``delete``: remove files that the list does not name, where it was read to its end; ``include``, ``exclude``:
    patterns of paths, as ``*.iso`` or ``src``; ``dry_run``: write nothing, count what would be done. ``on_result``,
    ``on_deleted``: told of each file that was fetched or failed, and of each that is removed. A file that fails is
    counted. Raises ThunderdlError where there is no list, or the folder cannot be used.
    """
    async with Client(options, httpx_settings=httpx_settings) as client:
        run = Mirror(
            client, url, dir, delete=delete, include=include, exclude=exclude, dry_run=dry_run, on_deleted=on_deleted
        )
        ended = False
        try:
            async for result in client.run(run.requests()):
                await run.settle(result)
                (on_result or _ignored)(result)
            ended = True
        finally:
            await run.finish(was_cut=not ended)
        return run.summary


def _ignored(_: object) -> None:
    return


def _claim(found: Found) -> Claim:
    file = found.file
    return Claim(file.size_bytes, str(file.digest) if file.digest else "", file.stated)


def _folders_above(name: str) -> Iterable[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


async def _answered(asking: set[asyncio.Task[Request | None]]) -> list[Request]:
    """The requests of questions that were answered by now; they leave ``asking``."""
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    asking -= done
    return [request for task in done if (request := task.result()) is not None]
