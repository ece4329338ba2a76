"""One file, from its URLs to its final name.

The origin is opened first (mirrors meanwhile). A file that came whole with the first answer is checked and saved
right here; anything larger goes to :mod:`thunderdl.engine.ranged`, which is loaded then (scheduler, journal and
hashing cost a small file's start 40 ms for nothing), or with mirrors while they are asked: whoever names mirrors
means a large file. :meth:`Download.run` never raises but for cancellation: how it ended is in the Result.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.core.trust import Version
from thunderdl.engine.candidates import Candidate, Candidates, FirstRange, from_the_start, source_of
from thunderdl.engine.marking import marker
from thunderdl.engine.naming import Skipped, Target, choose_target, guess_target
from thunderdl.engine.offers import METALINK_PREFIX, PEERS_FROM_BYTES, Offer, Proof, enriched, telling_size
from thunderdl.engine.opening import Opening, for_document, for_url, origin_of
from thunderdl.engine.own_list import OwnList
from thunderdl.engine.session import Session, seen_through
from thunderdl.engine.single import save_small, whole_body
from thunderdl.engine.snapshot import progress_of, source_progress
from thunderdl.engine.url_digest import refuse_unreadable, with_url_digest
from thunderdl.errors import BadContent, ThunderdlError, UsageError, foreseen, printable, shown_url
from thunderdl.formats.links import REMOTE_SCHEMES, is_magnet, names_metalink, scheme_of
from thunderdl.model import ContentKey, Explanation, Progress, Result, Status
from thunderdl.options import Exists, Options
from thunderdl.sources.http.transfer import COLLECT_BYTES

if TYPE_CHECKING:
    from thunderdl.core.ranges import RangeSet
    from thunderdl.engine.ranged import Ranged
    from thunderdl.engine.sharing_back import SharingBack
    from thunderdl.engine.signing import Signed
    from thunderdl.formats.metalink_model import Signature
    from thunderdl.sources.swarm.crowd import Crowd
    from thunderdl.sources.swarm.torrent import Torrent
    from thunderdl.storage.marks import Mark


# A download that has run for so long and has so long to go is long.
LONG_S, LONG_LEFT_S = 3.0, 10.0
# Mirrors that have not answered by then leave time to load what ranges need.
LOAD_AFTER_S = 0.01


class Download:
    """``urls``: the origin first, then its mirrors; none where ``options.torrent`` names what it is. ``url``: what the
    user asked for, where that is none of them; ``torrent``: where it is loaded already; ``offer``: what a metalink says
    of it; ``metalink``: names one that is still to be read; ``without``: URLs that nothing is to come from."""

    def __init__(
        self, session: Session, urls: Sequence[str], options: Options, url: str = "", torrent: Torrent | None = None,
        offer: Offer | None = None, metalink: str | None = None, without: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.session, self.options, self.offer, self._metalink = session, options, offer, metalink
        self._without = without
        # What password and token were given for.
        self._home = url if origin_of(url) else next(iter(urls), "")
        self.notes: list[str] = []
        # Whose word the hashes are.
        self.proof = Proof()
        # Whose digest it is checked by, where the user has given none.
        self._checked_by = urls[:1] if options.checksum is None else ()
        self.options = with_url_digest(options, urls, self.notes)
        self.candidates = Candidates(
            session, urls, self.options, home=url if origin_of(url) else "", without=without
        )  # fmt: skip
        self.settle_proof()
        if offer is not None:
            self._take_offer(offer)
        self.url, self.torrent = url or self.candidates.origin.url, torrent
        # What the first answer's header fields said.
        self.stated: Offer | None = None
        # Whose signature is wanted.
        self._signed: Signed | None = None
        self.own_list = OwnList(self)
        # Told of torrents of the same content that others name.
        self.on_torrents: Callable[[tuple[str, ...]], None] = lambda references: None
        # How long it is by the user's word.
        self.said_bytes: int | None = None
        # Whether a choice of files is none of a file that holds no others.
        self.may_be_one_file = False
        # Called in a thread with the finished file, or folder, open, right before it gets its final name; never raises.
        self.on_commit: Callable[[int], None] | None = None
        # Called once its part is there under the name of its target.
        self.on_settled: Callable[[], None] = lambda: None
        # Waited for when it is whole and is to be shared, before anybody is told so; never raises.
        self.on_sharing: Callable[[], Awaitable[None]] | None = None
        self.status = Status.QUEUED
        self.target: Target | None = None
        # What it got, which may be another name, once all is there: who stops it then comes too late.
        self.saved_path: str | None = None
        self.verified: tuple[str, ...] = ()
        self.version, self.single_bytes = Version(), 0
        self.content_key: ContentKey | None = None
        # The map that was last shown, and what of.
        self.map_made: tuple[RangeSet, bytes] | None = None
        self.started = time.monotonic()
        self.ranged: Ranged | None = None
        # Held, or the garbage collector may take the task.
        self._loading: asyncio.Task[None] | None = None
        # While it is shared after its end, and since when it is whole.
        self.sharing: SharingBack | None = None
        self.ended: float | None = None

    def progress(self) -> Progress:
        """A snapshot of now."""
        return progress_of(self)

    def explanations(self) -> tuple[Explanation, ...]:
        """Why each source is used as it is now."""
        from thunderdl.engine.explanations import explanations

        return explanations(self)

    def is_long(self) -> bool:
        """Whether it has run for a while, and has much left to do at the rate so far."""
        if self.ranged is None or (ran_s := time.monotonic() - self.started) < LONG_S:
            return False
        size, done = self.version.size, self.ranged.fetched_bytes
        return size is None or done * LONG_LEFT_S < (size - self.ranged.resumed_bytes - done) * ran_s

    async def run(self) -> Result:
        """Download it; how it ended. Raises only CancelledError."""
        self.status, self.started = Status.ACTIVE, time.monotonic()
        path: str | None = None
        error: ThunderdlError | None = None
        try:
            path, self.verified = await self._download()
            self.saved_path, self.status = path, Status.COMPLETE
        except Skipped as skipped:
            path, self.status = skipped.path, Status.SKIPPED
            self.saved_path = path
        except asyncio.CancelledError:
            if self.saved_path is None:
                await self._leave()
            else:
                self.candidates.close()
                self.status, self.ended = Status.COMPLETE, time.monotonic()
            raise
        except Exception as caught:
            error, self.status = foreseen(caught), Status.FAILED
            from thunderdl.engine.losses import forgotten, not_told_by

            told = (*self.own_list.untried(), *forgotten(self.candidates))
            self.notes[:] = [*not_told_by(error, self.notes), *told]
            await self._leave()
        self.candidates.close()
        if self.status is Status.COMPLETE:
            if path is not None and self.options.save_signatures and self.signatures:
                from thunderdl.engine.signing import keep_signatures

                self.notes += await keep_signatures(self.session, path, self.signatures)
            self.notes += list(self.ranged.losses() if self.ranged is not None else self._losses_of_a_small_one())
        if self.ranged is not None:
            await self.session.write_trace(self.notes)
        remarks = self.session.access.keeping.remarks
        self.notes += remarks
        remarks.clear()
        self.ended = time.monotonic()
        if self.status is Status.COMPLETE and path is not None:
            await self._share(path)
        return self.result(path, error)

    def result(self, path: str | None, error: Exception | None = None) -> Result:
        """The Result as things stand."""
        sources = source_progress(self)
        size = self.version.size if self.version.size is not None else self.single_bytes
        return Result(
            url=self.url, path=path, bytes=size if path else 0,
            seconds=self.seconds, status=self.status, verified=self.verified if path else (),
            resumed_bytes=self.ranged.resumed_bytes if self.ranged else 0,
            wasted_bytes=sum(source.wasted_bytes for source in sources), sources=sources,
            uploaded_bytes=self.uploaded_bytes, content_key=self.content_key,
            validators=self.version.validators, notes=tuple(self.notes), error=error,
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """How long it took, or takes so far; sharing is no part of it."""
        return (self.ended or time.monotonic()) - self.started

    def marker(self) -> Mark | None:
        """What is done with the finished file before it gets its final name: marks that tell of where it came from,
        and :attr:`on_commit`."""
        put, told = marker(self.options, self.url, self.version, self.notes), self.on_commit
        if put is None or told is None:
            return put or told
        return lambda fd: (put(fd), told(fd))[0]

    @property
    def path(self) -> str | None:
        """Where it is, or will be; absolute. None while its name is not known."""
        path = self.saved_path or (self.target.path if self.target else None)
        return os.path.abspath(path) if path is not None else None

    @property
    def is_whole(self) -> bool:
        """Whether all that is wanted is here and was checked."""
        return self.status in (Status.COMPLETE, Status.SHARING)

    @property
    def crowd(self) -> Crowd | None:
        """Who was last seen of the peers, None where none are asked."""
        if self.sharing is not None:
            return self.sharing.last.crowd
        return self.ranged.crowd if self.ranged else None

    @property
    def uploaded_bytes(self) -> int:
        """What peers had of it from us."""
        if self.sharing is not None:
            return self.sharing.sent_bytes
        return self.ranged.uploaded_bytes if self.ranged else 0

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return shown_url(self.target.path if self.target else self.url)

    async def _download(self) -> tuple[str, tuple[str, ...]]:
        refuse_unreadable(self._checked_by)
        if self._metalink is not None:
            await self._begin_offer(self._metalink)
        await self._load_key()
        self.own_list.begin()
        if self.torrent is not None or self.options.torrent is not None:
            return await self._by_torrent(self.options.torrent or "")
        if (known := self._known_version()) is not None:
            return await self._range().fetch_known(known)
        return await self._by_urls()

    async def _by_urls(self) -> tuple[str, tuple[str, ...]]:
        """Who answers first, the origin where it does so soon, says what it is."""
        guess = guess_target(self.candidates.origin.url, self.options)
        if self.options.exists is Exists.SKIP and not guess.free:
            raise Skipped(guess.path)
        if guess.has_journal and not self._must_choose:
            ranged = self._range()
            if (finished := await ranged.resume(guess)) is not None:
                return finished
            first = await self._first(ranged.first_range)
            self._hear(first)
            ranged.expect(self.options)
            return await ranged.fetch(first)
        if self._is_long_in_coming():
            self._loading = asyncio.create_task(self._load_ahead())
        try:
            first = await self._first(from_the_start)
        finally:
            if self._loading is not None:
                self._loading.cancel()
        if self.offer is None and self.options.follow and first.leads_to_metalink:
            return await self._followed(first)
        if self.offer is None and self._must_choose:
            raise UsageError(f"{shown_url(first.url)} is no metalink or torrent, of which --files could choose some.")
        self._hear(first)
        while first.opening and (body := whole_body(first.opening)) is not None:
            try:
                return await self._small(first, first.opening, body)
            except BadContent as error:
                first = await self._elsewhere(first, error)
        return await self._range().fetch(first)

    @property
    def _must_choose(self) -> bool:
        return self.options.files is not None and not self.may_be_one_file

    async def _first(self, first_range: FirstRange) -> Candidate:
        """The candidate that decides what it is."""
        offer = telling_size(self.said_bytes, self.offer)
        if offer is None or offer.size is None:
            return await self.candidates.first(first_range)
        from thunderdl.engine.lengths import first_as_long

        return await first_as_long(self.session, self.candidates, first_range, offer, offer.size, self.notes)

    async def _followed(self, first: Candidate) -> tuple[str, tuple[str, ...]]:
        """What answered is a metalink: what it names is wanted, from there and from the user's other URLs."""
        self.candidates.close()
        others = [each.url for each in self.candidates.all if each is not first and not each.is_foreign]
        self._metalink = first.url
        self.candidates = Candidates(self.session, others, self.options, home=self._home, without=self._without)
        await self._read_offer(first.url, for_url(self.options, first.url, self._home))
        return await self._download()

    @property
    def lasting_name(self) -> str:
        """What the journal calls it: enough to begin again from."""
        if self._metalink is None or names_metalink(self._metalink):
            return self._metalink or self.url
        return METALINK_PREFIX + self._metalink

    @property
    def begun_as(self) -> list[str]:
        """What an earlier run of it may be called in its journal."""
        return [self.lasting_name, self.url, *(each.url for each in self.candidates.all)]

    def _hear(self, first: Candidate) -> None:
        """Take what the header fields of the first answer say of the content."""
        from thunderdl.engine.finding import offer_of_answer

        if first.opening is None:
            return
        insecure = self.options.insecure
        offer = self.stated = offer_of_answer(first.url, first.opening, self.notes, insecure=insecure)
        self.enriched_by(offer)
        self.candidates.add_foreign(offer.urls, offer.told_by, is_stranger=True)
        self.offer_torrents(offer)

    def enriched_by(self, offer: Offer) -> Options:
        """The options with what the offer adds to them."""
        before, self.options = self.options, enriched(self.options, offer, self.notes)
        self.proof = self.proof.after(before, self.options, offer)
        self.settle_proof()
        return self.options

    def settle_proof(self) -> None:
        """Let strangers bring what can be checked."""
        self.candidates.is_proven = self.proof.lets_strangers_bring(self.options)

    @property
    def told_by(self) -> Offer | None:
        """Whose word the checksum of the whole is, None for the user's."""
        return self.proof.checksum_by

    def offer_torrents(self, offer: Offer) -> None:
        """Have peers join of torrents that a stranger names, where they are worth it and their bytes can be told."""
        size = self.version.size or offer.size or 0
        if offer.torrents and size >= PEERS_FROM_BYTES and (offer.is_authentic or self.candidates.is_proven):
            self.on_torrents(offer.torrents)

    def _is_long_in_coming(self) -> bool:
        """Whether there is time before the first answer: mirrors mean a large file, FTP takes many round trips."""
        known = self.candidates
        return len(known.all) > 1 or known.untried > 0 or scheme_of(known.origin.url) in REMOTE_SCHEMES[2:]

    def _take_offer(self, offer: Offer) -> None:
        self.notes += offer.left_out
        self.enriched_by(offer)
        self.candidates.add_foreign(offer.urls, offer.told_by)
        if offer.name and self.options.out is None:
            self.options = replace(self.options, out=offer.name)

    async def _read_offer(self, metalink: str, asked_with: Options) -> Offer:
        from thunderdl.engine.metalinks import sole_offer

        self.offer = await sole_offer(self.session, metalink, asked_with)
        self._take_offer(self.offer)
        return self.offer

    async def _begin_offer(self, metalink: str) -> None:
        """Read the metalink where nobody has; its peers come when they come, unless nobody else has the file."""
        offer = self.offer or await self._read_offer(metalink, for_document(self.options, metalink, self.url))
        references = offer.torrents
        if references and not self.candidates.all and self.torrent is None and self.options.torrent is None:
            self.options = replace(self.options, torrent=references[0])
        elif not self.candidates.all and self.torrent is None and self.options.torrent is None:
            raise UsageError(f"{shown_url(offer.told_by)}: it names no URL of {printable(offer.name)} that we can use.")
        elif references and (offer.size or PEERS_FROM_BYTES) >= PEERS_FROM_BYTES:
            self.on_torrents(references)

    async def _load_key(self) -> None:
        """Refuse a key that is none before anything is fetched."""
        if self.options.signed_by is not None and self._signed is None:
            from thunderdl.engine.signing import Signed

            self._signed = Signed(self, self.options.signed_by)
            await self._signed.load()

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Those that its metalink holds."""
        return self.offer.held_signatures if self.offer else ()

    async def signed(self, path: str, body: bytes | None = None) -> tuple[str, ...]:
        """What to say that was verified, once who signed the file at ``path``, or in memory, is known; nothing where
        nobody asked. Raises BadSignature, StorageError."""
        if self._signed is None:
            return ()
        from thunderdl.engine.signing import of_file, of_memory

        opened = of_file(path) if body is None else of_memory(body)
        who = await self._signed.check(self.target.path if self.target else path, opened)
        return (f"signature={who}",)

    def _known_version(self) -> Version | None:
        """What it is, where an offer says all that is needed to begin with whoever answers first."""
        offer, proven = self.offer, self.options.checksum or self.options.piece_hashes
        if offer is None or not proven or offer.size is None or offer.size <= COLLECT_BYTES:
            return None
        return Version(size=offer.size)

    async def _by_torrent(self, reference: str) -> tuple[str, tuple[str, ...]]:
        """What a torrent names: from its peers, and from the URLs, its own web seeds among them."""
        from thunderdl.engine.collection import Collection
        from thunderdl.engine.joint import Joint
        from thunderdl.engine.torrents import check_size, forget, keep, privacy_note, torrent_of

        asked_with = for_url(self.options, reference, self.url)
        torrent = self.torrent or await torrent_of(self.session, reference, asked_with, holder=self)
        check_size(torrent, reference, self.said_bytes)
        self.notes += filter(None, [privacy_note(torrent, self.options)])
        # Mirrors of a single file are lanes of ours; those of a folder, or of pieces that nobody can prove yet, are
        # libtorrent's.
        is_joint = torrent.is_single and torrent.piece_hashes is not None
        if is_joint:
            self.candidates.add_foreign(torrent.file_urls, torrent.told_by)
        self.ranged = whole = Joint(self, torrent) if is_joint else Collection(self, torrent)
        if not is_magnet(reference):
            return await whole.fetch_all()
        await keep(self.session, torrent)
        saved = await whole.fetch_all()
        await forget(self.session, torrent)
        return saved

    def _range(self) -> Ranged:
        from thunderdl.engine.ranged import Ranged

        self.ranged = Ranged(self)
        return self.ranged

    async def _load_ahead(self) -> None:
        # Begun at once it took the GIL from the first requests: they went out 12 ms later.
        await asyncio.sleep(LOAD_AFTER_S)
        if self.ranged is None:
            await self.session.on_disk(importlib.import_module, "thunderdl.engine.ranged")

    async def _leave(self) -> None:
        """Stop, and leave everything for another time; to its end also where it is stopped on its way out: one that
        was paused as it failed found its own file still locked when it went on."""
        self.candidates.close()
        if self.ranged is not None:
            await seen_through(asyncio.ensure_future(self.ranged.leave()))

    async def _share(self, path: str) -> None:
        """Go on giving it to peers, where that was asked for."""
        if self.ranged is not None and (self.options.ratio is not None or self.options.seed_time is not None):
            from thunderdl.engine.sharing_back import share_back

            await share_back(self, self.ranged.shareable(path))

    async def _small(self, first: Candidate, opening: Opening, body: bytes) -> tuple[str, tuple[str, ...]]:
        """A file that came whole with its first answer."""
        self.version = Version(size=len(body), validators=opening.head.validators)
        first.source = source_of(first, opening, self.version, self.options.timeout)
        first.source.bytes = len(body)
        if opening.connection is not None:
            self.session.pool.keep(opening.endpoint, opening.connection)
            opening.connection = None
        self.session.pool.free_slot(opening.endpoint)
        self.target = choose_target(self.candidates.origin.url, opening.head, self.options)
        signed = await self.signed(self.target.path, body) if self._signed is not None else ()
        path, verified, self.content_key = await save_small(
            self.session, self.options, self.target, body, self.marker(), begun_as=self.begun_as,
            named=lambda path, known: self.got_name(path, (*known, *signed)), waits=self.on_commit is not None,
        )  # fmt: skip
        return path, (*verified, *signed)

    def got_name(self, path: str, verified: tuple[str, ...]) -> None:
        """It is whole and has its final name; called where it gets that, in whatever thread."""
        self.saved_path, self.verified = path, verified

    def _losses_of_a_small_one(self) -> Iterator[str]:
        """Nothing is told where the first one brought it at once: of thousands of small files most do."""
        if not self.candidates.attempts:
            return iter(())
        from thunderdl.engine.losses import losses

        return losses(self.candidates, {}, self.notes)

    async def _elsewhere(self, first: Candidate, error: BadContent) -> Candidate:
        """A small file was wrong: another candidate, where there is one."""
        first.error = BadContent(error.where, error.expected, error.found, (first.url,))
        self.candidates.attempts.append(first.error)
        if first.source is not None:
            first.source.wasted_bytes, first.source.bytes = first.source.bytes, 0
        found = await self.candidates.next_after(first)
        self.notes.append(f"{shown_url(first.url)} served wrong bytes; fetched again elsewhere")
        return found
