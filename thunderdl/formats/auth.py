"""Logins of HTTP: what a server asks for, which way is the strongest, and the answer to Digest (RFC 9110, 7616). Pure.

The caller brings randomness (``cnonce``) and decides to whom an answer goes. What a server writes is rubbish until
it parses: a challenge that does not is as good as none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM = re.compile(
    rf'[\s,]*+(?:(?P<name>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))(?=\s*(?:,|$))'
    rf"|(?P<scheme>{_TOKEN})(?:\s+(?P<token68>[A-Za-z0-9._~+/-]+=*)(?=\s*(?:,|$)))?(?=[\s,]|$))"
)
_RUN = re.compile(r"[\s,]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# No honest challenge is longer; a longer one is not read.
MAX_CHALLENGE_CHARS = 8192
# Strongest first; RFC 7616 section 3.7 has the client use the first that it knows.
_ALGORITHMS = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One of the ways in: ``scheme`` and names of ``params`` in lower case."""

    scheme: str
    params: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """Of Digest, in capitals; MD5 where unsaid."""
        return (self.params.get("algorithm") or "MD5").upper()

    @property
    def is_stale(self) -> bool:
        """Whether the password was right and the nonce merely too old (RFC 7616 section 3.3)."""
        return self.params.get("stale", "").lower() == "true"


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all WWW-Authenticate fields of an answer, in order; what does not parse is left out."""
    clean = (value[:MAX_CHALLENGE_CHARS] for value in values if not _CONTROL.search(value))
    return tuple(found for value in clean for found in _challenges(value))


def _challenges(text: str) -> Iterable[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            # Not from the next comma of a run on: each would be tried with all that come after it.
            at = (text.find(",", _end_of_run(text, at)) + 1) or len(text)
        else:
            at = max(item.end(), at + 1)
            if item["scheme"]:
                found.append((item["scheme"].lower(), {}))
            elif found:
                value = item["plain"] if item["quoted"] is None else re.sub(r"\\(.)", r"\1", item["quoted"])
                found[-1][1].setdefault(item["name"].lower(), value)
    return [Challenge(scheme=scheme, params=params) for scheme, params in found]


def _end_of_run(text: str, at: int) -> int:
    run = _RUN.match(text, at)
    return run.end() if run else at


def strongest(challenges: Iterable[Challenge]) -> Challenge | None:
    """The best of those that a user name and a password can answer: Digest by its hash, then Basic; None for none."""
    usable = [each for each in challenges if _strength(each) is not None]
    return min(usable, key=lambda each: _strength(each) or 0, default=None)


def _strength(challenge: Challenge) -> int | None:
    if challenge.scheme == "basic":
        return len(_ALGORITHMS)
    name = challenge.algorithm.removesuffix("-SESS")
    if challenge.scheme != "digest" or name not in _ALGORITHMS or "nonce" not in challenge.params:
        return None
    qop = challenge.params.get("qop")
    if qop is not None and "auth" not in [each.strip().lower() for each in qop.split(",")]:
        return None
    return list(_ALGORITHMS).index(name)


class DigestLogin:
    """One user's answers to one challenge; counts how often the nonce was used. ``challenge``: one of
    :func:`strongest`'s."""

    def __init__(self, challenge: Challenge, user: str, password: str) -> None:
        self.challenge = challenge
        self._user, self._password = user, password
        self._count = 0
        self._session_cnonce = ""

    @property
    def nonce(self) -> str:
        return self.challenge.params["nonce"]

    def renew(self, challenge: Challenge) -> None:
        """Go on with another nonce."""
        self.challenge, self._count, self._session_cnonce = challenge, 0, ""

    def authorization(self, method: str, uri: str, cnonce: str) -> str:
        """The value of Authorization for one request. ``uri``: its target; ``cnonce``: random, new for each."""
        params, algorithm = self.challenge.params, self.challenge.algorithm
        self._count += 1
        self._session_cnonce = self._session_cnonce or cnonce
        count, qop = f"{self._count:08x}", "qop" in params
        secret = self._hash(f"{self._user}:{params.get('realm', '')}:{self._password}")
        if algorithm.endswith("-SESS"):
            # RFC 7616 section 3.4.2: by the cnonce of the session's first request.
            cnonce = self._session_cnonce
            secret = self._hash(f"{secret}:{self.nonce}:{cnonce}")
        middle = f"{count}:{cnonce}:auth:" if qop else ""
        response = self._hash(f"{secret}:{self.nonce}:{middle}{self._hash(f'{method}:{uri}')}")
        fields = [*self._who(), ("realm", _quoted(params.get("realm", ""))), ("nonce", _quoted(self.nonce))]
        fields += [("uri", _quoted(uri)), ("response", _quoted(response))]
        if "algorithm" in params:
            fields.append(("algorithm", params["algorithm"]))
        if "opaque" in params:
            fields.append(("opaque", _quoted(params["opaque"])))
        if qop:
            fields += [("qop", "auth"), ("nc", count), ("cnonce", _quoted(cnonce))]
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields)

    def _who(self) -> list[tuple[str, str]]:
        realm = self.challenge.params.get("realm", "")
        if self.challenge.params.get("userhash", "").lower() == "true":
            return [("username", _quoted(self._hash(f"{self._user}:{realm}"))), ("userhash", "true")]
        if self._user.isascii():
            return [("username", _quoted(self._user))]
        # RFC 7616 section 3.4: what a quoted string cannot hold goes by RFC 8187.
        return [("username*", f"UTF-8''{quote(self._user, safe='')}")]

    def _hash(self, text: str) -> str:
        name = _ALGORITHMS[self.challenge.algorithm.removesuffix("-SESS")]
        return hashlib.new(name, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
