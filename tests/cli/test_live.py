from __future__ import annotations

import asyncio
import io

import pytest

from tests.cli.fakes import FakeClient, FakeTask, failed, progress, saved
from thunderdl.cli import live
from thunderdl.cli.live import LiveView, choose_view, follow
from thunderdl.cli.plain import PlainView
from thunderdl.cli.views import Loudness
from thunderdl.errors import NotFound


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(live, "PATIENCE_S", 0.0)
    monkeypatch.setattr(live, "FRAME_S", 0.0)
    # pytest puts its own streams back between set-up and test, so the replacing is left to put_on().
    return Terminal()


def put_on(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stderr", screen)


async def shown(text: str, screen: Terminal, drawing: asyncio.Task[None]) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
        if text in screen.getvalue():
            return
        if drawing.done():
            drawing.result()
    raise AssertionError(f"{text!r} never appeared")


def test_the_view_fits_the_stream(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on(screen, monkeypatch)
    assert isinstance(choose_view(Loudness()), LiveView)
    assert isinstance(choose_view(Loudness(quiet=True)), PlainView)
    assert isinstance(choose_view(Loudness(), as_json=True), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_view(Loudness()), PlainView)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(choose_view(Loudness()), PlainView)


def test_short_downloads_get_a_coloured_line_and_no_picture(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on(screen, monkeypatch)
    view = LiveView(Loudness())
    view.finished(saved("http://h/a"))
    view.finished(failed("http://h/b", NotFound("http://h/b", "404")))
    view.close()
    assert screen.getvalue() == (
        "\x1b[32msaved\x1b[0m a  256 MiB in 3.2 s (80.0 MiB/s)\n\x1b[31mfailed\x1b[0m http://h/b: 404.\n"
    )


def test_errors_go_to_a_stderr_that_is_a_file(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on(screen, monkeypatch)
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    view = LiveView(Loudness())
    view.finished(failed("http://h/b", NotFound("http://h/b", "404")))
    assert log.getvalue() == "failed http://h/b: 404.\n"


def test_the_picture_comes_lines_stay_above_and_the_cursor_returns(
    screen: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on(screen, monkeypatch)

    async def session() -> None:
        client = FakeClient(active=[FakeTask(progress("big.iso"))])
        view = LiveView(Loudness(verbose=True))
        watching = asyncio.create_task(view.watch(client))
        await shown("big.iso", screen, watching)
        view.finished(saved("http://h/done"))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        view.close()

    asyncio.run(session())
    written = screen.getvalue()
    assert "\x1b[?25l" in written
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")
    assert written.rstrip().endswith("(80.0 MiB/s)")


def test_follow_ends_with_the_tasks(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on(screen, monkeypatch)
    client = FakeClient(active=[FakeTask(progress("big.iso"))])

    async def session() -> None:
        following = asyncio.create_task(follow(client))
        await shown("big.iso", screen, following)
        client.active.clear()
        await following

    asyncio.run(session())
    assert "\x1b[?25h" in screen.getvalue()
