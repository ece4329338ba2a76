"""``thunderdl mirror`` as typed: what is said, what the exit code tells, what a stop leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.limits import Limits
from tests.servers.loopback import LoopbackServer
from tests.servers.site import Site
from thunderdl.cli.app import main
from thunderdl.cli.mirror import sentence
from thunderdl.errors import printable
from thunderdl.mirroring import Mirrored
from thunderdl.storage.mirror_state import STATE_NAME

SILENT = ("--no-checksum-files", "--retries", "0")


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        site = Site(server)
        site.put("a.txt", b"one")
        site.put("sub/b.bin", bytes(100_000))
        yield site


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))


def test_one_sentence_at_the_end(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["mirror", site.url, str(tmp_path / "m"), *SILENT]
    assert main(line) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "fetched 2 (97.7 KiB), unchanged 0, deleted 0, failed 0."
    assert sorted(each.split()[0] for each in lines) == ["fetched", "saved", "saved"]
    assert main(line) == 0
    assert capsys.readouterr().out == "fetched 0, unchanged 2, deleted 0, failed 0.\n"
    assert main([*line, "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_what_goes_is_told(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "m"
    main(["mirror", site.url, "-d", str(folder), *SILENT])
    (folder / "old\x1b[31m.txt").write_text("x")
    capsys.readouterr()
    assert main(["mirror", site.url, str(folder), "--delete", "-n", *SILENT]) == 0
    told = capsys.readouterr().out
    assert told.splitlines() == [
        "would delete old\ufffd[31m.txt",
        "nothing was written; would be: fetched 0, unchanged 2, deleted 1, failed 0.",
    ]
    assert printable(told.replace("\n", "")) == told.replace("\n", "")
    assert main(["mirror", site.url, str(folder), "--delete", "--json", *SILENT]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": "old\x1b[31m.txt", "status": "deleted"}
    assert err == "fetched 0, unchanged 2, deleted 1, failed 0.\n"
    assert {path.name for path in folder.iterdir()} == {"a.txt", "sub", STATE_NAME}


def test_the_exit_code_is_that_of_the_worst(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del site.server.resources["/pub/sub/b.bin"]
    assert main(["mirror", site.url, str(tmp_path / "m"), "--delete", *SILENT]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "fetched 1 (3 B), unchanged 0, deleted 0, failed 1."
    assert "not found" in err
    site.list_again()
    del site.server.resources["/pub/sub/"]
    assert main(["mirror", site.url, str(tmp_path / "m"), "--delete", *SILENT]) == 3
    out, err = capsys.readouterr()
    assert out.endswith("failed 1; nothing was removed: the list was not read to its end.\n")


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (["mirror"], 2, "URL"),
        (["mirror", "{url}", "m", "more"], 2, "one URL and one folder"),
        (["mirror", "example.org/pub/", "m"], 2, "write 'https://example.org/pub/'"),
        (["mirror", "{url}", "m", "--exclude", ""], 2, "stands for no file"),
        (["mirror", "{url}none/", "m"], 3, "not found"),
        (["mirror", "{url}a.txt", "m"], 2, "is no index page, metalink or manifest"),
    ],
)
def test_mistakes_are_one_sentence(
    line: list[str], code: int, told: str, site: Site, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([word.format(url=site.url) for word in line]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cut_goes_on(number: int, tmp_path: Path) -> None:
    """Whatever ends it: what is there is whole, nothing is removed, the next run brings the rest and not all."""
    body = bytes(range(256)) * 20_000
    with LoopbackServer(limits=Limits(rate_bytes_per_s=16_000_000)) as server:
        site = Site(server)
        for name in ("a.bin", "b.bin", "sub/c.bin"):
            site.put(name, body)
        folder = tmp_path / "m"
        folder.mkdir()
        (folder / "stray").write_text("x")
        command = [sys.executable, "-m", "thunderdl", "mirror", site.url, str(folder), "--delete", *SILENT]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            server.wait_for(lambda served: served.total_sent > 8_000_000)
            os.kill(process.pid, number)
            _, err = process.communicate(timeout=60)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert "Traceback" not in err
        assert (folder / "stray").exists()
        for path in folder.rglob("*.bin"):
            assert path.read_bytes() == body
        before = server.total_sent
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "deleted 1, failed 0." in ran.stdout
        assert {path.name: path.read_bytes() for path in folder.rglob("*.bin")} == dict.fromkeys(
            ("a.bin", "b.bin", "c.bin"), body
        )
        assert server.total_sent - before < 2 * len(body) + 1_000_000


def test_the_sentence() -> None:
    done = Mirrored(errors=[], fetched=1, fetched_bytes=2048, renamed=2, kept_because="the list names no file")
    assert sentence(done, is_dry=False) == (
        "fetched 1 (2.00 KiB), unchanged 0, deleted 0, failed 0, 2 saved under a safer name; "
        "nothing was removed: the list names no file."
    )
