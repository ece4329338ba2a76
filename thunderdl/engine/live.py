"""What a running download takes while it runs: options that need no restart, URLs that come and go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.options import Options

if TYPE_CHECKING:
    from thunderdl.engine.download import Download

# All others are read once, at the beginning.
LIVE = frozenset({"task_limit", "priority", "task_upload_limit", "ratio", "seed_time", "files"})


def take(download: Download, options: Options, names: Iterable[str]) -> None:
    """Have the download go by these options from now on, as far as ``names``, which are some of :data:`LIVE`, tell.
    Raises UsageError for files that the torrent does not have; nothing has changed then."""
    names = frozenset(names)
    ranged, sharing = download.ranged, download.sharing
    if "files" in names and ranged is not None:
        ranged.choose(options.files)
    download.options = replace(download.options, **{name: getattr(options, name) for name in names})
    if "task_limit" in names:
        download.candidates.pace.change(options.task_limit)
    if "priority" in names:
        download.candidates.pace.weigh(options.priority.weight)
    if "task_upload_limit" in names:
        for uploads in (ranged.uploads if ranged else None, sharing.uploads if sharing else None):
            if uploads is not None:
                uploads.change(options.task_upload_limit)
    if sharing is not None and names & {"ratio", "seed_time"}:
        from thunderdl.engine.sharing_back import Goal, goal_of

        goal = goal_of(options)
        sharing.goal = goal if goal.wants_any else Goal(seconds=0.0)


def urls_of(download: Download) -> tuple[str, ...]:
    """All that it may be fetched from now, whoever named them."""
    asked = (candidate.url for candidate in download.candidates.all if not candidate.is_removed)
    web_seeds = download.ranged.web_seeds if download.ranged else ()
    return tuple(dict.fromkeys((*asked, *download.candidates.bench, *web_seeds)))


def change_urls(download: Download, gone: Iterable[str], new: Iterable[str]) -> None:
    """Fetch nothing more from the URLs that are ``gone``, and from the ``new`` ones, too."""
    ranged, candidates = download.ranged, download.candidates
    if ranged is not None and ranged.change_web_seeds(gone, new):
        return
    for url in gone:
        removed = candidates.remove(url)
        if removed is not None and ranged is not None and ranged.driver is not None:
            ranged.driver.forget(removed.id)
    for url in new:
        candidates.add(url)
