"""A download that an earlier run of the program made whole, and that goes on being shared.

Nobody is asked for a byte. What is shared is what was proven then: whoever changed a file since has it read and
compared again, and what does not match is not shared.
"""

from __future__ import annotations

from thunderdl.core.trust import Version
from thunderdl.engine.download import Download
from thunderdl.engine.naming import Target
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError
from thunderdl.model import Whole
from thunderdl.options import Options


class SharedAgain(Download):
    """``url``: what the user asked for when it was downloaded."""

    def __init__(self, session: Session, options: Options, url: str, whole: Whole) -> None:
        super().__init__(session, (), options, url)
        self._whole, self.saved_path, self.target = whole, whole.path, Target(whole.path)
        self.notes += whole.notes
        self.verified = whole.verified
        self.version, self.single_bytes = Version(size=whole.size_bytes), whole.size_bytes

    @property
    def seconds(self) -> float:
        return self._whole.seconds

    @property
    def uploaded_bytes(self) -> int:
        """Of earlier runs, too, whether it can be shared again or not."""
        return self.sharing.sent_bytes if self.sharing is not None else self._whole.sent_bytes

    async def _download(self) -> tuple[str, tuple[str, ...]]:
        """Look whether it can be shared; it is whole in any case."""
        from thunderdl.engine.resharing import Resharing
        from thunderdl.sources.swarm.torrent import load, read_metainfo

        whole = self._whole
        try:
            metainfo = await self.session.on_disk(read_metainfo, whole.torrent)
            shared = Resharing(self, load(metainfo, whole.torrent), whole)
            await shared.check()
        except ThunderdlError as error:
            self.notes.append(f"not shared any more: {str(error).rstrip('.')}")
        else:
            self.ranged = shared
        return whole.path, whole.verified
