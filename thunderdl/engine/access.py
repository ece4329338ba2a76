"""What is said to whom: the one place that decides which credentials a request carries.

Invariants (bad-input cases C1 to C7):
1. What the user gave for a URL (headers, user, token) goes to the origin of that URL: scheme, host and port.
   After a redirect elsewhere nothing of it is left but :data:`ANYWHERE`.
2. What is kept by host (cookies, netrc, tokens for a host) is looked up for each hop anew, by the very host that the
   connection goes to; nothing is carried over from the hop before (curl CVE-2024-11053, CVE-2025-0167).
3. Tokens go over https, or to this machine.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from thunderdl.engine.keeping import Keeping, Login
from thunderdl.formats.auth import DigestLogin, parse_challenges, strongest
from thunderdl.formats.cookies import CookieJar
from thunderdl.formats.stated_digests import WANT_REPR_DIGEST
from thunderdl.options import Options
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.suffixes import is_public_suffix
from thunderdl.sources.http.wire import DEFAULT_PORTS, Address, Request, basic_auth, build_request

# What a redirect to another origin may carry along.
ANYWHERE = frozenset({"user-agent", "accept", "accept-language", "accept-encoding"})
_LOOPBACK = re.compile(r"localhost|.*\.localhost|127\.\d+\.\d+\.\d+|::1")


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way from a URL to its file. ``home``: the origin of that URL."""

    address: Address
    home: str

    @property
    def origin(self) -> str:
        return self.address.endpoint.origin

    @property
    def is_home(self) -> bool:
        return self.origin == self.home

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read along."""
        endpoint = self.address.endpoint
        return endpoint.scheme == "https" or _LOOPBACK.fullmatch(endpoint.host) is not None


class _Way(NamedTuple):
    """A login that a server has asked for: by Digest, or by Basic where ``digest`` is None."""

    login: Login
    digest: DigestLogin | None


class Access:
    """``options``: those of the session; ``named``: origins that the user named, to which more is shown than to others
    (the default entry of netrc, a client certificate)."""

    def __init__(self, options: Options, named: set[str]) -> None:
        self.jar = CookieJar(is_public_suffix)
        self.named = named
        self.keeping = Keeping(options, self.jar)
        # What servers asked for, by origin and user: the next request need not be refused first.
        self._ways: dict[tuple[str, str], _Way] = {}

    def request(self, hop: Hop, options: Options) -> Request:
        """The request for one hop. :meth:`Keeping.prepare` has been awaited for its host."""
        fields = _plain_fields(hop, options)
        given = {name.lower() for name, _ in fields}
        self._add_cookies(fields, hop)
        if "authorization" in given:
            return build_request(hop.address, fields)
        login = self.login(hop, options)
        way = self._ways.get((hop.origin, login.user)) if login else None
        if way is not None and way.login == login:
            if way.digest is not None:
                return build_request(hop.address, fields, _signer(way.digest, hop.address.target))
            fields.append(("Authorization", basic_auth(*way.login[:2])))
        elif login is not None and login.at_once:
            fields.append(("Authorization", basic_auth(*login[:2])))
        elif login is None and (token := self._token(hop, options)):
            fields.append(("Authorization", f"Bearer {token}"))
        return build_request(hop.address, fields)

    def heard(self, address: Address, head: ResponseHead) -> None:
        """Keep the cookies that an answer sets."""
        hop = Hop(address, "")
        for name, value in head.fields:
            if name == "set-cookie":
                self.jar.take(
                    value.decode("utf-8", "surrogateescape"), host=address.endpoint.host, path=address.target,
                    is_secure=hop.is_private, now=time.time(),
                )  # fmt: skip

    def answers(self, hop: Hop, challenges: tuple[str, ...], options: Options, refused: Request) -> bool:
        """Whether a 401 to ``refused`` can be answered: then :meth:`request` now makes another one."""
        login = self.login(hop, options)
        if login is None or any(name.lower() == "authorization" for name, _ in _plain_fields(hop, options)):
            return False
        challenge = strongest(parse_challenges(challenges))
        if challenge is None:
            return False
        known = self._ways.get((hop.origin, login.user))
        way = known if known is not None and known.login == login else None
        if challenge.scheme == "basic":
            if b"\r\nAuthorization: Basic " in refused.head:
                return False
            self._ways[hop.origin, login.user] = _Way(login, None)
        elif way is None or way.digest is None:
            self._ways[hop.origin, login.user] = _Way(login, DigestLogin(challenge, login.user, login.password))
        elif challenge.is_stale:
            way.digest.renew(challenge)
        else:
            # One that went out before another request had logged in is merely asked again; else the password is wrong.
            return refused.sign is None
        return True

    def _add_cookies(self, fields: list[tuple[str, str]], hop: Hop) -> None:
        if not len(self.jar):
            return
        own = next((value for name, value in fields if name.lower() == "cookie"), "")
        names = frozenset(part.partition("=")[0].strip() for part in own.split(";"))
        endpoint = hop.address.endpoint
        kept = self.jar.header(
            host=endpoint.host, path=hop.address.target.partition("?")[0], is_secure=hop.is_private, now=time.time(),
            except_names=names if own else frozenset(),
        )  # fmt: skip
        if kept:
            fields[:] = [pair for pair in fields if pair[0].lower() != "cookie"]
            fields.append(("Cookie", f"{own}; {kept}" if own else kept))

    def login(self, hop: Hop, options: Options) -> Login | None:
        """Who the user is there, None for nobody."""
        address = hop.address
        if address.user is not None:
            return Login(address.user, address.password or self._kept_password(hop, options), at_once=True)
        if options.user is not None and hop.is_home:
            # Over plain http the password waits for the question: a server that knows Digest need not get it.
            password = self.keeping.password(options, address.endpoint.host)
            return Login(options.user, password, at_once=address.endpoint.scheme == "https")
        if self._token(hop, options) or not options.netrc:
            return None
        # netrc knows hosts, no ports: another port of it may be somebody else's (curl keeps to the first one, too).
        if not hop.is_home and address.endpoint.port != DEFAULT_PORTS.get(address.endpoint.scheme):
            return None
        return self.keeping.netrc_login(address.endpoint.host, with_default=hop.is_home and hop.origin in self.named)

    def _kept_password(self, hop: Hop, options: Options) -> str:
        """What netrc has for the very user that the URL names."""
        kept = self.keeping.netrc_login(hop.address.endpoint.host, with_default=False) if options.netrc else None
        return kept.password if kept is not None and kept.user in ("", hop.address.user) else ""

    def _token(self, hop: Hop, options: Options) -> str | None:
        if not hop.is_private or hop.address.user is not None:
            return None
        if options.token is not None and options.user is None and hop.is_home:
            return options.token
        return self.keeping.token(hop.address.endpoint)


def _plain_fields(hop: Hop, options: Options) -> list[tuple[str, str]]:
    given = {name.lower() for name, _ in options.headers}
    ours = (("User-Agent", options.user_agent), ("Accept", "*/*"), ("Accept-Encoding", "identity"), WANT_REPR_DIGEST)
    fields = [(name, value) for name, value in ours if name.lower() not in given]
    return fields + [_clean(*pair) for pair in options.headers if hop.is_home or pair[0].lower() in ANYWHERE]


def _clean(name: str, value: str) -> tuple[str, str]:
    """No Referer with a password (curl CVE-2021-22876)."""
    return (name, re.sub(r"(?<=://)[^/?#]*@", "", value)) if name.lower() == "referer" else (name, value)


def _signer(digest: DigestLogin, target: str) -> Callable[[], str]:
    return lambda: f"Authorization: {digest.authorization('GET', target, secrets.token_hex(16))}"


def of_mirror(options: Options) -> Options:
    """For a mirror that the user named: the password and the token were given for the first URL."""
    return replace(options, user=None, password=None, password_file=None, token=None)


def of_stranger(options: Options) -> Options:
    """For a URL that somebody else has named: nothing of the user's own (curl CVE-2021-22923, for metalinks)."""
    return replace(of_mirror(options), headers=(), refresh=None, refresh_cmd=None)


def options_for_fresh(options: Options, *, same_origin: bool) -> Options:
    """For a URL that took the place of the user's: what was given for that one's origin stays there."""
    return options if same_origin else replace(of_mirror(options), headers=())
