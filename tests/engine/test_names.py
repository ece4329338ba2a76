"""Names that come from outside never leave the folder, and never take what is there (bad-input classes N1-N6, N11)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch, names
from tests.servers import misbehave as m
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.errors import StorageError, TargetExists, UsageError
from thunderdl.model import Status
from thunderdl.options import Exists

EVIL_DISPOSITIONS = [
    'attachment; filename="../../x"', r'attachment; filename="..\\..\\x"', 'attachment; filename="/etc/passwd"',
    'attachment; filename="C:foo"', 'attachment; filename="f:foo"', "attachment; filename*=UTF-8''..%2F..%2Fx",
    "attachment; filename*=UTF-8''%2Fetc%2Fpasswd", 'attachment; filename=".bashrc"', 'attachment; filename="~/x"',
    'attachment; filename=".."', 'attachment; filename="."', 'attachment; filename=""', "attachment; filename=/",
    'attachment; filename="con"', 'attachment; filename="nul.txt"', 'attachment; filename="-rf"',
    'attachment; filename="x. "', "attachment; filename*=UTF-8''a%00b", "attachment; filename*=UTF-8''a%0Ab",
    "attachment; filename*=UTF-8''a%1B%5B31m", "attachment; filename*=UTF-8''%E2%80%AEgpj.exe",
    'attachment; filename="' + "x" * 5000 + '.iso"', "attachment; filename*=UTF-8''" + "%C3%A9" * 300, "rubbish;;;=",
    'attachment; filename="x.part"', 'attachment; filename="f.part.journal"',
]  # fmt: skip
EVIL_PATHS = [
    "/a%2F..%2F..%2Fx", "/..%5C..%5Cx", "/%2e%2e", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/.bashrc", "/%2Ebashrc", "/",
    "/a/", "/%00", "/a%0Ab", "/%1B%5B31m", "/-rf", "/con", "/~root", "/" + "x" * 3000, "/" + "%C3%A9" * 400, "/a%FFb",
    "/..;/x", "/C:foo", "/x?name=../../y", "/x%20", "/x.", "/%E2%80%AEgpj.exe",
]  # fmt: skip


def check_safe(folder: Path, outside: list[str], forbidden: str = "/\\:\u202e") -> str:
    """Exactly one plain file in ``folder``, nothing new beside it; its name."""
    assert names(folder.parent) == outside
    (name,) = os.listdir(folder)
    assert stat.S_ISREG((folder / name).lstat().st_mode)
    assert not (folder / name).stat().st_mode & 0o111
    assert not name.startswith((".", "-", "~"))
    assert len(os.fsencode(name)) <= 255
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in forbidden for c in name), repr(name)
    return name


@pytest.mark.parametrize("disposition", EVIL_DISPOSITIONS)
@pytest.mark.parametrize("size", [5, 300_000])
def test_content_disposition(tmp_path: Path, server: LoopbackServer, disposition: str, size: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    body = bytes(size)
    server.resources["/f"] = Resource(body=body, headers=[("Content-Disposition", disposition)])
    assert content_of(fetch(server.url("/f"), folder)) == body
    check_safe(folder, ["in"])


@pytest.mark.parametrize("path", EVIL_PATHS)
@pytest.mark.parametrize("size", [5, 300_000])
def test_url(tmp_path: Path, server: LoopbackServer, path: str, size: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    body = bytes(size)
    server.resources[path] = Resource(body=body)
    assert content_of(fetch(server.url(path), folder)) == body
    check_safe(folder, ["in"])


def test_the_server_may_name_the_file(tmp_path: Path, server: LoopbackServer) -> None:
    named = [("Content-Disposition", "attachment; filename*=UTF-8''na%C3%AFve%20plan.pdf")]
    server.resources["/get"] = Resource(body=b"x", headers=list(named))
    assert content_of(fetch(server.url("/get"), tmp_path)) == b"x"
    assert names(tmp_path) == ["na\u00efve plan.pdf"]


@pytest.mark.parametrize("out", ["a/b", "/etc/x", "..", "../x", "", ".", "a\0b"])
def test_the_users_own_name_is_a_name(tmp_path: Path, server: LoopbackServer, out: str) -> None:
    server.resources["/f"] = Resource(body=b"x")
    result = fetch(server.url("/f"), tmp_path / "in", out=out)
    if result.error is None:
        assert result.path is not None
        assert Path(result.path).resolve().is_relative_to((tmp_path / "in").resolve())
    else:
        assert isinstance(result.error, UsageError | StorageError)


def test_the_users_own_dot_file(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x", headers=[("Content-Disposition", "attachment; filename=evil")])
    assert content_of(fetch(server.url("/f"), tmp_path, out=".config")) == b"x"
    assert names(tmp_path) == [".config"]


@pytest.mark.parametrize("size", [5, 300_000])
def test_a_name_too_long_that_the_user_chose(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    server.resources["/f"] = Resource(body=bytes(size))
    result = fetch(server.url("/f"), tmp_path, out="x" * 300)
    assert isinstance(result.error, UsageError | StorageError), result
    assert "long" in str(result.error)
    assert names(tmp_path) == []


def test_a_name_that_is_too_long_with_our_endings(tmp_path: Path, server: LoopbackServer) -> None:
    # 250 bytes fit, 250 and ".part.journal" do not.
    server.resources["/f"] = Resource(body=bytes(300_000))
    result = fetch(server.url("/f"), tmp_path, out="x" * 250)
    if result.error is None:
        assert names(tmp_path) == ["x" * 250]
    else:
        assert isinstance(result.error, UsageError | StorageError)
        assert "long" in str(result.error)
        assert names(tmp_path) == []


@pytest.mark.parametrize("size", [5, 300_000])
def test_refuse(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    (tmp_path / "f").write_text("mine")
    server.resources["/f"] = Resource(body=bytes(size))
    failed(fetch(server.url("/f"), tmp_path), TargetExists, 10, "--overwrite", "--rename", "--skip")
    assert (tmp_path / "f").read_text() == "mine"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("size", [5, 300_000])
def test_overwrite(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(0o600)
    server.resources["/f"] = Resource(body=bytes(size))
    assert content_of(fetch(server.url("/f"), tmp_path, exists=Exists.OVERWRITE)) == bytes(size)
    assert names(tmp_path) == ["f"]
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_overwrite_leaves_the_old_file_where_the_new_one_fails(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "f").write_text("old")
    server.resources["/f"] = Resource(body=bytes(300_000), behaviour=m.together(m.no_ranges, m.short_body(1000)))
    assert fetch(server.url("/f"), tmp_path, exists=Exists.OVERWRITE).error is not None
    assert (tmp_path / "f").read_text() == "old"


@pytest.mark.parametrize("size", [5, 300_000])
def test_rename(tmp_path: Path, server: LoopbackServer, size: int) -> None:
    (tmp_path / "f").write_text("mine")
    server.resources["/f"] = Resource(body=bytes(size))
    result = fetch(server.url("/f"), tmp_path, exists=Exists.RENAME)
    assert content_of(result) == bytes(size)
    assert (tmp_path / "f").read_text() == "mine"
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("disposition", [False, True])
def test_skip(tmp_path: Path, server: LoopbackServer, *, disposition: bool) -> None:
    (tmp_path / "g").write_text("mine")
    headers: list[tuple[str, str | bytes]] = [("Content-Disposition", "attachment; filename=g")] if disposition else []
    path = "/f" if disposition else "/g"
    server.resources[path] = Resource(body=bytes(300_000), headers=headers)
    result = fetch(server.url(path), tmp_path, exists=Exists.SKIP)
    assert result.status is Status.SKIPPED
    assert result.error is None
    assert (tmp_path / "g").read_text() == "mine"
    assert names(tmp_path) == ["g"]


@pytest.mark.parametrize("policy", [Exists.REFUSE, Exists.RENAME])
@pytest.mark.parametrize("size", [5, 300_000])
def test_a_dangling_link_is_a_taken_name(tmp_path: Path, server: LoopbackServer, policy: Exists, size: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "f").symlink_to(tmp_path / "outside")
    server.resources["/f"] = Resource(body=bytes(size))
    fetch(server.url("/f"), folder, exists=policy)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("size", [5, 300_000])
@pytest.mark.parametrize("made", ["f.part", "f.part.journal"])
def test_links_made_beforehand_are_not_followed(tmp_path: Path, server: LoopbackServer, made: str, size: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "outside").write_text("mine")
    (folder / made).symlink_to(tmp_path / "outside")
    server.resources["/f"] = Resource(body=b"x" * size)
    result = fetch(server.url("/f"), folder)
    assert (tmp_path / "outside").read_text() == "mine"
    if result.error is not None:
        assert isinstance(result.error, StorageError)


def test_the_folder_is_made(tmp_path: Path, server: LoopbackServer) -> None:
    server.resources["/f"] = Resource(body=b"x")
    assert content_of(fetch(server.url("/f"), tmp_path / "a" / "b")) == b"x"


def test_a_folder_that_is_a_file(tmp_path: Path, server: LoopbackServer) -> None:
    (tmp_path / "a").write_text("mine")
    server.resources["/f"] = Resource(body=b"x")
    failed(fetch(server.url("/f"), tmp_path / "a"), StorageError, 9, "not a folder")
    assert (tmp_path / "a").read_text() == "mine"
