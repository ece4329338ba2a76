"""Links that hold for a while: asked for again, proven to be of the same file, and nothing lost where they are not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import (
    LIMIT_S,
    all_say,
    cancelled_at,
    content_of,
    drive,
    failed,
    fetch,
    names,
    sha256,
    stopped_after,
)
from tests.servers import misbehave as m
from tests.servers.exchange import Behaviour, Reply, Request
from tests.servers.loopback import LoopbackServer, Resource, generated
from tests.stopwatch import Stopwatch
from thunderdl.client import Client, Task
from thunderdl.engine import refreshing
from thunderdl.errors import AccessDenied, LinkExpired, UsageError
from thunderdl.leftovers import request_from_journal
from thunderdl.model import ExpiredLink, Result
from thunderdl.options import Options
from thunderdl.storage.journal import Journal, find_journals, read_header
from thunderdl.storage.records import Header

SIZE = 8 * 1024 * 1024
CONTENT = bytes(generated(SIZE, seed=1).span(0, SIZE))
# Slow enough for several lanes.
RATE = 3 * SIZE
TAG = '"one"'
# What a server has to answer in, on a busy machine, too.
TIMEOUT_S = 2.0


def file(behaviour: Behaviour = m.well, *, seed: int = 1, etag: str | None = TAG, size: int = SIZE) -> Resource:
    return generated(size, seed=seed, etag=etag, behaviour=behaviour)


def expires_after(count: int, status: int = 403) -> Behaviour:
    return m.after(count, m.status(status))


class Asked:
    """A callable that gives one URL after the other, the last one again and again."""

    def __init__(self, *urls: str) -> None:
        self.links: list[ExpiredLink] = []
        self._urls = urls

    def __call__(self, link: ExpiredLink) -> str:
        self.links.append(link)
        return self._urls[min(len(self.links), len(self._urls)) - 1]


@pytest.mark.parametrize("status", [401, 403, 410])
def test_a_link_that_ends_midway_is_renewed_once_for_all_lanes(
    tmp_path: Path, server: LoopbackServer, status: int
) -> None:
    server.resources["/old"] = file(expires_after(1, status))
    server.resources["/new"] = file()
    asked = Asked(server.url("/new"))
    result = fetch(server.url("/old"), tmp_path, refresh=asked, task_limit=RATE)
    assert content_of(result) == CONTENT
    assert result.path == str(tmp_path / "old")
    assert len(asked.links) == 1
    link = asked.links[0]
    assert (link.url, link.name, link.size_bytes) == (server.url("/old"), "old", SIZE)
    assert str(status) in link.why
    assert any("renewed" in note for note in result.notes)


def test_a_callable_may_be_async(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"], server.resources["/new"] = file(expires_after(2)), file()

    async def refresh(link: ExpiredLink) -> str:
        await asyncio.sleep(0)
        return link.url.replace("old", "new")

    assert content_of(fetch(server.url("/old"), tmp_path, refresh=refresh)) == CONTENT


def test_a_link_that_is_dead_from_the_start(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"], server.resources["/new"] = file(m.status(403)), file()
    asked = Asked(server.url("/new"))
    result = fetch(server.url("/old"), tmp_path, refresh=asked)
    assert content_of(result) == CONTENT
    assert names(tmp_path) == ["old"]
    assert len(asked.links) == 1


def test_nobody_is_asked_for_what_is_not_there(tmp_path: Path, server: LoopbackServer) -> None:
    asked = Asked(server.url("/new"))
    result = fetch(server.url("/old"), tmp_path, refresh=asked)
    assert result.error is not None
    assert asked.links == []


def test_a_redirect_to_a_signed_link_is_asked_again_by_itself(tmp_path: Path, server: LoopbackServer) -> None:
    """As GitHub, Hugging Face and most stores of objects give links out: for some minutes."""

    def to_the_next(request: Request, reply: Reply) -> Reply:
        return m.redirect("/signed1" if request.number == 1 else "/signed2")(request, reply)

    server.resources["/f"] = Resource(body=b"", behaviour=to_the_next)
    server.resources["/signed1"], server.resources["/signed2"] = file(expires_after(1)), file()
    result = fetch(server.url("/f"), tmp_path, task_limit=RATE)
    assert content_of(result) == CONTENT
    assert len([request for request in server.requests if request.path == "/f"]) == 2
    assert server.sent["/signed2"] > 0


def test_every_lane_may_be_refused_at_once(tmp_path: Path, server: LoopbackServer) -> None:
    """All slots of the host are held by lanes that wait: the new link is asked for all the same."""
    cut = m.first(1, m.reset_after(SIZE // 4), m.status(403))
    server.resources["/old"], server.resources["/new"] = file(cut), file()
    asked = Asked(server.url("/new"))
    watch = Stopwatch()
    result = fetch(server.url("/old"), tmp_path, refresh=asked, per_host=1, retries=2)
    assert content_of(result) == CONTENT
    assert watch.took_s < 4
    assert len(asked.links) == 1


def test_a_new_link_to_another_host(tmp_path: Path, server: LoopbackServer) -> None:
    """What the user gave for the old one's origin is not sent there."""
    with LoopbackServer({"/new": file()}) as other:
        server.resources["/old"] = file(expires_after(2))
        asked = Asked(other.url("/new"))
        headers = (("X-Token", "secret"), ("Authorization", "Bearer secret"))
        result = fetch(server.url("/old"), tmp_path, refresh=asked, headers=headers)
        assert content_of(result) == CONTENT
        assert other.requests
        assert all(r.header("X-Token") is None and r.header("Authorization") is None for r in other.requests)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (file(size=SIZE - 1), f"{SIZE - 1} bytes"),
        (file(seed=2, etag='"two"'), "another file"),
        (file(seed=2, etag=None), "another file"),
        (Resource(body=b"<html>log in</html>"), "another file"),
        (file(m.status(404)), "404"),
        (file(m.status(403)), "403"),
    ],
)
def test_a_new_link_of_another_file_is_an_error_and_loses_nothing(
    tmp_path: Path, server: LoopbackServer, new: Resource, words: str
) -> None:
    server.resources["/old"], server.resources["/new"] = file(expires_after(2)), new
    result = fetch(server.url("/old"), tmp_path, refresh=Asked(server.url("/new")))
    failed(result, LinkExpired, 5, "expired", words)
    assert names(tmp_path) == ["old.part", "old.part.journal"]
    server.resources["/old"] = file()
    again = fetch(server.url("/old"), tmp_path)
    assert content_of(again) == CONTENT
    assert again.resumed_bytes > 0


