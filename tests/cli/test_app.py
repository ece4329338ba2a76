from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.fakes import FakeClient, FakeRequest, failed
from thunderdl.cli import get
from thunderdl.cli.app import main, with_command
from thunderdl.errors import AccessDenied, ConnectFailed, NotFound
from thunderdl.options import Options

A, B = "http://h/a", "http://h/b"


class Scene:
    """A command line with a fake client behind it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.client, self.options, self._capsys = FakeClient(), Options(), capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        heard = self._capsys.readouterr()
        return code, heard.out, heard.err

    def asked(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(request.url, request.mirrors) for request in self.client.asked]


@pytest.fixture
def scene(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(capsys)

    @asynccontextmanager
    async def open_client(options: Options):  # type: ignore[no-untyped-def]  # a client that is none
        made.options = options
        yield made.client

    monkeypatch.setattr(get, "open_client", open_client)
    monkeypatch.setattr(get, "_request", FakeRequest)
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.delenv("THUNDERDL_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGINT)
    yield made
    assert signal.getsignal(signal.SIGINT) is before


def test_get_is_meant_where_no_command_is_named() -> None:
    assert with_command([A]) == ["get", A]
    assert with_command(["-d", "x", A]) == ["get", "-d", "x", A]
    assert with_command(["info", A]) == ["info", A]
    assert with_command(["--version"]) == ["--version"]
    assert with_command([]) == ["--help"]


def test_each_url_is_a_file(scene: Scene) -> None:
    code, out, err = scene.run(A, B, "-j", "2", "-H", "A: b")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["saved", "a"], ["saved", "b"]]
    assert scene.asked() == [(A, ()), (B, ())]
    assert (scene.options.jobs, scene.options.headers) == (2, (("A", "b"),))


def test_mirrors_belong_to_one_file(scene: Scene) -> None:
    assert scene.run(A, "-m", B)[0] == 0
    assert scene.asked() == [(A, (B,))]
    code, _, err = scene.run(A, B, "-m", "http://h/c", "-o", "x")
    assert (code, err) == (
        2,
        "thunderdl: --mirror and --out belong to one file, but there are several; give one URL.\n",
    )


def test_an_input_list_goes_on_after_a_bad_line(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"{B}\thttp://m/b\n--out=/etc/passwd\nhttp://h/c\n")
    code, out, err = scene.run(A, "-i", str(path))
    assert code == 2
    assert scene.asked() == [(A, ()), (B, ("http://m/b",)), ("http://h/c", ())]
    assert err.startswith(f"{path}:2: '--out=/etc/passwd' is not a URL")
    assert out.count("saved") == 3


def test_a_list_that_names_nothing_is_told(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list"
    path.write_text("# nothing\n\n")
    assert scene.run("-i", str(path)) == (0, "", f"{path} names nothing to download.\n")
    read, write = os.pipe()
    os.close(write)
    with open(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert scene.run("-i", "-") == (0, "", "standard input names nothing to download.\n")


def test_a_list_from_standard_input(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"# x\n{A}\r\n".encode())))
    assert scene.run("get", "-i", "-", "-q") == (0, "", "")
    assert scene.asked() == [(A, ())]


def test_json_and_the_worst_exit_code(scene: Scene) -> None:
    scene.client.results = {
        A: failed(A, NotFound(A, "the server answered 404")),
        B: failed(B, ConnectFailed(B, "refused")),
    }
    code, out, err = scene.run(A, B, "http://h/c", "--json")
    assert (code, err) == (3, "")
    assert [json.loads(line)["error"] and json.loads(line)["error"]["code"] for line in out.splitlines()] == [
        3,
        4,
        None,
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["get"], "no URL was given"),
        (["example.com/x"], "write 'https://example.com/x'"),
        ([f"{A}\n{B}"], "newline"),
        ([A, "-m", f"{A}\n"], "newline"),
        ([A, "-i", "/nowhere"], "--input /nowhere: No such file"),
        ([A, "-o", "-"], "name a file"),
        ([A, "--bogus"], "No such option: --bogus"),
        ([A, "--dir"], "requires an argument"),
        (["info"], "Missing argument 'URL'; see thunderdl info --help"),
        (["verify", "x"], "nothing to verify against"),
        ([A, "--skip", "--rename"], "--rename and --skip exclude each other"),
        ([A, "-H", "A: b\r\nC: d"], "newlines"),
        (["resume", "/nowhere"], "/nowhere is no folder"),
        (["--", "-x"], "'-x' is not a URL"),
        (["--bo\x1b[31mgus", A], "No such option"),
    ],
)
def test_mistakes_are_one_sentence(scene: Scene, line: list[str], told: str) -> None:
    code, out, err = scene.run(*line)
    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("thunderdl: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert scene.asked() == []


def test_a_bug_is_called_one_and_shows_where_if_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("lost http://user:s3cret@h/x \x1b[2J")

    monkeypatch.setattr(scene.client, "run", broken)
    code, _, err = scene.run(A)
    assert code == 1
    assert "RuntimeError: lost http://h/x" in err
    assert "this is a bug" in err
    assert "Traceback" not in err
    monkeypatch.setenv("THUNDERDL_DEBUG", "1")
    _, _, err = scene.run(A)
    assert "Traceback" in err
    assert "s3cret" not in err
    assert "\x1b" not in err


def test_an_error_of_the_session_is_a_sentence(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AccessDenied("http://u:p@h/x", "no")

    monkeypatch.setattr(scene.client, "run", refused)
    assert scene.run(A) == (5, "", "thunderdl: http://h/x: no.\n")


def test_help_version_and_completion(scene: Scene) -> None:
    for line in ([], ["--help"], ["get", "-h"], ["info", "--help"], ["resume", "--help"]):
        code, out, _ = scene.run(*line)
        assert code == 0
        assert "Usage: thunderdl" in out
    assert scene.run("--version")[1].startswith("thunderdl 0")


def test_config_shows_values_and_origins(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.toml"
    path.write_text('jobs = 3\nproxy = "socks5://u:s3cret@p:1"\n')
    monkeypatch.setenv("THUNDERDL_CONFIG", str(path))
    monkeypatch.setenv("THUNDERDL_LIMIT", "1M")
    code, out, _ = scene.run("config", "-d", "/x")
    values = {line.split()[0]: line.split("=", 1)[1].split("  # ") for line in out.splitlines()[1:]}
    assert code == 0
    assert [part.strip() for part in values["jobs"]] == ["3", f"{path}: jobs"]
    assert [part.strip() for part in values["limit"]] == ["1048576", "THUNDERDL_LIMIT"]
    assert [part.strip() for part in values["dir"]] == ["/x", "--dir"]
    assert "s3cret" not in out


def test_verify(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    good = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert scene.run("verify", str(path), "--checksum", f"sha-256={good}") == (0, f"{path}: verified sha256\n", "")
    code, out, err = scene.run("verify", str(path), "--checksum", f"sha-256={'0' * 64}")
    assert (code, out) == (7, "")
    assert f"found sha256={good}" in err
    assert scene.run("verify", str(tmp_path / "none"), "--checksum", f"sha-256={good}")[0] == 9


def test_verify_pieces(scene: Scene, tmp_path: Path) -> None:
    import hashlib

    path, hashes = tmp_path / "x", tmp_path / "hashes"
    path.write_bytes(b"a" * 1024 + b"b" * 10)
    digests = [hashlib.sha1(part, usedforsecurity=False).hexdigest() for part in (b"a" * 1024, b"b" * 10)]
    hashes.write_text("\n".join(["sha-1 1024", *digests]))
    assert scene.run("verify", str(path), "--piece-hashes", str(hashes))[:2] == (
        0,
        f"{path}: verified 2 pieces by sha1\n",
    )
    path.write_bytes(b"a" * 1024 + b"c" * 10)
    code, _, err = scene.run("verify", str(path), "--piece-hashes", str(hashes))
    assert code == 7
    assert "number 1" in err


def test_a_closed_pipe_is_no_traceback(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return spare

        def reconfigure(self, **_: object) -> None:
            pass

    with open("/dev/null", "w") as null:
        spare = null.fileno()
        monkeypatch.setattr(sys, "stdout", Closed())
        assert main([A]) == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--json", "get", A], ["get", "--json", A]),
        (["-d", "x", "info", A], ["info", "-d", "x", A]),
        (["-d", "get", A], ["get", "-d", "get", A]),
        (["-q", A], ["get", "-q", A]),
        ([A, "get"], ["get", A, "get"]),
    ],
)
def test_flags_may_stand_before_the_command(typed: list[str], meant: list[str]) -> None:
    assert with_command(typed) == meant
