"""curl's own tests, read from THUNDERDL_TESTDATA: what the server says, curl's options as ours, what must come of it.

A row that has no meaning here says why (:class:`NotHere`); the test shows it as skipped.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.scripted import Heard, Said
from thunderdl.reach import parse_resolve

Section = dict[str, list[dict[str, object]]]
# Names that the rows use for folders and ports of curl's own set-up.
_LOGDIR = "LOGDIR"


class NotHere(Exception):
    """Why a row is not run, in a clause."""


@dataclass(slots=True)
class Command:
    """A command line of curl's in our terms."""

    urls: list[str] = field(default_factory=list)
    outs: list[str] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    login: str | None = None
    proxy_login: str | None = None
    resumes: bool = False
    follows: bool = False
    # Only what is written into it could be compared: no jar is written here.
    has_jar: bool = False
    # The login waits for the server's question.
    is_asked_first: bool = False
    fails: bool = False
    globs: bool = True

    def check_means_something(self) -> None:
        """Raises NotHere."""
        if self.has_jar and len(self.urls) == 1 and "cookies" not in self.options:
            raise NotHere("no cookie jar is written")
        if self.is_asked_first and self.login is None:
            raise NotHere("the login of a netrc does not wait for a question")


_SENDS = "it sends a body, or another method than GET"
_NOT_OURS = {
    "-d": _SENDS, "--data": _SENDS, "-F": _SENDS, "--form": _SENDS, "--form-string": _SENDS, "-T": _SENDS, "-X": _SENDS,
    "-I": _SENDS, "--head": _SENDS, "-G": _SENDS, "--post301": _SENDS, "--post303": _SENDS, "--json": _SENDS,
    "-r": "ranges are thunderdl's own affair: it fetches whole files",
    "--range": "ranges are thunderdl's own affair: it fetches whole files",
    "-K": "config files of curl's form", "--url": "lists of curl's form", "--hsts": "no HSTS cache",
    "--etag-save": "no file for a tag: the journal keeps it",
    "--etag-compare": "no file for a tag: the journal keeps it",
    "-z": "no condition on the time", "--max-filesize": "no limit of a file's size",
    "--tr-encoding": "transfer codings are not asked for",
    "--ntlm": "NTLM",
    "--proxy-anyauth": "the scheme is not negotiated", "--proxy-ntlm": "NTLM", "--proxytunnel": "no forced tunnel",
    "-p": "no forced tunnel", "--location-trusted": "no such permission",
    "--proto-redir": "no such permission", "--proto": "no such permission",
    "--no-clobber": "--rename numbers otherwise",
    "--limit-rate": "needs a SOCKS server", "--out-null": "no stdout", "--path-as-is": "no such option",
    "--follow": "no such option", "-0": "no HTTP/1.0 requests",
    "--retry-max-time": "no such option",
}  # fmt: skip
_WITHOUT_VALUE = {
    "-f": "", "--fail": "", "-s": "", "-S": "", "-sS": "", "-v": "", "-4": "", "--no-progress-meter": "",
    "--compressed": "", "-j": "", "--http1.1": "", "--no-include": "", "--remove-on-error": "",
    "--silent": "", "--show-error": "", "--create-dirs": "", "-i": "", "--show-headers": "", "--include": "",
}  # fmt: skip
_IGNORED_VALUE = ("-D", "--dump-header", "-w", "--write-out", "--max-time", "-m")


def command_of(text: str, logdir: str) -> Command:
    """The command line in our terms. Raises NotHere."""
    made, words = Command(), iter(shlex.split(text))
    for word in words:
        name, equals, attached = word.partition("=") if word.startswith("--") else (word, "", "")
        if word[:2] == "-o" and word[2:]:
            name, equals, attached = "-o", "=", word[2:]

        def value(has: str = equals, given: str = attached) -> str:
            return given if has else next(words)

        if not word.startswith("-") or word == "-":
            if re.match(r"https?:/[^/]", word):
                raise NotHere("a URL with one slash is refused, with a hint")
            made.urls.append(word if "://" in word else f"http://{word}")
        elif name in _NOT_OURS or name[:2] in ("-F", "-T") or (name[:2] == "-d" and name != "-dump"):
            raise NotHere(_NOT_OURS.get(name, _SENDS))
        elif name in _WITHOUT_VALUE:
            made.fails |= name in ("-f", "--fail")
        elif name in _IGNORED_VALUE:
            value()
        else:
            _take(made, name, value(), logdir) if name in _VALUED else _switch(made, name)
    made.check_means_something()
    return made


_VALUED = {
    "-o", "--output", "--output-dir", "-C", "-b", "-c", "-H", "-A", "-e", "--referer", "-u", "--user", "-x", "--proxy",
    "-U", "--proxy-user", "--noproxy", "--retry", "--netrc-file", "--resolve",
    "--oauth2-bearer", "--max-redirs",
}  # fmt: skip


