"""curl's own tests on us: the file that comes of each, and what each server hears of logins and cookies.

Which requests are sent is not compared one by one: thunderdl asks for ranges, and again where a redirect needs policy.
But whatever is sent must be something that curl sends too, with the same login and cookies (bad-inputs C1 to C10).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest

from tests.engine.curl_rows import Command, NotHere, Row
from tests.engine.runs import LIMIT_S, check_result
from tests.servers.scripted import Heard, Said, ScriptedServer
from thunderdl.client import Client
from thunderdl.formats.url_patterns import UrlPattern, parse_pattern, with_chosen
from thunderdl.model import Result, Status
from thunderdl.options import Exists, Options
from thunderdl.storage.paths import name_from_url

# What is otherwise here, and why. A row that passes all the same is counted as passed.
OTHERWISE = {
    "679": "a control character in a password is refused",
    "420": "cookies of equal paths go in the order of the file (RFC 6265bis section 5.8.3)",
    "90": "NTLM is never answered, and Basic is",
    "1166": "cookies that a server sets are always kept for the session",
    "2006": "no token goes over plain http; the login of the netrc does",
    "2305": "gzip of several members is read to its end (RFC 1952 section 2.2)",
    "1216": "cookies of equal paths go in the order of the file (RFC 6265bis section 5.8.3)",
    "334": "204 is no file",
    "365": "Content-Length beside Transfer-Encoding is refused (RFC 9112 section 6.3)",
    "1116": "bare newlines between chunks are refused by llhttp",
    "1417": "bare newlines between chunks are refused by llhttp",
    "1141": "a redirect with three slashes is refused",
    "1482": "chunked twice is refused (RFC 9112 section 7.1)",
    "1483": "chunked twice is refused (RFC 9112 section 7.1)",
    "1494": "a Content-Length beside the coding 'identity' is refused: HTTP has no such coding any more",
}
_SECRETS = ("authorization", "proxy-authorization", "cookie")


def _numbers() -> list[str]:
    folder = os.environ.get("THUNDERDL_TESTDATA")
    path = Path(folder or "/nonexistent") / "curl_http_tests" / "parsed.json"
    return [name.removeprefix("test") for name in json.loads(path.read_text())] if path.is_file() else ["none"]


@pytest.fixture(scope="module")
def raw_rows(testdata: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((testdata / "curl_http_tests" / "parsed.json").read_text())
    return found


class Script:
    """What curl's test server does: the number in a path says which test and which answer; ``swsbounce`` means that
    the next request gets the next answer."""

    def __init__(self, row: Row) -> None:
        self._row, self._bounced, self._last = row, False, 0
        self.parts: list[int] = []

    def answer(self, heard: Heard) -> Said:
        part = self._part(heard.target)
        # As in curl's sws: what is behind the server's question.
        part += part >= 1000 and (heard.field("authorization") or "").startswith("Basic ")
        if self._bounced:
            part = self._last + 1
        self._last = part
        said = self._row.said(part, heard)
        self._bounced = b"swsbounce" in said.octets
        self.parts.append(part)
        return said

    def _part(self, target: str) -> int:
        found = re.search(r"\d+", target.rpartition("/")[2]) or re.search(r"\d+(?!.*\d)", target)
        number = int(found[0]) if found else 0
        return number % 10000 if number > 10000 else 0


def run(row: Row, command: Command, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    for name, value in (row.environment() | command.environment).items():
        monkeypatch.setenv(name, value)
    options: dict[str, Any] = {
        "dir": str(row.logdir), "timeout": 2.0, "retries": 0, "exists": Exists.OVERWRITE, "checksum_files": False,
        "headers": tuple(command.headers), **command.options,
    }  # fmt: skip
    if command.is_asked_first and command.login is not None:
        options["user"], _, options["password"] = command.login.partition(":")
    if (proxy := options.get("proxy")) and command.proxy_login:
        options["proxy"] = str(proxy).replace("://", f"://{command.proxy_login}@")

    async def one_by_one() -> list[Result]:
        # In one session, as curl's are in one run: cookies are kept between them.
        async with asyncio.timeout(LIMIT_S), Client(Options(**options)) as client:
            return [await _fetched(client, row, command, url, out) for url, out in _targets(command)]

    return asyncio.run(one_by_one())


def _targets(command: Command) -> Iterator[tuple[str, str | None]]:
    outs = iter(command.outs)
    for url in command.urls:
        out = next(outs, None)
        pattern = parse_pattern(url) if command.globs else UrlPattern((url,))
        for one, chosen in pattern:
            login = None if command.is_asked_first else command.login
            yield _with_login(one, login), with_chosen(out, chosen, pattern.names) if out else None


def _with_login(url: str, login: str | None) -> str:
    if login is None:
        return url
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    user, _, password = login.partition(":")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host.rpartition('@')[2]}{slash}{path}"


async def _fetched(client: Client, row: Row, command: Command, url: str, out: str | None) -> Result:
    if command.resumes:
        # A part file without a journal is all that a foreign file can be for us.
        for name, content in row.files("client").items():
            if name.startswith("curl") or name == out:
                (row.logdir / f"{out or name_from_url(url)}.part").write_bytes(content)
    result = await client.add(url, out=out).outcome()
    check_result(result)
    return result


def check(row: Row, script: Script, server: ScriptedServer, command: Command, results: list[Result]) -> None:
    secrets = {_facts(heard) for heard in row.asked()}
    for heard in server.requests:
        assert not secrets or _facts(heard) in secrets, f"curl sends no such request: {heard}, but {secrets}"
    last = results[-1]
    if row.fails and not command.resumes:
        assert any(result.status is Status.FAILED for result in results), "curl fails here"
        return
    if command.resumes and last.status is Status.FAILED:
        return
    # Of several URLs curl's exit code is that of the last.
    assert last.error is None, str(last.error)
    _check_files(row, script, last, command)


def _facts(heard: Heard) -> tuple[str | None, ...]:
    """Whom a request goes to, and what it gives away."""
    return (unquote_plus(heard.target), *(heard.field(name) for name in _SECRETS))


def _check_files(row: Row, script: Script, last: Result, command: Command) -> None:
    assert last.path is not None
    saved = Path(last.path)
    expected = {name: body for name, body in row.files("verify").items() if not re.match(r"heads|stdout|stderr", name)}
    own = f"curl{row.number}.out"
    if saved.name in expected and not command.resumes:
        # With -i and -D curl writes heads; where the row has them in the file, the body is what is left.
        assert expected[saved.name].endswith(saved.read_bytes())
        return
    is_last = len(command.urls) == 1 and (len(set(script.parts)) == 1 or command.follows)
    body = row.body("datacheck") if is_last and not command.resumes else None
    if body is None:
        body = row.body(f"data{script.parts[-1] or ''}")
    assert own not in expected
    assert body is not None
    assert saved.read_bytes() == body


@pytest.fixture(scope="module")
def shares() -> Iterator[Counter[str]]:
    """How many rows pass, by group; printed at the end with ``-s``."""
    counted: Counter[str] = Counter()
    yield counted
    for group in sorted({name.partition(" ")[0] for name in counted}):
        passed, ran, skipped = (counted[f"{group} {what}"] for what in ("passed", "run", "skipped"))
        sys.stdout.write(f"{group}: {passed} of {ran} run, {skipped} skipped\n")


@pytest.mark.parametrize("number", _numbers())
def test_row(
    number: str, raw_rows: dict[str, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    shares: Counter[str],
) -> None:  # fmt: skip
    row = Row(number, raw_rows[f"test{number}"], tmp_path / "log")
    row.logdir.mkdir()
    script = Script(row)
    with ScriptedServer(script.answer, "::1" if row.is_ipv6 else "127.0.0.1") as server:
        row.port = server.port
        try:
            row.check_runs_here()
            command = row.command()
        except NotHere as reason:
            shares.update(f"{group} skipped" for group in row.groups)
            pytest.skip(str(reason))
        for name, content in row.files("client").items():
            (row.logdir / name).write_bytes(content)
        shares.update(f"{group} run" for group in row.groups)
        results = run(row, command, monkeypatch)
    assert sorted(os.listdir(tmp_path)) == ["log"]
    try:
        check(row, script, server, command, results)
    except AssertionError:
        if number in OTHERWISE:
            pytest.skip(f"run, and otherwise here: {OTHERWISE[number]}")
        raise
    shares.update(f"{group} passed" for group in row.groups)
