"""Files that an earlier run made whole, as what is shared of a torrent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.engine.collection import Collection
from thunderdl.engine.sharing_back import Shareable
from thunderdl.errors import BadContent, StorageError
from thunderdl.model import SourceProgress, Status
from thunderdl.sources.swarm.checking import check_pieces, names_below
from thunderdl.sources.swarm.torrent import Torrent

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.model import Whole


class Resharing(Collection):
    """The part of ``download`` that knows what of ``torrent`` is here; nothing is fetched."""

    def __init__(self, download: Download, torrent: Torrent, whole: Whole) -> None:
        super().__init__(download, torrent)
        self._whole = whole
        self._place, name = os.path.split(os.path.abspath(whole.path))
        self._names = names_below(torrent, name)

    async def check(self) -> None:
        """Whether it is what it was, by sizes and times; where a time is later, by its hashes. Raises StorageError,
        BadContent, SwarmFault."""
        changed = await self._session.on_disk(self._changed)
        if not changed:
            return
        if self.chosen is not None:
            raise StorageError(changed, "it was changed since it was saved", "download it again to share it")
        self._download.status = Status.VERIFYING
        torrent = self._torrent
        paths = {file.path: self._path(file.index) for file in self._files}
        host = await self._session.swarm()
        await check_pieces(
            host, torrent, self._place, self._names, paths, lambda done, whole: None, holder=self._download
        )  # fmt: skip

    def _path(self, index: int) -> str:
        return os.path.join(self._place, self._names[index])

    def _changed(self) -> str:
        """The first that may have been changed since, "" for none; its last change of state tells of every write."""
        changed = ""
        for file in self._files:
            path = self._path(file.index)
            try:
                found = os.stat(path)
            except OSError as error:
                raise StorageError(path, (error.strerror or str(error)).lower(), "it was moved or deleted") from None
            if found.st_size != file.size_bytes:
                raise BadContent(path, f"{file.size_bytes} bytes as the torrent says", f"{found.st_size} bytes")
            if found.st_ctime > self._whole.since:
                changed = changed or path
        return changed

    @property
    def resumed_bytes(self) -> int:
        return self.size_bytes

    def shareable(self, path: str) -> Shareable:
        """What earlier runs shared, under the same names."""
        return Shareable(
            torrent=self._torrent, folder=self._place, names=self._names, files=self.chosen, peers=self._torrent.peers,
            sent_bytes=self._whole.sent_bytes, shared_s=self._whole.shared_s,
        )  # fmt: skip

    def others(self) -> tuple[SourceProgress, ...]:
        """Nothing comes from anybody."""
        return ()

    def losses(self) -> Iterator[str]:
        return iter(())
