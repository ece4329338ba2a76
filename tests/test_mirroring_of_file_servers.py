"""Trees of FTP and SFTP servers, real ones and such as wish us ill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import fake_sftp, ftp
from tests.servers.fake_ftp import FakeFtp
from tests.servers.site import OLD_S
from tests.servers.sshd import sshd
from tests.test_mirroring import run, told, tree
from thunderdl.errors import BadResponse, ConnectionLost, NotFound, ThunderdlError

FILES = {
    "a.txt": b"one", "b c&d;type=a%25#?.txt": b"two", "sub/deep/\u00e9 \u00fc.txt": b"", "sub/*": b"star",
    "sub/big.bin": bytes(range(256)) * 1200, "-l/x": b"three",
}  # fmt: skip
CAN_LIST = b"211-I can\r\n UTF8\r\n MLST type*;size*;modify*;\r\n211 that"


@contextmanager
def _vsftpd() -> Iterator[tuple[Path, str]]:
    with ftp.vsftpd() as server:
        yield server.folder, server.url("/")


@contextmanager
def _proftpd() -> Iterator[tuple[Path, str]]:
    with ftp.proftpd() as server:
        yield server.folder, f"ftp://{ftp.USER}:{ftp.PASSWORD}@127.0.0.1:{server.port}/"


@contextmanager
def _sshd() -> Iterator[tuple[Path, str]]:
    with sshd() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", server.path)
        yield server.folder, server.url(f"{server.folder}/")


@contextmanager
def _fake_sftp(folder: Path) -> Iterator[tuple[Path, str]]:
    with fake_sftp.in_place_of_ssh(folder):
        yield folder, f"sftp://example.invalid{folder}/"


@pytest.fixture(params=["vsftpd", "proftpd", "sshd", "fake sftp"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    made = {"vsftpd": _vsftpd, "proftpd": _proftpd, "sshd": _sshd}.get(request.param)
    with made() if made else _fake_sftp(tmp_path_factory.mktemp("served")) as (folder, url):
        for name, body in FILES.items():
            put(folder, name, body)
        yield folder, f"{url}pub/"


def put(folder: Path, name: str, body: bytes, *, hours: int = 0) -> None:
    path = folder / "pub" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, (OLD_S + 3600 * hours, OLD_S + 3600 * hours))


def test_fetched_left_alone_changed_and_removed(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / "pub" / "link").symlink_to("/etc/passwd")
    assert told(run(url, tmp_path, delete=True)) == (6, 0, 0, 0)
    # A name that begins as an option does is made safe.
    assert tree(tmp_path) == {name.replace("-l/", "_l/"): body for name, body in FILES.items()}
    assert (tmp_path / "a.txt").stat().st_mtime == OLD_S
    assert told(run(url, tmp_path, delete=True)) == (0, 6, 0, 0)
    put(folder, "a.txt", b"ONE!", hours=1)
    (folder / "pub" / "sub" / "*").unlink()
    assert told(run(url, tmp_path, delete=True)) == (1, 4, 1, 0)


def test_a_folder_that_is_named_without_its_slash(served: tuple[Path, str], tmp_path: Path) -> None:
    assert told(run(served[1].removesuffix("/"), tmp_path)) == (6, 0, 0, 0)


def test_a_server_that_is_named_without_its_slash(lying: FakeFtp, tmp_path: Path) -> None:
    lying.listings[""] = lying.listings["/"] = b"type=file;size=4; good\r\n"
    lying.files[b"good"] = b"good"
    assert told(run(lying.url("").removesuffix("/"), tmp_path)) == (1, 0, 0, 0)


def test_a_folder_that_is_not_there(served: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run(served[1].replace("pub", "gone"), tmp_path)


# -- what a server should not say


@pytest.fixture
def lying() -> Iterator[FakeFtp]:
    with FakeFtp({"pub/good": b"good"}) as server:
        server.replies["FEAT"] = CAN_LIST
        yield server


@pytest.mark.parametrize(
    "name", [b"../../evil", b"a/b", b"a\\b", b"/etc/evil", b"x\x1b[2J", b"good.part", b"a\0b"], ids=repr
)
def test_a_name_that_is_none_is_refused(lying: FakeFtp, tmp_path: Path, name: bytes) -> None:
    lying.listings["pub"] = b"type=file;size=4; good\r\ntype=file;size=4; " + name + b"\r\n"
    summary = run(lying.url("pub/"), tmp_path / "in", delete=True)
    assert told(summary) == (1, 0, 0, 1)
    assert tree(tmp_path) == {"in/good": b"good"}


def test_the_folder_itself_is_no_entry(lying: FakeFtp, tmp_path: Path) -> None:
    lying.listings["pub"] = b"type=dir; .\r\ntype=dir; ..\r\ntype=cdir; pub\r\ntype=file;size=4; good\r\n"
    assert told(run(lying.url("pub/"), tmp_path)) == (1, 0, 0, 0)


def test_another_size_than_listed_is_told(lying: FakeFtp, tmp_path: Path) -> None:
    lying.listings["pub"] = b"type=file;size=5; good\r\n"
    assert told(run(lying.url("pub/"), tmp_path)) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("reply", "content", "kind"),
    [
        (b"426 broken", b"type=file; good\r\n", ConnectionLost),
        (b"226 done", b"<html>\r\n", BadResponse),
    ],
)
def test_a_list_that_is_none_deletes_nothing(
    lying: FakeFtp, tmp_path: Path, reply: bytes, content: bytes, kind: type[ThunderdlError]
) -> None:
    (tmp_path / "kept").write_bytes(b"")
    lying.listings["pub"], lying.listed = content, reply
    with pytest.raises(kind):
        run(lying.url("pub/"), tmp_path, delete=True)
    assert tree(tmp_path) == {"kept": b""}


def test_a_list_without_end_is_cut_off(
    lying: FakeFtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("thunderdl.sources.ftp.folders.MAX_PAGE_BYTES", 1 << 20)
    lying.listings["pub"] = b"type=file;size=4; good\r\n" * 100_000
    with pytest.raises(BadResponse, match="larger than the 1 MiB"):
        run(lying.url("pub/"), tmp_path)


def test_a_server_without_mlsd_is_asked_in_the_folder(lying: FakeFtp, tmp_path: Path) -> None:
    lying.replies |= {"FEAT": b"502 no", "PWD": b'257 "/at ""home""" it is', "CWD": b"250 in"}
    lying.listings[""] = b"total 1\r\n-rw-r--r-- 1 0 0 4 Feb 29  2024 good\r\n"
    assert told(run(lying.url("pub/"), tmp_path)) == (1, 0, 0, 0)
    at = lying.commands.index("LIST")
    assert lying.commands[at + 1] == 'CWD /at "home"'
