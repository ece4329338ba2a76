"""The user's list of mirrors (``--mirror-list``), looked through while the download runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.engine.candidates import from_the_start
from thunderdl.errors import ThunderdlError, shown_url

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.engine.offers import Offer


class OwnList:
    """That of ``download``, where its options name one."""

    def __init__(self, download: Download) -> None:
        self._download = download
        # What it says.
        self._offer: Offer | None = None
        self._is_tended = False

    def begin(self) -> None:
        """Look through it while the download begins."""
        download = self._download
        named = [each.url for each in download.candidates.all if not each.is_foreign]
        urls = (*named, *(download.offer.urls if download.offer else ()))
        if (reference := download.options.mirror_list) is not None and urls:
            download.candidates.await_more(download.session.loop.create_task(self._take(reference, urls[0])))

    async def _take(self, reference: str, original: str) -> None:
        from thunderdl.engine.mirror_lists import offer_of_list

        download = self._download
        try:
            self._offer = await offer_of_list(download.session, reference, original, download.options)
        except ThunderdlError as error:
            download.notes.append(f"the mirror list is not used: {str(error).rstrip('.')}")
            return
        if download.candidates.is_proven or (download.ranged is not None and download.ranged.driver is not None):
            self.tend()

    def tend(self) -> None:
        """Ask its mirrors. Without a hash not before the origin has said what the file is: whoever of them were quick
        would decide that."""
        if (offer := self._offer) is not None:
            self._is_tended = True
            candidates = self._download.candidates
            candidates.add_foreign(offer.urls, offer.told_by, is_stranger=True, instead=offer.instead)
            candidates.tend(from_the_start)

    def untried(self) -> tuple[str, ...]:
        """Why its mirrors were not asked by a download that found no other source: whoever gave a list against a dead
        origin looks for that."""
        if self._offer is None or self._is_tended:
            return ()
        why = "without a hash nothing shows that they have the same file"
        return (f"the mirrors of {shown_url(self._offer.told_by)} were not tried: {why}; give --checksum",)
