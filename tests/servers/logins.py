"""Servers that ask for a login by Digest, and check the answer as RFC 7616 has it, apart from the code under test."""

from __future__ import annotations

import hashlib
import re
import threading

from tests.servers import misbehave as m
from tests.servers.exchange import Reply, Request

_NAMES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


class Digest:
    """A behaviour: 401 without the right answer. ``uses``: of one nonce, after which it is stale; ``counts``: what was
    counted, by nonce; ``also``: another challenge, before its own."""

    def __init__(
        self, user: str, password: str, *, algorithm: str = "MD5", uses: int | None = None, also: str | None = None
    ) -> None:  # fmt: skip
        self._user, self._password, self._algorithm = user, password, algorithm
        self._uses, self._also = uses, also
        self._lock = threading.Lock()
        self._number = 1
        self.counts: dict[str, list[int]] = {}
        self.cnonces: set[str] = set()

    def __call__(self, request: Request, reply: Reply) -> Reply:
        with self._lock:
            given = request.header("Authorization") or ""
            if not given.startswith("Digest "):
                return self._refuse(request, reply)
            said = {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^",]+)', given)}
            if not self._is_right(request, said):
                return self._refuse(request, reply)
            if said["nonce"] != f"nonce{self._number}" or self._is_used_up():
                return self._refuse(request, reply, stale=True)
            assert int(said["nc"], 16) not in self.counts.setdefault(said["nonce"], []), "a count was used twice"
            self.counts[said["nonce"]].append(int(said["nc"], 16))
            self.cnonces.add(said["cnonce"])
            return reply

    def _is_used_up(self) -> bool:
        if self._uses is None or len(self.counts.get(f"nonce{self._number}", ())) < self._uses:
            return False
        self._number += 1
        return True

    def _refuse(self, request: Request, reply: Reply, *, stale: bool = False) -> Reply:
        own = (
            f'Digest realm="here", nonce="nonce{self._number}", qop="auth", algorithm={self._algorithm}, opaque="o"'
            + (", stale=true" if stale else "")
        )  # fmt: skip
        asked = [("WWW-Authenticate", each) for each in (self._also, own) if each]
        return m.status(401, *asked)(request, reply)

    def _is_right(self, request: Request, said: dict[str, str]) -> bool:
        def h(text: str) -> str:
            return hashlib.new(_NAMES[self._algorithm.removesuffix("-sess")], text.encode()).hexdigest()

        secret = h(f"{self._user}:here:{self._password}")
        if self._algorithm.endswith("-sess"):
            secret = h(f"{secret}:{said['nonce']}:{said['cnonce']}")
        middle = f"{said['nonce']}:{said['nc']}:{said['cnonce']}:auth"
        asked = h("GET:" + said["uri"])
        expected = h(f"{secret}:{middle}:{asked}")
        return said["response"] == expected and said["uri"] == request.path and said["opaque"] == "o"
