"""The browser, the daemon under the page, and a page that is logged in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.web.fake_daemon import FakeDaemon
from tests.web.real_daemon import RealDaemon
from tests.web.scenes import SCENES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Error, Page

WAIT_MS = 30_000
# Under tests time goes faster than it does for people.
TICK_S = 0.25


class Daemon(Protocol):
    """What a page is opened from."""

    @property
    def url(self) -> str: ...

    @property
    def secret(self) -> str: ...


StartDaemon = Callable[..., FakeDaemon]
StartReal = Callable[..., RealDaemon]
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="the page's tests want playwright")
    if shutil.which("chromium") is None:
        pytest.skip("the page's tests want chromium (make test-setup)")
    with api.sync_playwright() as playwright:
        program = Path(__file__).with_name("deaf_chromium.py")
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def start_daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartDaemon]:
    """A daemon with the queue of that scene: what serves the page's API and has ``url``, ``secret``. Of :data:`BOTH`
    the real one has an empty queue."""
    running: list[Any] = []
    is_real = getattr(request, "param", "scripted") == "real"

    def start(scene: str = "busy") -> Any:
        daemon = RealDaemon(tmp_path) if is_real else FakeDaemon(SCENES[scene](), tick_s=TICK_S)
        daemon.start()
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.stop()


BOTH = pytest.mark.parametrize("start_daemon", ["scripted", "real"], indirect=True)


@pytest.fixture
def start_real(tmp_path: Path) -> Iterator[StartReal]:
    """The real daemon, its queue empty. ``changes``: options."""
    running: list[RealDaemon] = []

    def start(**changes: object) -> RealDaemon:
        daemon = RealDaemon(tmp_path, **changes)
        running.append(daemon)
        daemon.start()
        return daemon

    yield start
    for daemon in running:
        daemon.stop()


@pytest.fixture(scope="session")
def pages(browser: Browser) -> Iterator[Callable[[str, str], Page]]:
    """One for each language and colour scheme: a new one for each test would cost as much as most tests."""
    made: dict[tuple[str, str], Page] = {}

    def page(locale: str, scheme: str) -> Page:
        if (locale, scheme) not in made:
            context = browser.new_context(
                locale=locale, color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
            )
            context.set_default_timeout(WAIT_MS)
            made[locale, scheme] = context.new_page()
        return made[locale, scheme]

    yield page
    for one in made.values():
        one.context.close()


@pytest.fixture
def trouble() -> Iterator[list[str]]:
    """What the browser complained about: errors of scripts, of the console, of the content security policy.

    Empty in the end, or the test fails; a test that expects trouble clears it.
    """
    seen: list[str] = []
    yield seen
    assert seen == []


@pytest.fixture
def open_page(pages: Callable[[str, str], Page], trouble: list[str]) -> Iterator[OpenPage]:
    """``open_page(daemon, path="#/…", width=…, …)``: logged in by the address, as the daemon prints it."""
    opened: list[Page] = []

    def on_error(error: Error) -> None:
        trouble.append(f"{error}\n{error.stack}")

    def on_console(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            trouble.append(said.text)

    def open_it(
        daemon: Daemon, path: str = "", *, width: int = 1280, locale: str = "en-GB", scheme: str = "light",
        login: bool = True,
    ) -> Page:  # fmt: skip
        page = pages(locale, scheme)
        opened.append(page)
        page.on("pageerror", on_error)
        page.on("console", on_console)
        # Cookies know no ports: those of the last test's daemon would be sent to this one. (What is stored does.)
        page.context.clear_cookies()
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(daemon.url + (f"#{daemon.secret}" if login else path))
        if login:
            page.locator(".bar").wait_for()
            if path:
                page.evaluate("path => { location.hash = path }", path)
        return page

    yield open_it
    for page in opened:
        # Before the daemon goes: a page that loses its daemon complains.
        page.goto("about:blank")
        page.remove_listener("pageerror", on_error)
        page.remove_listener("console", on_console)
