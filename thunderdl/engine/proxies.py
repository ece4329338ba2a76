"""Which proxy a host is reached by: the option, the user's httpx settings, else the environment's."""

from __future__ import annotations

import os
from typing import Any

from thunderdl.engine.session import Session
from thunderdl.formats.host_patterns import means, patterns_of
from thunderdl.options import Options
from thunderdl.sources.http.connect import check_proxy
from thunderdl.sources.http.wire import Endpoint, ascii_host

# The environment is asked once for each host, and again where a list has more hosts than this.
MAX_PROXIES_KNOWN = 4096


def proxy_for(session: Session, endpoint: Endpoint, options: Options) -> str | None:
    """The proxy for an endpoint, None for none. Raises UsageError.

    ``--no-proxy`` is stronger than ``--proxy-for``, that than ``--proxy``; ``no_proxy`` of the environment holds for
    proxies of the environment, unless ``--no-proxy`` is given.
    """
    if (given := given_proxy(session, endpoint, options)) is not None:
        return _checked(given)
    # Exceptions that are given replace the environment's.
    key = (endpoint, options.no_proxy is not None)
    if key not in session.proxies:
        if len(session.proxies) >= MAX_PROXIES_KNOWN:
            session.proxies.clear()
        session.proxies[key] = _checked(_proxy_of_environment(endpoint, obeys_exceptions=options.no_proxy is None))
    return session.proxies[key]


def given_proxy(session: Session, endpoint: Endpoint, options: Options) -> str | None:
    """The proxy that the user gives for an endpoint, "" for none; None where that is left to the environment."""
    if options.no_proxy and _covers(options.no_proxy, endpoint):
        return ""
    for hosts, proxy in options.proxy_for:
        if _covers(hosts, endpoint):
            return "" if proxy.lower() == "direct" else proxy
    return options.proxy or session.own_proxy


def policy_of(session: Session, options: Options) -> Any:
    """httpx's part, by the proxies of these options."""
    by = (options.proxy, options.proxy_for, options.no_proxy)
    return session.policy(by, lambda address: proxy_for(session, address.endpoint, options))


def _checked(proxy: str | None) -> str | None:
    if proxy:
        check_proxy(proxy)
    return proxy or None


def _proxy_of_environment(endpoint: Endpoint, *, obeys_exceptions: bool) -> str | None:
    """By http_proxy, https_proxy, all_proxy and no_proxy."""
    names = (f"{endpoint.scheme}_proxy", "all_proxy")
    found = next((os.environ[n] for n in (*names, names[0].upper(), names[1].upper()) if os.environ.get(n)), None)
    # HTTP_PROXY in capitals can be set by a request's "Proxy:" field where we run as CGI (CVE-2016-5385).
    if found is None or ("REQUEST_METHOD" in os.environ and found == os.environ.get("HTTP_PROXY")):
        return None
    if obeys_exceptions and _covers(os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "", endpoint):
        return None
    return found if "://" in found else f"http://{found}"


def _covers(hosts: str, endpoint: Endpoint) -> bool:
    return any(means(pattern, endpoint.host, endpoint.port, ascii_host) for pattern in patterns_of(hosts))
