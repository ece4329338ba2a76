"""From options of aria2 to ours, as texts that :mod:`thunderdl.option_texts` reads.

Pure. An option that is not given sets nothing, so that our own default, or the session's, holds; whoever wants
aria2's lays :data:`thunderdl.aria2.table.KEPT_DEFAULTS` below. What means something only together (the name that is
taken, the proxy and its user, how long to share) is made together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from thunderdl.aria2.option import State
from thunderdl.aria2.table import OPTIONS
from thunderdl.aria2.values import validated_all
from thunderdl.formats.links import names_metalink, scheme_of
from thunderdl.option_values import value_of
from thunderdl.options import Options, table
from thunderdl.reach import parse_tracker

#: So many connections to one host at most, whatever is asked for: it is what all of ours are by default.
MOST_PER_HOST = 64
#: Retries, and a ratio, that stand for no end.
ENDLESS_TRIES, ENDLESS_RATIO = 999_999, "999999"

Text = str | tuple[str, ...]
Given = Mapping[str, "str | Sequence[str]"]
Values = Mapping[str, str]


class Translated(NamedTuple):
    """``texts``: by field of Options, tuples for what repeats; ``left``: options that set none of ours, by name, as
    aria2 keeps them; ``notes``: what was asked for and is not done, a sentence each."""

    texts: Mapping[str, Text]
    left: Mapping[str, str | Sequence[str]]
    notes: tuple[str, ...]


def translate(options: Given, *, uri: str | None = None) -> Translated:
    """What these options of aria2 mean here; those that aria2 does not know are passed over, as it does.

    ``uri``: of the download, where it is known: which user, proxy and ``follow-…`` holds depends on its scheme.
    Raises BadOption for a value that is none.
    """
    known = {name: validated_all(name, value) for name, value in options.items() if name in OPTIONS}
    values = {name: value for name, value in known.items() if isinstance(value, str)}
    lines = {name: value for name, value in known.items() if not isinstance(value, str)}
    texts: dict[str, Text] = {}
    for field, make in _SINGLE.items():
        if (text := make(values, uri)) is not None:
            texts[field] = text
    for field, gather in _REPEATED.items():
        if gathered := tuple(gather(values, lines, uri)):
            texts[field] = gathered
    left = {name: value for name, value in known.items() if OPTIONS[name].here.state is not State.OURS}
    return Translated(texts, left, tuple(_notes(known)))


def applied(base: Options, translated: Translated, *, of_session: bool = True) -> Options:
    """Our options with what was translated; without ``of_session`` only those that one download may have of its own.
    Headers and trackers join those of ``base``. Raises UsageError."""
    rows = {row.name: row for row in table()}
    changes: dict[str, object] = {}
    for name, text in translated.texts.items():
        row = rows[name]
        if row.scope == "session" and not of_session:
            continue
        value = value_of(row, text, "/".join(names_of(name)))
        changes[name] = (*getattr(base, name), *value) if isinstance(value, tuple) else value
    return replace(base, **changes)  # type: ignore[arg-type]  # typed by the rows


def names_of(field: str) -> tuple[str, ...]:
    """aria2's options that set this field of ours."""
    return tuple(name for name, option in OPTIONS.items() if field in option.here.ours)


def _notes(known: Given) -> Iterator[str]:
    for name, value in known.items():
        option = OPTIONS[name]
        if option.here.state is State.MISSING and value not in (option.default, "", []):
            yield f"--{name} has no effect: {option.here.why}."
    if str(known.get("checksum", "")).lower().startswith("adler32="):
        yield "--checksum: adler32 is not checked here."


# -- one text each: by field, from all values


def _same(name: str) -> Callable[[Values, str | None], str | None]:
    """The value itself, where it is one: clients send nothing to take a value away."""
    return lambda values, _: values.get(name) or None


def _switched(name: str, *, inverted: bool = False) -> Callable[[Values, str | None], str | None]:
    meaning = {"true": "no", "false": "yes"} if inverted else {"true": "yes", "false": "no"}
    return lambda values, _: meaning.get(values.get(name, ""))


def _exists(values: Values, _: str | None) -> str | None:
    if not values.keys() & {"allow-overwrite", "auto-file-renaming", "continue"}:
        return None
    if values.get("allow-overwrite") == "true":
        return "overwrite"
    if values.get("continue") == "true":
        return "skip"
    return "refuse" if values.get("auto-file-renaming") == "false" else "rename"


def _checksum(values: Values, _: str | None) -> str | None:
    text = values.get("checksum", "")
    return None if text.lower().startswith("adler32=") else text or None


def connections_to_a_host(values: Given, downloads: int) -> int | None:
    """Connections to one host over all of so many downloads at once; None where none were asked for.

    aria2 counts for each download, we over all of them: with one's share for all they would wait for each other."""
    asked = [int(str(values[name])) for name in ("max-connection-per-server", "split") if name in values]
    return min(min(asked) * downloads, MOST_PER_HOST) if asked else None


def _per_host(values: Values, _: str | None) -> str | None:
    count = connections_to_a_host(values, int(values.get("max-concurrent-downloads", "5")))
    return None if count is None else str(count)


def _retries(values: Values, _: str | None) -> str | None:
    tries = values.get("max-tries")
    if tries is None:
        return None
    return str(ENDLESS_TRIES if tries == "0" else min(int(tries) - 1, ENDLESS_TRIES))


def _ip_version(values: Values, _: str | None) -> str | None:
    return {"true": "4", "false": "any"}.get(values.get("disable-ipv6", ""))


def _sequential(values: Values, _: str | None) -> str | None:
    order = values.get("stream-piece-selector")
    return None if order is None else "yes" if order == "inorder" else "no"


