"""The page and the real daemon, with real downloads from loopback servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.exchange import generated
from tests.servers.loopback import Limits, LoopbackServer
from tests.servers.misbehave import stall_after
from tests.servers.torrents import content, metainfo, write_tree
from tests.web.conftest import OpenPage, StartReal
from tests.web.real_daemon import DaemonProgram

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest.importorskip("playwright.sync_api", reason="the page's tests want playwright")
from playwright.sync_api import expect

expect.set_options(timeout=20_000)
MIB = 1 << 20
DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name));
  for (const type of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""
COLOURS = """() => {
  const map = document.querySelector(".map"), seen = new Set();
  const dots = map.getContext("2d").getImageData(0, 0, map.width, map.height).data;
  for (let at = 0; at < dots.length; at += 4) if (dots[at + 3] === 255) seen.add(dots.slice(at, at + 3).join());
  return seen.size;
}"""


@pytest.fixture
def site() -> Iterator[LoopbackServer]:
    """/small is there at once, /stuck stops after a quarter."""
    stuck = generated(4 * MIB, behaviour=stall_after(MIB))
    with LoopbackServer({"/small.bin": generated(300_000, seed=3), "/stuck.bin": stuck}) as running:
        yield running


def row(page: Page, name: str, area: str) -> Locator:
    return page.locator(f"{area} > li", has_text=name)


def open_task(page: Page, name: str) -> None:
    page.locator(".row-name", has_text=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def test_a_link_is_added_runs_and_has_finished(
    start_real: StartReal, open_page: OpenPage, site: LoopbackServer
) -> None:
    daemon = start_real()
    page = open_page(daemon)
    assert daemon.secret not in page.url
    page.keyboard.press("a")
    page.get_by_label("Links").fill(f"{site.url('/small.bin')}\n{site.url('/stuck.bin')}")
    page.locator("dialog button[name=go]").click()
    expect(row(page, "stuck.bin", "#active").locator(".row-facts")).to_contain_text("of 4.00")
    page.keyboard.press("f")
    expect(row(page, "small.bin", "#finished")).to_contain_text(str(daemon.out))
    resource = site.resources["/small.bin"]
    assert (daemon.out / "small.bin").stat().st_size == resource.size


def test_it_is_paused_resumed_limited_and_removed(
    start_real: StartReal, open_page: OpenPage, site: LoopbackServer
) -> None:
    daemon = start_real()
    gid = daemon.add(site.url("/stuck.bin"))["gid"]
    page = open_page(daemon)
    expect(row(page, "stuck.bin", "#active").locator(".row-facts")).to_contain_text("of 4.00")
    page.get_by_role("button", name="Pause: stuck.bin").click()
    expect(row(page, "stuck.bin", "#waiting")).to_contain_text("paused")
    row(page, "stuck.bin", "#waiting").get_by_role("button", name="Resume").click()
    open_task(page, "stuck.bin")
    page.get_by_label("Limit of this download").focus()
    page.keyboard.press("Home")
    expect(page.locator(".facts")).to_contain_text("16K")
    assert daemon.ask("GET", f"tasks/{gid}")["limit"] == "16K"
    page.get_by_role("button", name="Limit: no limit").click()
    page.get_by_label("Limit for everything").fill("60")
    expect(page.get_by_role("button", name=re.compile("Limit: 1.00.MiB"))).to_be_visible()
    assert daemon.ask("GET", "settings")["limit"] == "1M"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove").last.click()
    page.get_by_label("Delete its files, too").check()
    # It has ended before its files are gone, and is shown as that; the answer comes behind both.
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.locator("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.evaluate("location.hash = '#/finished'")
    expect(row(page, "stuck.bin", "#finished")).to_be_visible()
    assert list(daemon.out.iterdir()) == []


def test_the_order_is_changed_by_keys(start_real: StartReal, open_page: OpenPage) -> None:
    daemon = start_real()
    for name in ("one", "two", "three"):
        daemon.add(f"http://127.0.0.1:1/{name}.bin", paused=True)
    page = open_page(daemon)
    row(page, "one.bin", "#waiting").focus()
    with page.expect_response("**/move"):
        page.keyboard.press("Alt+End")
    expect(page.locator("#announcements")).to_have_text(re.compile("now number 3 of 3"))
    expect(page.locator("#waiting > li").last).to_contain_text("one.bin")
    expect(row(page, "one.bin", "#waiting")).to_be_focused()
    told = daemon.ask("GET", "tasks?state=waiting")["tasks"]
    assert [task["name"] for task in told] == ["two.bin", "three.bin", "one.bin"]


def test_a_torrent_is_dropped_its_files_chosen_and_shown(
    start_real: StartReal, open_page: OpenPage, tmp_path: Path
) -> None:
    write_tree(tmp_path / "seed", {"Set/a.bin": content(90_000), "Set/b.bin": content(70_000, 2), "Set/c.txt": b"c"})
    document = metainfo(tmp_path / "seed" / "Set")
    daemon = start_real()
    page = open_page(daemon)
    page.evaluate(DROP, ["set.torrent", list(document)])
    expect(page.locator("dialog")).to_contain_text("3 files")
    page.get_by_label("c.txt").uncheck()
    page.locator("dialog button[name=go]").click()
    expect(row(page, "Set", "#active")).to_be_visible()
    open_task(page, "Set")
    expect(page.locator(".choice li")).to_have_count(3)
    expect(page.locator(".choice .choice-path").first).to_have_text("a.bin")
    expect(page.get_by_label("c.txt")).not_to_be_checked()
    expect(page.get_by_label("b.bin")).to_be_checked()


def test_two_mirrors_show_what_each_has_brought(start_real: StartReal, open_page: OpenPage) -> None:
    rates = (1.5 * MIB, 0.5 * MIB)
    one, other = (
        LoopbackServer({"/big.iso": generated(24 * MIB)}, limits=Limits(rate_bytes_per_s=rate)) for rate in rates
    )
    with one, other:
        daemon = start_real()
        daemon.add(one.url("/big.iso"), other.url("/big.iso"))
        page = open_page(daemon)
        open_task(page, "big.iso")
        for number in range(2):
            source = page.locator(".source").nth(number)
            expect(source.locator(".source-rate")).to_contain_text("iB/s")
            expect(source.locator(".source-share")).to_have_text(re.compile(r"^[1-9]\d?% · "))
        expect(page.locator(".band .part")).to_have_count(2)
        expect(page.get_by_role("img", name=re.compile(r"Pieces: \d+% there"))).to_be_visible()
        assert page.evaluate(COLOURS) >= 2
        first, second = (int(text.partition("%")[0]) for text in page.locator(".source-share").all_inner_texts())
        assert first > second
        # It shows what has ended, too.
        daemon.ask("DELETE", f"tasks/{page.url.rsplit('/', 1)[-1]}?files=1")
        expect(page.locator(".chip")).to_have_text("removed")


def test_a_daemon_that_was_killed_comes_back_to_the_page(
    open_page: OpenPage, trouble: list[str], site: LoopbackServer, tmp_path: Path
) -> None:
    daemon = DaemonProgram(tmp_path)
    daemon.start()
    try:
        page = open_page(daemon)
        page.keyboard.press("a")
        page.get_by_label("Links").fill(site.url("/stuck.bin"))
        page.locator("dialog button[name=go]").click()
        expect(row(page, "stuck.bin", "#active").locator(".row-facts")).to_contain_text("of 4.00")
        daemon.kill()
        expect(page.locator(".banner")).to_contain_text("No connection to the daemon.")
        daemon.start()
        expect(page.locator(".banner")).to_be_hidden()
        expect(row(page, "stuck.bin", "#active").locator(".row-facts")).to_contain_text("of 4.00")
        trouble.clear()
    finally:
        # Before the daemon goes: a page that loses its daemon complains.
        page.goto("about:blank")
        daemon.stop()


@pytest.mark.parametrize(("secret", "fragment"), [("/50%41#x", "%2F50%2541%23x"), ("100%", "100%")])
def test_a_secret_of_any_characters_logs_in(
    start_real: StartReal, open_page: OpenPage, tmp_path: Path, secret: str, fragment: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "secret").write_text(secret)
    (tmp_path / "state" / "secret").chmod(0o600)
    page = open_page(start_real(), f"#{fragment}", login=False)
    expect(page.locator(".bar")).to_be_visible()
    assert page.evaluate("location.hash") == ""