def test_the_same_bytes_without_validators_are_compared(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = generated(SIZE, seed=1, etag=None, last_modified=None, behaviour=expires_after(3))
    server.resources["/new"] = generated(SIZE, seed=1, etag=None, last_modified=None)
    result = fetch(server.url("/old"), tmp_path, refresh=Asked(server.url("/new")))
    assert content_of(result) == CONTENT


def test_other_validators_and_a_checksum_are_compared(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"], server.resources["/new"] = file(expires_after(3)), file(etag='"of another node"')
    asked = Asked(server.url("/new"))
    result = fetch(server.url("/old"), tmp_path, refresh=asked, checksum=sha256(CONTENT))
    assert content_of(result) == CONTENT


def test_links_that_never_hold_come_to_an_end(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = file(expires_after(2))
    asked = Asked(server.url("/old"))
    failed(fetch(server.url("/old"), tmp_path, refresh=asked), LinkExpired, 5, "expired")
    assert len(asked.links) <= refreshing.MAX_REFRESHES
    failed(fetch(server.url("/never"), tmp_path, refresh=Asked(server.url("/never"))), Exception, 3)  # type: ignore[arg-type]


def test_a_link_is_renewed_before_its_stated_end(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = int(time.time()) + 20
    server.behaviour = m.well
    old, new = f"/old?Expires={ends}&Signature=x", f"/new?Expires={ends + 9999}&Signature=y"
    server.resources[old] = server.resources["/old"] = file()
    server.resources[new] = server.resources["/new"] = file()
    asked = Asked(server.url(new))
    result = fetch(server.url(old), tmp_path, refresh=asked, limit=SIZE)
    assert content_of(result) == CONTENT
    assert len(asked.links) == 1
    assert "ends" in asked.links[0].why


# A command.

EXPECTED = "and a URL that begins with https:// or http:// is expected"


def command(tmp_path: Path, body: str) -> str:
    script = tmp_path / "refresh me.py"
    script.write_text(body)
    return f"{sys.executable} '{script}'"


def test_a_command_gives_the_new_link(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"], server.resources["/new"] = file(expires_after(2)), file()
    body = (
        "import os\nprint(os.environ['THUNDERDL_URL'].replace('old', 'new'))\nprint('more')\n"
        f"assert os.environ['THUNDERDL_SIZE'] == '{SIZE}' and os.environ['THUNDERDL_NAME'] == 'old'\n"
    )
    assert content_of(fetch(server.url("/old"), tmp_path / "d", refresh_cmd=command(tmp_path, body))) == CONTENT


def test_who_renews_a_link_may_take_longer_than_a_server_may_be_silent(tmp_path: Path, server: LoopbackServer) -> None:
    """Here for longer than the timeout, and than the silence after which a server is asked whether it is back."""
    server.resources["/old"], server.resources["/new"] = file(expires_after(1)), file()

    async def refresh(link: ExpiredLink) -> str:
        await asyncio.sleep(2 * TIMEOUT_S)
        return link.url.replace("old", "new")

    result = fetch(server.url("/old"), tmp_path, refresh=refresh, task_limit=RATE, timeout=TIMEOUT_S, retries=0)
    assert content_of(result) == CONTENT


def test_no_shell_reads_the_command(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = file(m.status(403))
    result = fetch(server.url("/old"), tmp_path / "d", refresh_cmd=f"echo x; touch {tmp_path}/made; $(touch y)")
    failed(result, LinkExpired, 5, "answered 'x; touch ")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; sys.exit('\\x1b[31mthe login\\x07 is over')", "the login"),
        ("print()", "no URL"),
        ("", "no URL"),
        ("print('file:///etc/passwd')", f"--refresh-cmd answered 'file:///etc/passwd', {EXPECTED}"),
        ("print('magnet:?xt=urn:btih:' + 40 * 'a')", f"answered 'magnet:', {EXPECTED}"),
        ("print('data:,x')", f"answered 'data:,x', {EXPECTED}"),
        ("print('aaaa. bbbb')", f"answered 'aaaa; bbbb', {EXPECTED}"),
        (
            "print('thunder://QUFodHRwOi8vYS9iWlo=')",
            "a thunder:// link, and the http or https URL that is wrapped in it",
        ),
        ("print('http://127.0.0.1:1\\\\@evil/?Signature=x')", "no URL that can be asked: its host holds a backslash"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "failed"),
        ("print('x' * 10_000_000)", f"answered '{'x' * 60}…', {EXPECTED}"),
        ("import sys; sys.stderr.write('y' * 10_000_000); sys.exit(3)", "code 3"),
    ],
)
def test_a_command_that_fails_is_one_error_and_loses_nothing(
    tmp_path: Path, server: LoopbackServer, body: str, words: str
) -> None:
    server.resources["/old"] = file(expires_after(2))
    result = fetch(server.url("/old"), tmp_path / "d", refresh_cmd=command(tmp_path, body))
    failed(result, LinkExpired, 5, "expired", words)
    assert len(str(result.error)) < 1000
    assert "write 'https" not in str(result.error)
    assert "Signature" not in str(result.error)
    assert names(tmp_path / "d") == ["old.part", "old.part.journal"]


def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "REFRESH_TIMEOUT_S", 3.0)
    server.resources["/old"] = file(expires_after(2))
    body = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); child.wait()\n"
    )
    failed(fetch(server.url("/old"), tmp_path / "d", refresh_cmd=command(tmp_path, body)), LinkExpired, 5, "3 seconds")
    assert names(tmp_path / "d") == ["old.part", "old.part.journal"]
    pid = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    if sys.platform == "linux":
        assert not pid.exists() or pid.read_text().split(") ")[1][0] in "ZX"


def pipes() -> int:
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    return sum(link.is_symlink() and os.readlink(link).startswith("pipe:") for link in links)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("leaves_the_group", [False, True])
def test_a_child_that_a_command_leaves_behind_is_not_waited_for(
    tmp_path: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, *, leaves_the_group: bool
) -> None:
    """It has the pipes of the command still: the link was ignored, and they stayed open."""
    monkeypatch.setattr(refreshing, "REFRESH_TIMEOUT_S", 4.0)
    server.resources["/old"], server.resources["/new"] = file(m.status(403)), file()
    body = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        f"start_new_session={leaves_the_group})\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "print(os.environ['THUNDERDL_URL'].replace('old', 'new'))\n"
    )
    before = pipes()
    result = fetch(server.url("/old"), tmp_path / "d", refresh_cmd=command(tmp_path, body))
    pid = int((tmp_path / "pid").read_text())
    try:
        assert content_of(result) == CONTENT
        assert pipes() == before
        assert is_running(pid) is leaves_the_group
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_command_that_is_not_there(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = file(m.status(403))
    failed(fetch(server.url("/old"), tmp_path, refresh_cmd="/no/such/program"), LinkExpired, 5, "could not be run")


@pytest.mark.parametrize("text", ["", "  ", "echo 'x"])
def test_a_command_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        fetch("http://127.0.0.1:1/f", tmp_path, refresh_cmd=text)


@pytest.mark.parametrize("answer", [None, 7, "", "nonsense", "ftp://h/x"])
def test_a_callable_that_gives_rubbish(tmp_path: Path, server: LoopbackServer, answer: object) -> None:
    server.resources["/old"] = file(expires_after(2))
    failed(fetch(server.url("/old"), tmp_path, refresh=lambda link: answer), LinkExpired, 5, "expired")
    assert names(tmp_path) == ["old.part", "old.part.journal"]


def test_a_callable_that_raises(tmp_path: Path, server: LoopbackServer) -> None:
    def refresh(link: ExpiredLink) -> str:
        raise KeyError("no \x1b[31m login. Really")

    server.resources["/old"] = file(expires_after(2))
    failed(fetch(server.url("/old"), tmp_path, refresh=refresh), LinkExpired, 5, "KeyError")


# Days later. A connection of a server that stalls brings one answer, the first of them this much.

FIRST = 1024 * 1024


def test_a_resume_with_a_dead_link_asks_for_a_new_one(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = file(m.stall_after(SIZE // 2))
    drive(stopped_after(FIRST), server.url("/old"), tmp_path)
    server.release.set()
    server.resources["/old"], server.resources["/new"] = file(m.status(403)), file()
    result = fetch(server.url("/old"), tmp_path, refresh=Asked(server.url("/new")))
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 0


def test_a_resume_with_a_new_link_of_another_file_keeps_what_is_there(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/old"] = file(m.stall_after(SIZE // 2))
    drive(stopped_after(FIRST), server.url("/old"), tmp_path)
    server.release.set()
    server.resources["/old"], server.resources["/new"] = file(m.status(403)), file(seed=2, etag='"two"')
    result = fetch(server.url("/old"), tmp_path, refresh=Asked(server.url("/new")))
    failed(result, AccessDenied, 5, "another file")
    server.resources["/old"] = file()
    again = fetch(server.url("/old"), tmp_path)
    assert again.resumed_bytes > 0
    assert content_of(again) == CONTENT


# Whatever is asked for stays unfinished, so that there is time to be stopped.
SLOW = m.stall_after(64 * 1024)


def stopped_once_renewed(server: LoopbackServer, folder: Path, fresh: str) -> Header:
    """What the journal says of a download whose link ended midway, and which was stopped once it had ``fresh``."""
    server.resources["/old"] = file(m.first(1, m.reset_after(SIZE // 4), m.status(403)))

    async def stop(task: Task) -> Result:
        return await cancelled_at(task, lambda progress: any("renewed" in note for note in progress.notes))

    drive(stop, server.url("/old"), folder, refresh=Asked(fresh), task_limit=RATE, retries=2)
    server.release.set()
    (journal,) = find_journals(str(folder))
    return read_header(journal)


def go_on(folder: Path, **options: Any) -> Result:
    """What ``thunderdl resume`` makes of it."""
    (journal,) = find_journals(str(folder))
    request = request_from_journal(journal, Options(retries=0, checksum_files=False, **options))

    async def run() -> Result:
        async with asyncio.timeout(LIMIT_S), Client() as client:
            (result,) = [result async for result in client.run([request])]
            return result

    return asyncio.run(run())


def test_a_resume_begins_with_the_link_that_was_got_last(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/new?sign=1"] = file(SLOW)
    header = stopped_once_renewed(server, tmp_path, server.url("/new?sign=1").replace("//", "//ann:secret@"))
    assert (header.url, header.renewed_url) == (server.url("/old"), server.url("/new?sign=1"))
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    server.resources["/new?sign=1"] = file()
    server.requests.clear()
    result = go_on(tmp_path)
    assert content_of(result) == CONTENT
    assert result.resumed_bytes > 0
    assert {request.path for request in server.requests} == {"/new?sign=1"}
    assert names(tmp_path) == ["old"]


def test_what_is_for_the_old_links_server_does_not_go_to_the_last_ones(tmp_path: Path, server: LoopbackServer) -> None:
    with LoopbackServer({"/new": file(SLOW)}) as other:
        stopped_once_renewed(server, tmp_path, other.url("/new"))
        other.release.set()
        other.resources["/new"] = file()
        other.requests.clear()
        result = go_on(tmp_path, token="secret", headers=(("X-Token", "secret"),))
        assert content_of(result) == CONTENT
        assert all_say(other, "Authorization", None)
        assert all_say(other, "X-Token", None)


def test_a_last_link_that_is_over_is_renewed_once_more(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/new"] = file(SLOW)
    stopped_once_renewed(server, tmp_path, server.url("/new"))
    server.resources |= {"/new": file(m.status(403)), "/newest": file()}
    asked = Asked(server.url("/newest"))
    assert content_of(go_on(tmp_path, refresh=asked)) == CONTENT
    assert [link.url for link in asked.links] == [server.url("/old")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:,x", "sftp://h/f"])
def test_a_journal_leads_to_no_link_that_nobody_can_have_got(tmp_path: Path, url: str) -> None:
    header = Header(url="http://h/f", name="f", size=5, boot_id="b", renewed_url=url)
    Journal.create(str(tmp_path / "f.part.journal"), header).close()
    assert request_from_journal(str(tmp_path / "f.part.journal"), Options()).renewed_url is None