def _encryption(values: Values, _: str | None) -> str | None:
    asked = [values[name] for name in ("bt-require-crypto", "bt-force-encryption") if name in values]
    return None if not asked else "require" if "true" in asked else "prefer"


def _port(values: Values, _: str | None) -> str | None:
    found = re.search(r"\d+", values.get("listen-port", ""))
    return found[0] if found else None


def _ratio(values: Values, _: str | None) -> str | None:
    if _minutes(values) == 0 or not values.get("seed-ratio"):
        return None
    if float(values["seed-ratio"]) == 0:
        return None if _minutes(values) else ENDLESS_RATIO
    return f"{min(float(values['seed-ratio']), float(ENDLESS_RATIO)):.6f}".rstrip("0").rstrip(".")


def _seed_time(values: Values, _: str | None) -> str | None:
    minutes = _minutes(values)
    return f"{minutes * 60:.3f}s" if minutes else None


def _minutes(values: Values) -> float | None:
    text = values.get("seed-time")
    return float(text) if text else None


def _follow(values: Values, uri: str | None) -> str | None:
    names = ("follow-metalink", "follow-torrent") if uri and names_metalink(uri) else ("follow-torrent",)
    told = next((values[name] for name in names if name in values), None)
    return None if told is None else "no" if told == "false" else "yes"


def _of_scheme(uri: str | None) -> str:
    scheme = scheme_of(uri) if uri else ""
    return "ftp" if scheme in ("ftp", "ftps", "sftp") else scheme or "http"


def _user(values: Values, uri: str | None) -> str | None:
    return values.get("ftp-user" if _of_scheme(uri) == "ftp" else "http-user") or None


def _password(values: Values, uri: str | None) -> str | None:
    kind = "ftp" if _of_scheme(uri) == "ftp" else "http"
    return values.get(f"{kind}-passwd") if values.get(f"{kind}-user") else None


def _proxy(values: Values, uri: str | None) -> str | None:
    # An empty one stands for none at all, in place of one from further out.
    for kind in (_of_scheme(uri), "all"):
        proxy = values.get(f"{kind}-proxy")
        if proxy:
            return _with_login(proxy, values.get(f"{kind}-proxy-user"), values.get(f"{kind}-proxy-passwd"))
        if proxy == "":
            return None
    return None


def _with_login(proxy: str, user: str | None, password: str | None) -> str:
    if not user:
        return proxy.rstrip("/")
    scheme, _, rest = proxy.rstrip("/").partition("://")
    login = f"{_escaped(user)}:{_escaped(password)}" if password is not None else _escaped(user)
    return f"{scheme}://{login}@{rest.rpartition('@')[2]}"


def _escaped(text: str) -> str:
    """As RFC 3986 section 3.2.1 wants it: what could end the user's part is written as its octets."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(each) if re.fullmatch(r"[A-Za-z0-9._~-]", chr(each)) else f"%{each:02X}" for each in octets)


_SINGLE: Mapping[str, Callable[[Values, str | None], str | None]] = {
    "dir": _same("dir"), "out": _same("out"), "exists": _exists, "checksum": _checksum,
    "remote_time": _switched("remote-time"), "verify_resumed": _switched("check-integrity"),
    "per_host": _per_host, "jobs": _same("max-concurrent-downloads"), "limit": _same("max-overall-download-limit"),
    "task_limit": _same("max-download-limit"), "user_agent": _same("user-agent"), "timeout": _same("timeout"),
    "retries": _retries, "proxy": _proxy, "no_proxy": _same("no-proxy"), "interface": _same("interface"),
    "ip_version": _ip_version, "ca": _same("ca-certificate"),
    "insecure": _switched("check-certificate", inverted=True), "cert": _same("certificate"),
    "cert_key": _same("private-key"), "user": _user, "password": _password,
    "netrc": _switched("no-netrc", inverted=True), "cookies": _same("load-cookies"),
    "torrent": _same("torrent-file"), "metalink": _same("metalink-file"), "follow": _follow,
    "files": _same("select-file"), "sequential": _sequential, "ratio": _ratio,
    "upload_limit": _same("max-overall-upload-limit"), "task_upload_limit": _same("max-upload-limit"),
    "seed_time": _seed_time, "port": _port, "dht": _switched("enable-dht"), "pex": _switched("enable-peer-exchange"),
    "lsd": _switched("bt-enable-lpd"), "encryption": _encryption,
}  # fmt: skip


# -- what repeats


def _headers(values: Values, lines: Mapping[str, Sequence[str]], uri: str | None) -> Iterator[str]:
    for line in lines.get("header", ()):
        name, _, value = line.partition(":")
        # aria2 sends any line; without a name or a value there is no header to send.
        if name.strip() and value.strip():
            yield line
    referer = values.get("referer")
    if referer == "*":
        referer = re.sub(r"(?<=://)[^/?#]*@", "", uri.partition("#")[0]) if uri else None
    if referer:
        yield f"Referer: {referer}"
    if values.get("http-no-cache") == "true":
        yield "Cache-Control: no-cache"
        yield "Pragma: no-cache"


def _trackers(values: Values, _: Mapping[str, Sequence[str]], __: str | None) -> Iterator[str]:
    # aria2 takes of a list what it can use: lists of trackers from the web hold rubbish now and then.
    return (each for each in map(str.strip, values.get("bt-tracker", "").split(",")) if _is_tracker(each))


def _is_tracker(text: str) -> bool:
    try:
        parse_tracker(text)
    except ValueError:
        return False
    return True


_REPEATED: Mapping[str, Callable[[Values, Mapping[str, Sequence[str]], str | None], Iterator[str]]] = {
    "headers": _headers, "trackers": _trackers,
}  # fmt: skip
