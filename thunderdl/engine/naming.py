"""Where a download is saved: the user's own name, else the server's suggestion made safe, else the URL's."""

from __future__ import annotations

import os
from dataclasses import dataclass

from thunderdl.errors import TargetExists
from thunderdl.options import Exists, Options
from thunderdl.sources.http.head import ResponseHead
from thunderdl.storage.files import ensure_folder, journal_path, part_path, remove_leftover
from thunderdl.storage.paths import name_from_url, safe_name, user_name


class Skipped(Exception):  # no error: what the user wants
    """The name at ``path`` is taken, and the user wants such files skipped."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Target:
    """``path``: of the final file. ``free``: whether nothing has that name."""

    path: str

    @property
    def free(self) -> bool:
        return not os.path.lexists(self.path)

    @property
    def has_journal(self) -> bool:
        return os.path.lexists(journal_path(part_path(self.path)))

    def make_folder(self) -> None:
        """Blocking. Raises StorageError."""
        ensure_folder(os.path.dirname(self.path))


def guess_target(url: str, options: Options) -> Target:
    """The target as far as it can be told before the server answered."""
    return Target(os.path.join(options.dir, user_name(options.out) if options.out else name_from_url(url)))


def choose_target(url: str, head: ResponseHead, options: Options) -> Target:
    """The target, by the policy for names that exist. Raises TargetExists under REFUSE, Skipped under SKIP.

    A redirect has no say in the name (wget CVE-2016-4971): it comes from the URL that the user gave.
    """
    return settled_target(suggested_target(url, head, options), options)


def named_target(name: str, options: Options) -> Target:
    """The target where the name is known (from a torrent), by the same policy. Raises as :func:`choose_target`."""
    chosen = user_name(options.out) if options.out else safe_name(name)
    return settled_target(Target(os.path.join(options.dir, chosen)), options)


def settled_target(guess: Target, options: Options) -> Target:
    """The target by the policy for names that exist. Raises as :func:`choose_target`."""
    if guess.free or options.exists is Exists.OVERWRITE:
        return guess
    remove_leftover(guess.path)
    if options.exists is Exists.SKIP:
        raise Skipped(guess.path)
    if options.exists is Exists.RENAME:
        # Which name beside it is found where it is opened: others may want it at the same time.
        return guess
    raise TargetExists(guess.path)


def suggested_target(url: str, head: ResponseHead, options: Options) -> Target:
    """The target whether its name is taken or not."""
    guess = guess_target(url, options)
    if options.out is None and (raw := head.raw("content-disposition")) is not None:
        from thunderdl.formats.disposition import disposition_name

        name = safe_name(disposition_name(raw) or "", fallback=os.path.basename(guess.path))
        guess = Target(os.path.join(options.dir, name))
    return guess
