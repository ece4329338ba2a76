"""One range on its way through a lane: what to ask, where its bytes go, how far it is.

A transfer is made by the control plane, then belongs to one mover thread until that posts its end. The
control plane may read ``position`` and take from ``records`` at any time (plain integers and a deque: no
lock under the GIL); everything else it changes through the mover's commands.

Invariants:
1. ``start <= position <= end``; bytes ``[start, position)`` are in the file (or in ``body``).
2. A record is appended after its bytes were written, never before.
3. Records cover ``[start, position)`` without a gap when the transfer has ended.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from thunderdl.formats.content_key import LEAF_BYTES, leaf_digests, subtree_root
from thunderdl.formats.fast_digest import fast_hasher
from thunderdl.sources.http.bucket import Meter
from thunderdl.sources.http.head import Body, ResponseHead

# An opening whose whole body is at most this long is collected in memory: a small file needs no journal.
COLLECT_BYTES = 256 * 1024


class Extent(NamedTuple):
    """``[start, end)`` is written; ``digest``: XXH3-64 of it; ``root``: its BEP 52 subtree where whole."""

    start: int
    end: int
    digest: bytes
    root: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where bytes go. ``ring_bytes``: the file is a window of this size over the content, else None.
    ``granule_bytes``: border at which records are cut; ``tree``: compute BEP 52 subtrees of whole granules."""

    fd: int
    path: str
    granule_bytes: int
    tree: bool = False
    ring_bytes: int | None = None

    def offset(self, position: int) -> int:
        return position if self.ring_bytes is None else position % self.ring_bytes


Judge = Callable[[ResponseHead], Body]


class Transfer:
    """``request``: the head to send; ``start``, ``end``: the range asked for; ``judge``: accepts the answer's head
    or raises; None for an opening, whose head goes to the control plane first; ``meter``: asked before each read
    of the body."""

    __slots__ = (
        "asked_at", "begun", "body", "end", "first_byte_at", "head", "judge", "meter", "notify", "opening", "owner",
        "position", "records", "request", "start", "store", "whole", "_granule", "_hash", "_leaf", "_leaves",
    )  # fmt: skip

    def __init__(
        self, *, request: bytes, start: int, end: int, notify: Callable[[object], None], meter: Meter,
        judge: Judge | None = None, store: Store | None = None, owner: int = 0,
    ) -> None:  # fmt: skip
        self.request, self.start, self.end, self.position = request, start, end, start
        self.judge, self.notify, self.store, self.owner, self.meter = judge, notify, store, owner, meter
        self.opening = judge is None
        self.head: ResponseHead | None = None
        self.body: bytearray | None = None
        self.whole = False
        self.begun = False
        self.asked_at = 0.0
        self.first_byte_at = 0.0
        self.records: deque[Extent] = deque()
        self._granule = start
        self._hash = fast_hasher()
        self._leaves: bytearray | None = None
        self._leaf = bytearray()

    @property
    def recorded_end(self) -> int:
        """Up to where records were made."""
        return self._granule

    @property
    def latency_s(self) -> float | None:
        """From asking to the first byte; None while there is none, or where it waited behind another."""
        return self.first_byte_at - self.asked_at if self.asked_at and self.first_byte_at else None

    def begin(self, body_start: int, store: Store) -> None:
        """The bytes that follow go to ``store`` from ``body_start`` on."""
        self.start = self.position = self._granule = body_start
        self.store, self.begun = store, True
        self._begin_granule()

    def take(self, view: memoryview) -> None:
        """Hash while warm, write, then record. Raises OSError from the write."""
        if self.body is not None:
            self.body += view
            self.position += len(view)
            return
        store = self.store
        assert store is not None
        _write(store, self.position, view)
        at = 0
        while at < len(view):
            border = (self._granule // store.granule_bytes + 1) * store.granule_bytes
            part = view[at : at + border - self.position]
            self._hash.update(part)
            if self._leaves is not None:
                self._grow_leaves(part)
            at += len(part)
            self.position += len(part)
            if self.position == border:
                self._cut()

    def finish(self) -> None:
        """Record what was written since the last border."""
        if self.begun and self.position > self._granule:
            self._cut()

    def _cut(self) -> None:
        root = None
        if self._leaves is not None and self.store is not None:
            whole = self.position - self._granule == self.store.granule_bytes and not self._leaf
            root = subtree_root(bytes(self._leaves)) if whole else None
        self.records.append(Extent(self._granule, self.position, self._hash.digest(), root))
        self._granule = self.position
        self._begin_granule()

    def _begin_granule(self) -> None:
        self._hash.reset()
        store = self.store
        aligned = store is not None and store.tree and self._granule % store.granule_bytes == 0
        self._leaves = bytearray() if aligned else None
        self._leaf.clear()

    def _grow_leaves(self, part: memoryview) -> None:
        """Hash whole leaves; keep what is left of one until more of it comes."""
        assert self._leaves is not None
        if self._leaf:
            more = min(LEAF_BYTES - len(self._leaf), len(part))
            self._leaf += part[:more]
            part = part[more:]
            if len(self._leaf) < LEAF_BYTES:
                return
            self._leaves += leaf_digests(memoryview(bytes(self._leaf)))
            self._leaf.clear()
        whole = len(part) - len(part) % LEAF_BYTES
        if whole:
            self._leaves += leaf_digests(part[:whole])
        self._leaf += part[whole:]


def _write(store: Store, position: int, view: memoryview) -> None:
    while view:
        offset = store.offset(position)
        room = len(view) if store.ring_bytes is None else min(len(view), store.ring_bytes - offset)
        written = os.pwrite(store.fd, view[:room], offset)
        position += written
        view = view[written:]
