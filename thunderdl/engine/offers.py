"""What somebody says of a file beyond the URL that was typed: what it is, and where else it is.

A metalink, a server's header fields, a checksum file beside the download: each makes an :class:`Offer`. What the user
gave is never replaced by it; of several that speak of the whole the first one that was heard counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from thunderdl.errors import UsageError, shown_url
from thunderdl.formats.links import names_metalink
from thunderdl.formats.strength import is_strong
from thunderdl.model import Digest, PieceHashes
from thunderdl.options import Options

if TYPE_CHECKING:
    from thunderdl.formats.metalink_model import Signature

# Before the name of a metalink in a journal, where the name alone would not tell that it is one.
METALINK_PREFIX = "metalink:"
# Smaller files are here before peers are found.
PEERS_FROM_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """``told_by``: who says it, for sentences. ``urls``: the same content elsewhere, best first; ``instead``: by one of
    them another guess, for where nothing is there. ``size``: bytes, None where not said. ``checksum``: of the whole;
    ``others``: who states a digest of another algorithm. ``torrents``: paths, URLs, magnet links. ``signatures``: URLs
    of detached ones; ``held_signatures``: those that a metalink holds. ``documents``: URLs of metalinks that say more.
    ``is_beside``: a checksum file, found because we looked for it. ``is_authentic``: the user named who says it, or the
    file's own server says it where nobody on the way can have changed it. ``left_out``: sentences on files beside this
    one that are not to be had."""

    told_by: str
    name: str = ""
    size: int | None = None
    urls: tuple[str, ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)
    checksum: Digest | None = None
    others: tuple[tuple[str, Digest], ...] = ()
    piece_hashes: PieceHashes | None = None
    torrents: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    held_signatures: tuple[Signature, ...] = ()
    documents: tuple[str, ...] = ()
    is_beside: bool = False
    is_authentic: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Whose word its checksum is, for the sentence that tells that the bytes have another."""
        out = "; --no-checksum-files does without it" if self.is_beside else ""
        return f" (as {shown_url(self.told_by)} says{out})"


class NamesSeveral(UsageError):
    """A metalink of several files where one was wanted. ``offers``: one for each of them."""

    def __init__(self, told_by: str, offers: Sequence[Offer]) -> None:
        super().__init__(f"{shown_url(told_by)}: it names {len(offers)} files; choose one with --files.")
        self.offers = offers


def metalink_named(url: str, options: Options) -> str | None:
    """The path or URL of the metalink that tells of a download, by the user's word or by the URL; None where none does.

    ``-``: the document was read from standard input.
    """
    return options.metalink or (url if options.follow and names_metalink(url) else None)


def telling_size(said_bytes: int | None, offer: Offer | None) -> Offer | None:
    """Who says how long the file is: the link, in which ``said_bytes`` stand, or else what is offered."""
    return Offer(told_by="the link", size=said_bytes) if said_bytes is not None else offer


def enriched(options: Options, offer: Offer, notes: list[str]) -> Options:
    """The options with what the offer says of the content, where nobody has said it yet; a contradiction is noted."""
    changes: dict[str, object] = {}
    if offer.checksum is not None:
        if options.checksum is None:
            changes["checksum"] = offer.checksum
        elif options.checksum.algorithm == offer.checksum.algorithm and options.checksum != offer.checksum:
            notes.append(f"{shown_url(offer.told_by)} tells another {offer.checksum.algorithm}: {offer.checksum}")
    if offer.piece_hashes is not None and options.piece_hashes is None and _fits(offer):
        changes["piece_hashes"] = offer.piece_hashes
    # mypy cannot see that the names are fields.
    return replace(options, **changes) if changes else options  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Proof:
    """What the bytes can be checked by, and whose word that is; None: the user's own."""

    checksum_by: Offer | None = None
    pieces_by: Offer | None = None

    def after(self, before: Options, now: Options, offer: Offer) -> Proof:
        """The same once ``offer`` made ``now`` of ``before``."""
        return Proof(
            self.checksum_by if now.checksum is before.checksum else offer,
            self.pieces_by if now.piece_hashes is before.piece_hashes else offer,
        )

    def lets_strangers_bring(self, options: Options) -> bool:
        """Whether bytes of anybody can be told from the right ones. A weak digest tells damage, and no attack; one that
        came over plain http may be the attacker's own, as the mirrors beside it."""
        if options.piece_hashes is not None and (self.pieces_by is None or self.pieces_by.is_authentic):
            return True
        given = options.checksum
        if given is None or not is_strong(given.algorithm):
            return False
        return self.checksum_by is None or self.checksum_by.is_authentic


def _fits(offer: Offer) -> bool:
    return offer.size is None or (offer.piece_hashes is not None and offer.piece_hashes.fits(offer.size))
