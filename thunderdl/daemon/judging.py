"""Whether a wish may be queued, and what of it is kept."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.daemon.jobs import Wish
from thunderdl.daemon.places import folder_of
from thunderdl.daemon.rules import DOCUMENTS, Rules, checked_texts
from thunderdl.daemon.store import Store
from thunderdl.errors import UsageError, printable
from thunderdl.formats.links import LOCAL_SCHEMES, scheme_of
from thunderdl.formats.targets import checked, checked_target


class Judge:
    """Of the wishes for one queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._judged: tuple[Rules, int, str] | None = None

    def checked(self, wish: Wish, rules: Rules) -> Wish:
        """The wish as it is kept. Raises UsageError for what nobody may ask for from outside."""
        first, *others = wish.urls
        if not self._store.is_document(first):
            first = checked_target(first)
            if scheme_of(first) in LOCAL_SCHEMES or ("://" not in first and scheme_of(first) != "magnet"):
                raise UsageError(f"{printable(first)[:200]!r}: the daemon downloads no files of its own machine.")
        urls = (first, *map(checked, others))
        if any(scheme_of(url) in LOCAL_SCHEMES for url in urls[1:]):
            raise UsageError("a mirror must not be a file of the daemon's machine.")
        share = self._store.share
        wish = replace(wish, urls=urls, options=share(wish.options), foreign=share(wish.foreign))
        # Of thousands that are added together most have the same: judged once (2 ms each, for 100,000 of them).
        judged = (rules, id(wish.options), wish.category)
        if self._judged is None or self._judged[0] is not rules or self._judged[1:] != judged[1:]:
            kept = {name for name in DOCUMENTS if self._store.is_document(str(wish.options.get(name, "")))}
            checked_texts({name: text for name, text in wish.options.items() if name not in kept}, scope="task")
            folder_of(wish, rules)
            rules.options_of(wish)
            self._judged = judged
        return wish
