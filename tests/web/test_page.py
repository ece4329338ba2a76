"""What people do with the page, in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.web.conftest import BOTH, OpenPage, StartDaemon
from tests.web.scenes import NASTY

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest.importorskip("playwright.sync_api", reason="the page's tests want playwright")
from playwright.sync_api import expect

expect.set_options(timeout=20_000)


def names(page: Page, area: str = "#waiting") -> list[str]:
    """The names in that list, in the order of their places."""
    return page.locator(f"{area} li .row-name").all_inner_texts()


def row(page: Page, name: str, area: str = "#waiting") -> Locator:
    return page.locator(f"{area} > li", has_text=name)


# -- logging in ------------------------------------------------------------------------------------------------------


def test_the_secret_of_the_address_logs_in_and_is_wiped(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    expect(page.locator("#active > li")).to_have_count(4)
    assert daemon.secret not in page.url
    page.go_back()
    assert daemon.secret not in page.url


@BOTH
def test_without_it_a_form_asks(start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]) -> None:
    daemon = start_daemon()
    page = open_page(daemon, login=False)
    page.get_by_label("Secret").fill("guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the daemon's secret")
    page.get_by_label("Secret").fill(daemon.secret)
    page.keyboard.press("Enter")
    expect(page.locator(".bar")).to_be_visible()
    assert all("401" in text for text in trouble)
    trouble.clear()


# -- adding ----------------------------------------------------------------------------------------------------------


def test_links_are_added_and_seen_to_run(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon("empty"))
    expect(page.get_by_text("The sky is clear")).to_be_visible()
    page.keyboard.press("a")
    page.get_by_label("Links").fill("https://example.org/one.iso\nhttps://example.org/two.iso")
    page.locator("dialog button[name=go]").click()
    expect(page.locator("#active > li")).to_have_count(2)
    expect(page.get_by_text("2 downloads added")).to_be_visible()
    expect(row(page, "one.iso", "#active").locator(".row-facts")).not_to_contain_text("0 B of")


def test_mirrors_and_options_are_sent(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon("empty")
    page = open_page(daemon)
    page.get_by_role("button", name="Add").first.click()
    page.get_by_label("Links").fill("https://one.example/x.iso\nhttps://two.example/x.iso")
    page.get_by_label("These are mirrors of one file").check()
    page.get_by_text("Options").click()
    page.get_by_label("Name").fill("y.iso")
    page.locator("dialog").get_by_label("Category").select_option("isos")
    page.locator("dialog").get_by_label("Priority").select_option("high")
    page.get_by_label("Add it paused").check()
    page.locator("dialog button[name=go]").click()
    expect(row(page, "y.iso")).to_contain_text("paused")
    [task] = daemon.world.tasks.values()
    assert (task["category"], task["priority"], task["state"]) == ("isos", "high", "paused")
    assert len(daemon.world.scripts[task["gid"]].origins) == 2


def test_a_refusal_is_said_and_what_was_typed_stays(
    start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]
) -> None:
    page = open_page(start_daemon("empty"))
    page.keyboard.press("a")
    page.get_by_label("Links").fill("gopher://example.org/x")
    page.locator("dialog button[name=go]").click()
    expect(page.locator("dialog [role=alert]")).to_contain_text("gopher://example.org/x: not a URL")
    expect(page.get_by_label("Links")).to_have_value("gopher://example.org/x")
    trouble.clear()


_DROP = """([name, text]) => {
  const data = new DataTransfer();
  if (name) data.items.add(new File([text], name)); else data.setData("text/plain", text);
  for (const type of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_a_torrent_is_dropped_and_its_files_chosen(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon("empty")
    page = open_page(daemon)
    page.evaluate(_DROP, ["album.torrent", "d4:infoe"])
    expect(page.locator("dialog")).to_contain_text("3 files")
    page.get_by_label("cover.png").uncheck()
    page.locator("dialog button[name=go]").click()
    expect(page.locator("#active > li")).to_contain_text("album")
    [gid] = daemon.world.tasks
    assert daemon.world.scripts[gid].options["files"] == "1-2"


@BOTH
def test_a_link_is_pasted_anywhere(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    page.evaluate("""() => {
      const data = new DataTransfer();
      data.setData("text/plain", "see\\nmagnet:?xt=urn:btih:abc\\nhttps://example.org/z.iso");
      document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
    }""")
    expect(page.get_by_label("Links")).to_have_value("magnet:?xt=urn:btih:abc\nhttps://example.org/z.iso")


# -- the queue -------------------------------------------------------------------------------------------------------


def test_one_and_all_are_paused_and_resumed(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    page.get_by_role("button", name="Pause: router").click()
    expect(row(page, "router")).to_contain_text("paused")
    row(page, "router").get_by_role("button", name="Resume").click()
    # It waits, or has begun at once.
    resumed = page.locator("#waiting > li, #active > li", has_text="router")
    expect(resumed).to_have_count(1)
    expect(resumed).not_to_contain_text("paused")
    page.keyboard.press("Shift+P")
    expect(page.locator("#active > li")).to_have_count(0)
    expect(page.get_by_role("heading", name="All quiet")).to_be_visible()
    page.get_by_role("button", name="Resume everything").click()
    expect(page.locator("#active > li")).to_have_count(3)


def test_the_order_is_changed_by_dragging(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    first, fifth = row(page, "episode-01").locator(".grip"), row(page, "episode-05")
    fifth.scroll_into_view_if_needed()
    start, goal = first.bounding_box(), fifth.bounding_box()
    assert start is not None
    assert goal is not None
    page.mouse.move(start["x"] + 8, start["y"] + 12)
    page.mouse.down()
    page.mouse.move(goal["x"] + 20, goal["y"] + 20, steps=6)
    expect(page.locator(".drop-line")).to_be_visible()
    with page.expect_response("**/move"):
        page.mouse.up()
    expect(page.locator("#waiting > li").nth(4)).to_contain_text("episode-01")
    assert daemon.world.queued()[4]["name"] == "episode-01.mkv"


def test_the_order_is_changed_by_keys(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    row(page, "episode-02").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#announcements")).to_have_text(re.compile("episode-02.mkv: now number 3 of 12"))
    with page.expect_response("**/move"):
        page.keyboard.press("Alt+End")
    expect(page.locator("#announcements")).to_have_text(re.compile("now number 12 of 12"))
    expect(page.locator("#waiting > li").last).to_contain_text("episode-02")
    expect(row(page, "episode-02")).to_be_focused()
    assert daemon.world.queued()[-1]["name"] == "episode-02.mkv"


def test_rows_are_walked_opened_and_removed_by_keys(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    expect(page.locator("#active > li")).to_have_count(4)
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    expect(row(page, "episode-01")).to_be_focused()
    page.keyboard.press("Delete")
    page.get_by_label("Delete its files, too").check()
    page.locator("dialog").get_by_role("button", name="Remove").click()
    expect(row(page, "episode-01")).to_have_count(0)
    row(page, "episode-02").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="episode-02.mkv")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, "episode-02")).to_be_visible()


def test_what_has_finished_is_searched_and_tried_again(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    page.keyboard.press("/")
    page.keyboard.type("dataset")
    expect(page.locator("#finished > li")).to_have_count(1)
    expect(row(page, "dataset", "#finished")).to_contain_text("The server answered 404")
    row(page, "dataset", "#finished").get_by_role("button", name="Try again").click()
    expect(page.locator("#finished > li")).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#finished > li")).to_have_count(4)


def test_a_list_that_is_refused_is_asked_for_once(
    start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]
) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    page.keyboard.press("f")
    expect(page.locator("#finished > li")).to_have_count(5)
    daemon.broken = {"/history"}
    page.get_by_role("searchbox").fill("x")
    expect(page.get_by_text("This is broken on purpose.").first).to_be_visible()
    before = len(daemon.requests)
    page.wait_for_timeout(500)
    assert len(daemon.requests) == before
    daemon.broken.clear()
    page.get_by_role("searchbox").fill("linux")
    expect(page.locator("#finished > li")).to_have_count(1)
    trouble.clear()


def test_ten_thousand_wait_and_only_those_in_sight_exist(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon("many")
    page = open_page(daemon)
    expect(page.get_by_role("link", name="Waiting")).to_contain_text("10,000")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    # Names appear that no snapshot held: their page was asked for.
    expect(page.locator("#waiting > li:not(.hole)").first).to_be_visible()
    assert page.locator("#waiting > li").count() < 60
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(row(page, "file-10000.bin")).to_be_visible()
    row(page, "file-10000.bin").focus()
    with page.expect_response("**/move"):
        page.keyboard.press("Alt+Home")
    expect(page.locator("#waiting > li").first).to_contain_text("file-10000.bin")
    assert daemon.world.queued()[0]["name"] == "file-10000.bin"
    assert len([asked for asked in daemon.requests if asked == "GET /api/v1/tasks"]) < 12


# -- a task ----------------------------------------------------------------------------------------------------------


def open_task(page: Page, name: str) -> None:
    page.locator(".row-name", has_text=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def test_a_task_shows_sources_reasons_pieces_and_peers(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    open_task(page, "debian-13")
    expect(page.locator(".source")).to_have_count(5)
    expect(page.locator(".source", has_text="mirror.example.net")).to_contain_text(
        "the server answered 503; again in 12 s"
    )
    expect(page.get_by_role("img", name=re.compile(r"Pieces: \d+% there"))).to_be_visible()
    colours = page.evaluate("""() => {
      const map = document.querySelector(".map"), seen = new Set();
      const dots = map.getContext("2d").getImageData(0, 0, map.width, map.height).data;
      for (let at = 0; at < dots.length; at += 4) if (dots[at + 3] === 255) seen.add(dots.slice(at, at + 3).join());
      return seen.size;
    }""")
    assert colours >= 3
    page.go_back()
    open_task(page, "Sintel 4K")
    expect(page.locator(".peers tbody tr")).to_have_count(5)
    expect(page.locator(".trackers")).to_contain_text("timed out")


def test_a_link_to_a_task_opens_it(start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    gid = daemon.world.active()[1]["gid"]
    page.goto(f"{daemon.url}#/task/{gid}")
    page.reload()
    expect(page.locator(".source")).to_have_count(5)
    page.goto(f"{daemon.url}#/task/0000000000000000")
    expect(page.get_by_text("There is no such download.")).to_be_visible()
    trouble.clear()


def test_limits_are_dragged(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    open_task(page, "debian-13")
    slider = page.get_by_label("Limit of this download")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".task .limit-value")).to_have_text(re.compile("16.0.KiB/s"))
    gid = page.url.rsplit("/", 1)[-1]
    expect(page.locator(".facts")).to_contain_text("16K")
    assert daemon.world.tasks[gid]["limit"] == "16K"
    page.keyboard.press("End")
    expect(page.locator(".task .limit-value")).to_have_text("no limit")
    page.get_by_role("button", name="Limit: no limit").click()
    page.get_by_label("Limit for everything").fill("60")
    expect(page.get_by_role("button", name=re.compile("Limit: 1.00.MiB"))).to_be_visible()
    assert daemon.world.settings["limit"] == "1M"


def test_files_and_priority_are_changed(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    open_task(page, "Sintel 4K")
    page.get_by_label("making-of.mp4").check()
    page.get_by_role("button", name="Take these").click()
    expect(page.get_by_role("button", name="Take these")).to_be_hidden()
    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.get_by_label("High").check(force=True)
    expect(page.get_by_label("High")).to_be_checked()
    gid = page.url.rsplit("/", 1)[-1]
    assert [entry["selected"] for entry in daemon.world.scripts[gid].files] == [True] * 5
    assert daemon.world.tasks[gid]["priority"] == "high"


# -- the line --------------------------------------------------------------------------------------------------------


def test_a_lost_connection_is_told_and_comes_back(
    start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]
) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    expect(page.locator("#active > li")).to_have_count(4)
    daemon.stop()
    expect(page.locator(".banner")).to_contain_text("No connection to the daemon.")
    daemon.world.add({"urls": ["https://example.org/meanwhile.iso"], "position": 0})
    daemon.start()
    expect(page.locator(".banner")).to_be_hidden()
    expect(row(page, "meanwhile.iso")).to_be_visible()
    trouble.clear()


def test_a_quiet_page_asks_nothing(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon("empty")
    page = open_page(daemon)
    expect(page.get_by_text("The sky is clear")).to_be_visible()
    before = len(daemon.requests)
    page.wait_for_timeout(700)
    assert len(daemon.requests) == before


# -- what strangers write --------------------------------------------------------------------------------------------


def test_hostile_names_are_only_text(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon("nasty")
    page = open_page(daemon, width=360)
    expect(page.locator("#active > li").first).to_be_visible()
    expect(row(page, "<img src=x").first).to_be_visible()
    gids = [task["gid"] for task in daemon.world.active()]
    for path in ("#/finished", "#/settings", *(f"#/task/{gid}" for gid in gids)):
        page.evaluate("path => { location.hash = path }", path)
        expect(page.locator(".row:visible, .settings-form, .source").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        text = page.evaluate("document.body.innerText")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u0000]", text), path
    assert page.evaluate("window.hacked") is None
    assert page.locator("#app img:not([src='icon.svg']), #app script").count() == 0
    assert max(map(len, NASTY)) == 10_000
    assert (
        page.evaluate("Math.max(...[...document.querySelectorAll('bdi')].map((one) => one.textContent.length))") < 700
    )


# -- looks -----------------------------------------------------------------------------------------------------------


@BOTH
def test_chinese_by_the_browser_and_by_choice(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon(), locale="zh-CN")
    expect(page.get_by_role("link", name="等待中")).to_be_visible()
    page.keyboard.press("s")
    page.get_by_label("语言").select_option("English")
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"


@BOTH
def test_dark_and_light_by_the_system_and_by_choice(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon(), scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_phone_never_scrolls_sideways(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon, width=360)
    for path in ("#/", "#/finished", "#/settings", f"#/task/{daemon.world.active()[0]['gid']}"):
        page.evaluate("path => { location.hash = path }", path)
        expect(page.locator(".row:visible, .settings-form, .source").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.evaluate(_BEYOND) == [], path


# What can be used but lies outside of the window.
_BEYOND = """() => [...document.querySelectorAll("#app button, #app a, #app input")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1);
}).map((one) => one.outerHTML.slice(0, 120))"""


@BOTH
def test_settings_are_saved_and_refused(start_daemon: StartDaemon, open_page: OpenPage, trouble: list[str]) -> None:
    daemon = start_daemon()
    page = open_page(daemon, "#/settings")
    page.get_by_label("Downloads at once").fill("5")
    page.get_by_label("Upload limit").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    told = page.evaluate("fetch('api/v1/settings').then((answer) => answer.json())")
    assert (told["active"], told["upload_limit"]) == (5, None)
    page.locator("input[name=dir]").fill("/etc")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".settings [role=alert]")).to_contain_text("outside of the folders")
    trouble.clear()


@BOTH
def test_the_shortcuts_are_listed(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_options_of_a_task_are_called_in_the_reader_s_language(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    slow = next(task for task in daemon.world.active() if task["limit"])
    page = open_page(daemon, f"#/task/{slow['gid']}", locale="zh-CN")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("250K")
    expect(facts).not_to_contain_text("task_limit")


# How many dots of a chart have the colour of uploads.
_UPLOAD_DOTS = """(canvas) => {
  const one = new OffscreenCanvas(1, 1).getContext("2d");
  one.fillStyle = getComputedStyle(canvas).getPropertyValue("--up");
  one.fillRect(0, 0, 1, 1);
  const [red, green, blue] = one.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let dots = 0;
  for (let at = 0; at < data.length; at += 4) {
    const off = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
    if (data[at + 3] > 128 && off < 60) dots += 1;
  }
  return dots;
}"""


def test_uploads_are_drawn_only_where_there_are_some(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    page = open_page(daemon)
    for is_drawn in (True, False):
        gid = next(task["gid"] for task in daemon.world.active() if bool(task["upload_rate_bytes_per_s"]) is is_drawn)
        page.evaluate("path => { location.hash = path }", f"#/task/{gid}")
        chart = page.locator(".chart canvas")
        expect(chart).to_be_visible()
        page.wait_for_timeout(2500)
        assert (chart.evaluate(_UPLOAD_DOTS) > 0) is is_drawn


def test_back_from_a_task_the_keys_go_on_at_its_row(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    page = open_page(start_daemon())
    second = page.locator("#active > li").nth(1)
    expect(second).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".source").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#active > li").nth(1)).to_be_focused()
    waiting = page.locator("#waiting > li").nth(1)
    waiting.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#active")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#waiting > li").nth(1)).to_be_focused()


def test_the_hours_say_what_may_stand_in_them(start_daemon: StartDaemon, open_page: OpenPage) -> None:
    daemon = start_daemon()
    # The real daemon tells them as a text, too: that is no second field.
    daemon.world.settings["hours"] = "mon-fri 22:00-06:00"
    page = open_page(daemon, "#/settings")
    expect(page.get_by_text("a limit, as 1M, or pause")).to_be_visible()
    expect(page.locator("input[name=hours]")).to_have_count(0)
