"""Pictures of the page for the docs, of the real daemon with a queue as people have them.

``python -m tests.web.pictures [--to docs/images] [--all]``: ``--all`` draws every view in both themes and widths. Names
of hosts are made up; behind them are loopback servers, each with a rate of its own (port 80 is for root alone: without
it the pictures show other ports).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.torrents import content, metainfo, seeding, write_tree
from tests.web.real_daemon import DaemonProgram

if TYPE_CHECKING:
    from playwright.sync_api import Page

MIB = 1 << 20
ISO = "/debian-cd/13.2.0/amd64/iso-cd/debian-13.2.0-amd64-netinst.iso"
SIZE = 1300 * MIB
# Host, and MiB a second.
MIRRORS = (("cdimage.debian.example", 5.5), ("ftp.uni.example", 3.2), ("mirror.slow.example", 0.9))
FILES = {
    "Open Lectures 2026/01 Introduction.mp4": 78, "Open Lectures 2026/02 Ranges and leases.mp4": 96,
    "Open Lectures 2026/03 Journals.mp4": 61, "Open Lectures 2026/slides.pdf": 4,
}  # fmt: skip
DONE = {"/linux/v6.x/linux-6.18.tar.xz": 9, "/alpine/v3.22/alpine-standard-3.22.2-x86_64.iso": 14, "/SHA256SUMS": 1}
LATER = ("season-2/episode-01.mkv", "season-2/episode-02.mkv", "season-2/episode-03.mkv", "maps/europe-latest.osm.pbf")


class View(NamedTuple):
    """A picture; ``path``: of the page, ``task``: of the task with that word in its name."""

    name: str
    path: str = "#/"
    task: str = ""
    width: int = 1440
    height: int = 900
    scheme: str = "light"


VIEWS = (
    View("page-task", task="debian", scheme="light", height=1010),
    View("page-dark", task="Lectures", scheme="dark", height=1180),
    View("page-queue", height=960),
    View("page-phone", task="debian", width=390, height=844, scheme="dark"),
)


def every_view() -> Iterator[View]:
    looks = (
        ("queue", "#/", ""), ("iso", "#/", "debian"), ("torrent", "#/", "Lectures"), ("finished", "#/finished", ""),
        ("settings", "#/settings", ""), ("waiting", "#/", "episode-01"), ("failed", "#/", "firmware"),
        ("complete", "#/", "alpine"),
    )  # fmt: skip
    for width, height in ((1440, 1100), (390, 1500)):
        for name, path, task in looks:
            for scheme in ("light", "dark"):
                yield View(f"all-{name}-{scheme}-{width}", path, task, width, height, scheme)


@contextlib.contextmanager
def daemon(folder: Path, out: Path) -> Iterator[DaemonProgram]:
    """A daemon with that queue, once a good part of it is there."""
    with contextlib.ExitStack() as stack:
        urls, resolve = list[str](), list[str]()
        small = {path: generated(size * MIB) for path, size in DONE.items()}
        for number, (host, rate) in enumerate(MIRRORS, 2):
            server = LoopbackServer(
                {ISO: generated(SIZE), **small},
                limits=Limits(rate_bytes_per_s=rate * MIB), address=f"127.0.0.{number}",
            )  # fmt: skip
            server.port = 80
            try:
                stack.enter_context(server)
            except PermissionError:
                server.port = 0
                stack.enter_context(server)
            port = "" if server.port == 80 else f":{server.port}"
            urls.append(f"http://{host}{port}")
            resolve += ["--resolve", f"{host}:{server.port}:{server.address}"]
        write_tree(folder, {name: content(size * MIB, seed) for seed, (name, size) in enumerate(FILES.items())})
        document = metainfo(folder / "Open Lectures 2026", piece_bytes=256 * 1024)
        seeds = [stack.enter_context(seeding(document, folder, upload_limit=rate << 10)) for rate in (1100, 600, 300)]
        asked = [f"{host}:{port}" for host, port in (peer.peer for peer in seeds)]
        running = DaemonProgram(folder, ["-j", "3", *resolve, "--retries", "1"], out=out)
        running.start()
        stack.callback(running.stop)
        _fill(running, urls, document, asked)
        yield running


def _fill(running: DaemonProgram, urls: list[str], document: bytes, peers: list[str]) -> None:
    fast = urls[0]
    for path in DONE:
        running.add(fast + path)
    running.add(f"{urls[1]}/old/firmware-2.3.bin")
    while running.ask("GET", "tasks?state=active")["total"] or running.ask("GET", "tasks?state=waiting")["total"]:
        time.sleep(0.2)
    running.add(*(url + ISO for url in urls), category="")
    running.ask(
        "POST",
        "documents",
        params={"name": "lectures.torrent", "options": json.dumps({"peers": peers})},
        content=document,
    )
    running.add(f"{urls[2]}{ISO}", options={"out": "router-ax6000-2.4.1.bin", "task_limit": "250K"}, priority="low")
    for name in LATER:
        running.add(f"{urls[1]}/{name}")
    running.add(f"{fast}/photos/2025.tar", paused=True)
    while True:
        told = next(task for task in running.ask("GET", "tasks?state=active")["tasks"] if "debian" in task["name"])
        if told["size_bytes"] and told["done_bytes"] > 0.38 * told["size_bytes"]:
            return
        time.sleep(0.3)


def draw(page: Page, running: DaemonProgram, view: View, folder: Path) -> None:
    page.set_viewport_size({"width": view.width, "height": view.height})
    page.emulate_media(color_scheme="dark" if view.scheme == "dark" else "light", reduced_motion="reduce")
    page.goto("about:blank")
    page.goto(f"{running.url}#{running.secret}")
    page.locator(".bar").wait_for()
    path = view.path
    if view.task:
        tasks = running.ask("GET", "tasks?state=all")["tasks"]
        path = "#/task/" + next(task["gid"] for task in tasks if view.task in task["name"])
    page.evaluate("path => { location.hash = path }", path)
    page.wait_for_timeout(1600)
    file = folder / f"{view.name}.png"
    page.screenshot(path=file)
    # A third of the size, and nobody sees a difference.
    Image.open(file).convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--out", type=Path, help="Where the daemon saves; a temporary folder, if not told.")
    asked = parser.parse_args()
    asked.to.mkdir(exist_ok=True, parents=True)
    with (
        tempfile.TemporaryDirectory() as name,
        sync_playwright() as playwright,
        daemon(Path(name), asked.out or Path(name) / "downloads") as running,
    ):
        program = Path(__file__).with_name("deaf_chromium.py")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(locale="en-GB")
        for view in every_view() if asked.all else VIEWS:
            draw(page, running, view, asked.to)
        browser.close()


if __name__ == "__main__":
    main()