def _take(made: Command, name: str, value: str, logdir: str) -> None:
    match name:
        case "-o" | "--output":
            if value != "/dev/null":
                made.outs.append(value.removeprefix(f"{logdir}/"))
        case "-b" | "-c":
            _take_cookies(made, name, value, logdir)
        case "-C":
            made.resumes = True
        case "-H" | "-e" | "--referer":
            made.headers.append(_header(value) if name == "-H" else ("Referer", value))
        case "-u" | "--user":
            made.login = value
        case "-U" | "--proxy-user":
            made.proxy_login = value
        case "--noproxy":
            made.options["no_proxy"] = value
        case "--netrc-file":
            made.options["netrc"], made.environment["NETRC"] = True, value
        case _:
            _take_setting(made, name, value)


def _take_setting(made: Command, name: str, value: str) -> None:
    match name:
        case "-A":
            made.options["user_agent"] = value
        case "--oauth2-bearer":
            made.options["token"] = value
        case "--resolve":
            try:
                resolve = parse_resolve(value.lstrip("+"))
            except ValueError as error:
                raise NotHere(str(error)) from None
            made.options["resolve"] = (*made.options.get("resolve", ()), resolve)  # type: ignore[misc]
        case "--max-redirs":
            if value == "0":
                raise NotHere("redirects are always followed")
        case "-x" | "--proxy":
            made.options["proxy"] = value if "://" in value else f"http://{value}"
        case "--retry":
            made.options["retries"] = min(int(value), 2)


def _take_cookies(made: Command, name: str, value: str, logdir: str) -> None:
    """A file that is not there is curl's way to have cookies kept between its URLs, as they always are here."""
    if name == "-c":
        made.has_jar = True
    elif "=" in value:
        made.headers.append(("Cookie", value))
    elif value.startswith(logdir):
        made.options["cookies"] = value


def _switch(made: Command, name: str) -> None:
    letters = [name] if name.startswith("--") else [f"-{letter}" for letter in name[1:]]
    for each in letters:
        if each in ("-L", "--location"):
            made.follows = True
        elif each in ("-n", "--netrc", "--netrc-optional"):
            made.options["netrc"] = True
        elif each in ("--digest", "--anyauth"):
            made.is_asked_first = True
        elif each in ("-k", "--insecure"):
            made.options["insecure"] = True
        elif each == "-g":
            made.globs = False
        elif each == "--xattr":
            made.options["xattr"] = True
        elif each in ("-R", "--remote-time"):
            made.options["remote_time"] = True
        elif each not in ("-O", "-J", "--remote-name"):
            raise NotHere(f"no option like {each}")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not value.strip():
        raise NotHere("curl's form to remove a header")
    return name, value.strip()


