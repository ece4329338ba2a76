"""Which protocol is behind a URL's scheme. Each is loaded when a URL first names it: start-up counts."""

from __future__ import annotations

from collections.abc import Callable

from thunderdl.sources.base import Access, Ground

Make = Callable[[Ground], Access]


def _file(ground: Ground) -> Access:
    from thunderdl.sources.local import LocalFiles

    return LocalFiles(ground)


def _data(ground: Ground) -> Access:
    from thunderdl.sources.inline import InlineData

    return InlineData(ground)


def _ftp(ground: Ground) -> Access:
    from thunderdl.sources.ftp.access import Ftp

    return Ftp(ground)


def _sftp(ground: Ground) -> Access:
    from thunderdl.sources.sftp.access import SecureFiles

    return SecureFiles(ground)


# All but the web's, which :mod:`thunderdl.sources.http` speaks: the rest is built on it.
SCHEMES: dict[str, Make] = {
    "ftp": _ftp, "ftps": _ftp, "ftpes": _ftp, "sftp": _sftp, "file": _file, "data": _data
}  # fmt: skip


class Registry:
    """The protocols of one session."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._made: dict[Make, Access] = {}

    def access(self, scheme: str) -> Access | None:
        """Who speaks for ``scheme``; None for the web's, and for what nobody speaks."""
        make = SCHEMES.get(scheme)
        if make is None:
            return None
        if make not in self._made:
            self._made[make] = make(self._ground)
        return self._made[make]

    async def close(self) -> None:
        """End them all."""
        for access in self._made.values():
            await access.close()
