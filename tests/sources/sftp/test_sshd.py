"""Downloads from OpenSSH's own server, by its own ``ssh``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, content_of, drive, failed, fetch, names, sha256, stopped_after
from tests.servers.exchange import Resource
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.sshd import SshServer, new_key, sshd
from thunderdl.errors import AccessDenied, BadResponse, ConnectFailed, ConnectionLost, NotFound
from thunderdl.model import Result, Status
from thunderdl.sources.sftp.faults import HostKeyRefused
from thunderdl.task import Task

MIB = 1 << 20


@pytest.fixture(scope="module")
def running() -> Iterator[SshServer]:
    with sshd() as served:
        yield served


@pytest.fixture
def server_of_ssh(running: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    monkeypatch.setenv("PATH", running.path)
    running.know()
    yield running
    running.know()


def test_a_file_comes_over_several_connections(server_of_ssh: SshServer, content: bytes, tmp_path: Path) -> None:
    whole = content * 12
    url = server_of_ssh.put("big file%.bin", whole).replace(" ", "%20").replace("%.", "%25.")
    result = fetch(url, tmp_path, checksum=sha256(whole), limit=30 * MIB)
    assert content_of(result) == whole
    assert names(tmp_path) == ["big file%.bin"]


def test_a_stopped_download_goes_on(server_of_ssh: SshServer, content: bytes, tmp_path: Path) -> None:
    url = server_of_ssh.put("f", content * 4)
    stopped = drive(stopped_after(MIB), url, tmp_path, limit=4 * MIB)
    assert stopped.status is Status.CANCELLED
    result = fetch(url, tmp_path, checksum=sha256(content * 4))
    assert content_of(result) == content * 4
    assert result.resumed_bytes >= MIB


def test_it_is_mixed_with_a_web_server(server_of_ssh: SshServer, content: bytes, tmp_path: Path) -> None:
    whole = content * 6
    url = server_of_ssh.put("f", whole)
    ssh_has_sent = threading.Event()

    async def watched(task: Task) -> Result:
        async for progress in task:
            if any(source.url == url and source.bytes for source in progress.sources):
                ssh_has_sent.set()
        return await task.outcome()

    with LoopbackServer({"/f": Resource(body=whole)}, limits=Limits(rate_bytes_per_s=4 * MIB)) as slow:
        # A login takes seconds on a busy machine: alone it had brought all meanwhile.
        slow.waits_until = ssh_has_sent.is_set
        result = drive(watched, slow.url("/f"), tmp_path, mirrors=[url], checksum=sha256(whole), timeout=LIMIT_S)
    assert content_of(result) == whole
    assert all(source.bytes for source in result.sources), (result.sources, result.notes)


def test_a_path_below_the_home(server_of_ssh: SshServer, tmp_path: Path) -> None:
    inside = Path.home() / f".thunderdl-test-{os.getpid()}"
    inside.write_bytes(b"at home")
    try:
        result = fetch(server_of_ssh.url(f"/~/{inside.name}"), tmp_path, out="f")
    finally:
        inside.unlink()
    assert content_of(result) == b"at home"


@pytest.fixture
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("keys") / "other")


def test_a_changed_host_key_is_refused(server_of_ssh: SshServer, tmp_path: Path, other_key: Path) -> None:
    url = server_of_ssh.put("f", b"x")
    server_of_ssh.know(other_key)
    for accept in (False, True):
        result = fetch(url, tmp_path, accept_new_host_keys=accept)
        failed(result, HostKeyRefused, 5, "not the one in known_hosts", "nothing was sent")
    assert names(tmp_path) == []


def test_an_unknown_host_is_refused_until_the_user_accepts_it(server_of_ssh: SshServer, tmp_path: Path) -> None:
    url = server_of_ssh.put("f", b"x")
    server_of_ssh.known_hosts.write_text("")
    failed(fetch(url, tmp_path), HostKeyRefused, 5, "not in known_hosts", "--accept-new-host-keys")
    assert server_of_ssh.known_hosts.read_text() == ""
    assert content_of(fetch(url, tmp_path, accept_new_host_keys=True)) == b"x"
    assert "ssh-ed25519" in server_of_ssh.known_hosts.read_text()
    assert content_of(fetch(url, tmp_path, out="again")) == b"x"


def test_a_key_that_is_not_let_in(server_of_ssh: SshServer, tmp_path: Path, other_key: Path) -> None:
    url = server_of_ssh.put("f", b"x")
    allowed = server_of_ssh.root / "authorized_keys"
    kept = allowed.read_text()
    allowed.write_text(other_key.read_text())
    try:
        failed(fetch(url, tmp_path), AccessDenied, 5, "let nobody in", "ssh-add")
        failed(fetch(url.replace("@", ":hunter2@"), tmp_path), AccessDenied, 5, "let nobody in")
    finally:
        allowed.write_text(kept)


def test_what_is_not_there_and_what_is_a_folder(server_of_ssh: SshServer, tmp_path: Path) -> None:
    failed(fetch(server_of_ssh.url("/no/such/file"), tmp_path), NotFound, 3)
    failed(fetch(server_of_ssh.url("/etc"), tmp_path), BadResponse, 6, "folder")
    failed(fetch(server_of_ssh.url("/dev/null"), tmp_path), BadResponse, 6, "no regular file")
    assert names(tmp_path) == []


def test_nobody_listens(server_of_ssh: SshServer, tmp_path: Path) -> None:
    failed(fetch("sftp://127.0.0.1:1/x", tmp_path), ConnectFailed, 4, "refused")


def test_a_server_without_sftp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with sshd(subsystem="/bin/false") as served:
        monkeypatch.setenv("PATH", served.path)
        failed(fetch(served.url("/x"), tmp_path), ConnectionLost, 4)


def test_a_shell_that_prints_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with sshd(subsystem="/bin/echo Welcome to this machine") as served:
        monkeypatch.setenv("PATH", served.path)
        failed(fetch(served.url("/x"), tmp_path), BadResponse, 6, "start-up files")


def test_no_ssh_is_left_behind(server_of_ssh: SshServer, content: bytes, tmp_path: Path) -> None:
    drive(stopped_after(MIB), server_of_ssh.put("f", content * 4), tmp_path, limit=4 * MIB)
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_ours(int(pid))]


def _is_ours(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name == "ssh" and rest.split()[1] == str(os.getpid())


def test_a_server_that_is_gone_leaves_the_file_to_others(
    server: LoopbackServer, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sshd() as served:
        monkeypatch.setenv("PATH", served.path)
        url = served.put("f", content)
        server.resources["/f"] = Resource(body=content)
        os.kill(served.server.pid, signal.SIGTERM)
        result = fetch(url, tmp_path, mirrors=[server.url("/f")], checksum=sha256(content))
    assert content_of(result) == content