@dataclass(slots=True)
class Row:
    """One test of curl's. ``number``: as in its name."""

    number: str
    raw: dict[str, object]
    logdir: Path
    port: int = 0

    @property
    def groups(self) -> list[str]:
        found = self.raw["groups"]
        assert isinstance(found, list)
        return found

    @property
    def is_ipv6(self) -> bool:
        return self.texts("client", "server") == [b"http-ipv6\n"]

    @property
    def fails(self) -> bool:
        return self.raw["exit"] != "0"

    def section(self, name: str) -> Section:
        found = self.raw.get(name, {})
        assert isinstance(found, dict)
        return found

    def texts(self, section: str, key: str) -> list[bytes]:
        return [self._octets(part) for part in self.section(section).get(key, [])]

    def check_runs_here(self) -> None:
        """Raises NotHere."""
        servers = b" ".join(self.texts("client", "server")).split()
        if "tool" in self.section("client"):
            raise NotHere("a program of curl's own")
        if not servers or not {b"http", b"http-ipv6"}.issuperset(servers):
            raise NotHere(f"a server for {b', '.join(servers).decode() or 'nothing'}")
        if not self.section("client").get("command"):
            raise NotHere("no command")
        if "%includetext" in json.dumps(self.raw):
            raise NotHere("a file of curl's own is missing")
        said = b"".join(octets for key in self.section("reply") for octets in self.texts("reply", key)).lower()
        if re.search(rb"\ncontent-encoding:(?! *(?:x-)?(?:gzip|deflate) *\r?\n)", said):
            raise NotHere("a content coding that was not asked for, and is neither gzip nor deflate")

    def command(self) -> Command:
        """Raises NotHere."""
        made = command_of(self.texts("client", "command")[0].decode("latin-1"), str(self.logdir))
        if not made.follows and any(re.match(rb"HTTP/1.1 30[1-8]", octets) for octets in self.texts("reply", "data")):
            raise NotHere("redirects are always followed")
        return made

    def files(self, section: str) -> dict[str, bytes]:
        """Name within the folder to content, for each file of a section."""
        found = {}
        for key, parts in self.section(section).items():
            for part in parts if re.fullmatch(r"file\d*", key) else []:
                name = self._expanded(str(dict(part["attrs"])["name"])).decode()  # type: ignore[call-overload]
                found[name.removeprefix(f"{self.logdir}/")] = self._octets(part)
        return found

    def asked(self) -> list[Heard]:
        """The requests that curl sends."""
        made = []
        for head in b"".join(self.texts("verify", "protocol")).split(b"\r\n\r\n"):
            line, *fields = head.decode("latin-1").split("\r\n")
            pairs = [(name, value.strip()) for name, _, value in (text.partition(":") for text in fields)]
            if line.strip():
                made.append(Heard(line.split(" ")[0], line.partition(" ")[2].rpartition(" ")[0], tuple(pairs)))
        return made

    def body(self, key: str) -> bytes | None:
        """The body that comes of an answer (``datacheck``, or ``data``): behind the last head in it."""
        found = self.texts("reply", key)
        if not found:
            return None
        heads = list(re.finditer(rb"HTTP/\d(?:\.\d)? \d{3}.*?\r?\n\r?\n", found[0], re.DOTALL))
        body = found[0][heads[-1].end() :] if heads else found[0]
        is_chunked = heads and key != "datacheck" and re.search(rb"(?i)\ntransfer-encoding: *chunked", heads[-1][0])
        return _unchunked(body) if is_chunked else body

    def environment(self) -> dict[str, str]:
        """Variables that are set before the run."""
        lines = b"".join(self.texts("client", "setenv")).decode().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def said(self, part: int, heard: Heard) -> Said:
        key = "connect" if heard.method == "CONNECT" and "connect" in self.section("reply") else f"data{part or ''}"
        octets = b"".join(self.texts("reply", key))
        head = octets.partition(b"\r\n\r\n")[0].lower()
        framed = b"content-length:" in head or b"transfer-encoding:" in head
        return Said(octets, close=b"swsclose" in octets or not framed or b"connection: close" in head)

    def _octets(self, part: dict[str, object]) -> bytes:
        attributes = part["attrs"]
        assert isinstance(attributes, dict)
        octets = self._expanded(str(part["text"]))
        crlf = attributes.get("crlf")
        if crlf == "yes":
            octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        elif crlf == "headers":
            octets = _with_crlf_in_heads(octets)
        return octets.removesuffix(b"\n") if attributes.get("nonewline") == "yes" else octets

    def _expanded(self, text: str) -> bytes:
        text = re.sub(r"(?m)^%else\n(?:.*\n)*?%endif\n", "", text)
        text = re.sub(r"(?m)^%(?:if .*|endif)\n", "", text)
        plain = {
            "HOSTIP": "127.0.0.1", "HOST6IP": "[::1]", "HTTPPORT": str(self.port), "HTTP6PORT": str(self.port),
            "TESTNUMBER": self.number, "CR": "\r", "LT": "<",
            "GT": ">",
            "AMP": "&", "SP": " ", "TAB": "\t", "VERSION": "8", "NOLISTENPORT": "47", "DEV_NULL": "/dev/null",
            _LOGDIR: str(self.logdir),
        }  # fmt: skip
        octets = re.sub(r"%(" + "|".join(plain) + ")", lambda found: plain[found[1]], text).encode("utf-8")
        octets = re.sub(rb"%repeat\[(\d+) x (.*?)\]%", _repeated, octets, flags=re.DOTALL)
        octets = re.sub(
            rb"%b64\[(.*?)\]b64%", lambda found: base64.b64encode(_unhexed(found[1])), octets, flags=re.DOTALL
        )
        return re.sub(rb"%hex\[(.*?)\]hex%", lambda found: _unhexed(found[1]), octets, flags=re.DOTALL)


def _unchunked(coded: bytes) -> bytes:
    body = b""
    while (line := coded.partition(b"\r\n"))[0] and (length := int(line[0].partition(b";")[0], 16)):
        body, coded = body + line[2][:length], line[2][length + 2 :]
    return body


def _repeated(found: re.Match[bytes]) -> bytes:
    return int(found[1]) * _unhexed(found[2])


def _unhexed(octets: bytes) -> bytes:
    return re.sub(rb"%([0-9a-fA-F]{2})", lambda found: bytes.fromhex(found[1].decode()), octets)


def _with_crlf_in_heads(octets: bytes) -> bytes:
    """What begins like a head has CRLF up to its empty line, wherever it stands."""
    lines, in_head, made = octets.split(b"\n"), False, []
    for index, line in enumerate(lines):
        in_head = in_head or re.match(rb"HTTP/\d|(?:GET|HEAD|POST|PUT|CONNECT|OPTIONS) \S+ HTTP/", line) is not None
        is_last = index == len(lines) - 1
        made.append(line + (b"" if is_last else b"\r\n" if in_head and not line.endswith(b"\r") else b"\n"))
        in_head = in_head and line.strip(b"\r") != b""
    return b"".join(made)
