"""Programs that call aria2c, through a link of that name on the PATH: yt-dlp itself, and what others type."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.aria2c import files_below, link_in, run
from tests.servers.loopback import LoopbackServer, Resource

yt_dlp = pytest.importorskip("yt_dlp")
generic = pytest.importorskip("yt_dlp.extractor.generic")

FILM = b"\x00\x00\x00\x18ftypmp42" + random.Random(2).randbytes(2_000_000)
CLIP = {"/film.mp4": Resource(body=FILM, headers=[("Content-Type", "video/mp4"), ("Set-Cookie", "seen=1; Path=/")])}


def downloader_of(options: dict[str, object]) -> Any:
    """yt-dlp with the extractor alone that is wanted here: making all its two thousand takes seconds."""
    made = yt_dlp.YoutubeDL({"external_downloader": {"default": "aria2c"}, "quiet": True, **options}, auto_init=False)
    made.add_info_extractor(generic.GenericIE())
    return made


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    program = link_in(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def test_yt_dlp_downloads_through_it(link: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with LoopbackServer(dict(CLIP)) as server:
        options = {"outtmpl": f"{out}/%(title)s.%(ext)s", "http_headers": {"X-Mine": "1"}, "cachedir": False}
        with downloader_of(options) as downloader:
            assert downloader.download([f"{server.origin}/film.mp4"]) == 0
        asked = server.requests[-1]
    assert files_below(out) == {"film.mp4": FILM}
    # Its own header, and the cookie that it had been given, came with what it called.
    assert asked.header("X-Mine") == "1"
    assert asked.header("Cookie") == "seen=1"
    assert "thunderdl" not in (asked.header("User-Agent") or "thunderdl")


def test_yt_dlp_hears_of_a_failure(link: Path, tmp_path: Path) -> None:
    with LoopbackServer(dict(CLIP)) as server, downloader_of({"outtmpl": f"{tmp_path}/x.mp4"}) as downloader:
        information = downloader.extract_info(f"{server.origin}/film.mp4", download=False)
        server.resources.clear()
        with pytest.raises(yt_dlp.utils.DownloadError, match="aria2c exited with code 3"):
            downloader.process_ie_result(information)


def test_a_list_of_fragments_as_yt_dlp_wrote_it(tmp_path: Path) -> None:
    """Until 2026 it gave HLS and DASH to aria2c so: a list of fragments, each with its name, no two at once alike."""
    here = tmp_path / "here"
    here.mkdir()
    parts = {f"/seg{number}.ts": random.Random(number).randbytes(20_000) for number in range(40)}
    with LoopbackServer({path: Resource(body=body) for path, body in parts.items()}) as server:
        lines = [f"{server.origin}{path}\n\tout=v.mp4.part-Frag{number}" for number, path in enumerate(parts)]
        (tmp_path / "list").write_text("\n".join(lines))
        ran = run(
            here, "--auto-save-interval=10", "--console-log-level=warn", "--summary-interval=0",
            "--download-result=hide", "--http-accept-gzip=true", "--file-allocation=none", "-x16", "-j16", "-s16",
            "--min-split-size", "1M", "--show-console-readout=false", "--allow-overwrite=true",
            "--always-resume=false", "--auto-file-renaming=false", "--force-save=false", "--uri-selector=inorder",
            f"--input-file={tmp_path / 'list'}",
        )  # fmt: skip
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert ran.files == {f"v.mp4.part-Frag{number}": body for number, body in enumerate(parts.values())}


def test_a_call_as_apt_fast_types_it(link: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    debs = {f"/pool/p{number}_1.0_all.deb": random.Random(number).randbytes(50_000) for number in range(6)}
    with LoopbackServer({path: Resource(body=body) for path, body in debs.items()}) as server:
        host = urlsplit(server.origin).netloc
        lines = [f"http://{host}{path}\thttp://{host}{path}?mirror\n out={path.split('/')[-1]}\n" for path in debs]
        (tmp_path / "apt-fast.list").write_text("".join(lines))
        typed = (
            f"aria2c --no-conf -c -j 5 -x 5 -s 5 --min-split-size=1M -i {tmp_path}/apt-fast.list "
            '--connect-timeout=600 --timeout=600 -m0 --header "Accept: */*"'
        )
        done = subprocess.run(shlex.split(typed), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        accepted = {request.header("Accept") for request in server.requests}
    assert done.returncode == 0, done.stderr
    assert files_below(folder) == {path.split("/")[-1]: body for path, body in debs.items()}
    assert done.stdout.count("|OK  |") == 6
    assert accepted == {"*/*"}
