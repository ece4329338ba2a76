"""The files of a mirrored folder: looked at without following a link, those that no list names removed.

Invariants: what is removed is reached by descriptors, one folder opened below the other, so that a link in the tree
leads nowhere, also one that is put there meanwhile; only regular files go, and folders that this has emptied.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

from thunderdl.core.mirroring import Local
from thunderdl.errors import StorageError
from thunderdl.storage.files import JOURNAL_SUFFIX, PART_SUFFIX, storage_fault
from thunderdl.storage.mirror_state import STATE_NAME

_ADVICE = "remove it, or choose another folder"


class Tree:
    """``folder``: the root, which may itself be reached by a link: the user has named it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._plain = {""}

    def local(self, name: str) -> Local | None:
        """The file of that name, None where there is none. Raises StorageError for what is no regular file, and where
        the way to it leads through a link or a file."""
        self._check_above(name)
        path = os.path.join(self.folder, name)
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise storage_fault(path, error) from error
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(path, f"it is {_kind(found.st_mode)}", _ADVICE)
        return Local(found.st_size, found.st_mtime_ns)

    def _check_above(self, name: str) -> None:
        above = name.rpartition("/")[0]
        if above in self._plain:
            return
        self._check_above(above)
        path = os.path.join(self.folder, above)
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            # Made later, by ourselves: looked at again when the next file wants it.
            return
        except OSError as error:
            raise storage_fault(path, error) from error
        if not stat.S_ISDIR(mode):
            raise StorageError(path, f"it is {_kind(mode)}, not a folder", _ADVICE)
        self._plain.add(above)

    def folds_case(self) -> bool:
        """Whether ``A`` and ``a`` are one file here; known once the state file is there."""
        return os.path.lexists(os.path.join(self.folder, STATE_NAME.upper()))

    def remove(self, is_stray: Callable[[str], bool], *, dry_run: bool) -> Iterator[str]:
        """Remove the files that ``is_stray`` names, and folders that are empty then; yields the name of each file.

        A part file and its journal go with the file that they are of. Blocking. Raises StorageError.
        """
        try:
            yield from self._remove(is_stray, dry_run=dry_run)
        except OSError as error:
            raise storage_fault(str(error.filename or self.folder), error) from error

    def _remove(self, is_stray: Callable[[str], bool], *, dry_run: bool) -> Iterator[str]:
        emptied: set[str] = set()
        if not os.path.isdir(self.folder):
            return
        for place, folders, names, fd in os.fwalk(self.folder, topdown=False, onerror=_raise, follow_symlinks=False):
            above = os.path.relpath(place, self.folder).replace(os.sep, "/")
            above = "" if above == "." else above + "/"
            for name in sorted(names):
                whole = above + name
                if not _is_ours(whole) and is_stray(_finished(whole)) and _unlinked(name, fd, dry_run=dry_run):
                    emptied.add(above)
                    yield whole
            for folder in folders:
                if f"{above}{folder}/" in emptied and not dry_run:
                    with contextlib.suppress(OSError):
                        os.rmdir(folder, dir_fd=fd)
                        emptied.add(above)


def _is_ours(name: str) -> bool:
    return name.startswith(STATE_NAME)


def _finished(name: str) -> str:
    """The name that a file in the making will have."""
    return name.removesuffix(PART_SUFFIX + JOURNAL_SUFFIX).removesuffix(PART_SUFFIX)


def _unlinked(name: str, fd: int, *, dry_run: bool) -> bool:
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            return False
        if not dry_run:
            os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error


def _kind(mode: int) -> str:
    return "a symbolic link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no regular file"
