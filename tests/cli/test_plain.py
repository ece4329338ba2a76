from __future__ import annotations

import io
import json

from tests.cli.fakes import NAUGHTY, FakeClient, FakeTask, FakeTotals, failed, progress, saved, source
from thunderdl.cli.plain import PlainView, progress_line
from thunderdl.cli.views import Loudness
from thunderdl.errors import NotFound, UsageError, printable
from thunderdl.model import Explanation, SourceState

URL = "http://h/file"
ERROR = NotFound(URL, "the server answered 404")


class Heard:
    """A plain view and what it wrote."""

    def __init__(self, loudness: Loudness = Loudness(), *, as_json: bool = False) -> None:  # noqa: B008  # frozen
        self.out, self.err = io.StringIO(), io.StringIO()
        self.view = PlainView(loudness, as_json=as_json, stdout=self.out, stderr=self.err)


def test_results_go_to_stdout_the_rest_to_stderr() -> None:
    heard = Heard()
    heard.view.finished(saved(URL, notes=("the file had changed; 5 bytes thrown away",)))
    heard.view.finished(failed(URL, ERROR))
    heard.view.problem(UsageError("list:3: no."))
    assert heard.out.getvalue() == "saved file  256 MiB in 3.2 s (80.0 MiB/s)\n"
    assert heard.err.getvalue().splitlines() == [
        "  the file had changed; 5 bytes thrown away",
        "failed http://h/file: the server answered 404.",
        "list:3: no.",
    ]


def test_quiet_says_only_errors() -> None:
    heard = Heard(Loudness(quiet=True))
    heard.view.finished(saved(URL, notes=("x",)))
    heard.view.finished(failed(URL, ERROR))
    assert heard.out.getvalue() == ""
    assert heard.err.getvalue() == "failed http://h/file: the server answered 404.\n"


def test_json_alone_is_on_stdout() -> None:
    heard = Heard(as_json=True)
    heard.view.finished(saved(URL))
    heard.view.finished(failed(URL, ERROR))
    assert [json.loads(line)["status"] for line in heard.out.getvalue().splitlines()] == ["complete", "failed"]


def test_few_tasks_get_a_line_each_many_get_one() -> None:
    heard = Heard()
    heard.view.tell_progress(FakeClient(active=[FakeTask(progress("a")), FakeTask(progress("b"))]))
    assert heard.err.getvalue().splitlines() == [
        f"{name}  46 %  120 MiB of 256 MiB  84.3 MiB/s  ETA 0:02  2 sources" for name in "ab"
    ]
    many = FakeClient(active=[FakeTask(progress()) for _ in range(9)], counted=FakeTotals(7, 1, 2**30, 2**20))
    heard.view.tell_progress(many)
    assert heard.err.getvalue().splitlines()[-1] == "7 files done, 1 failed, 9 active  1.00 GiB  1.00 MiB/s"


def reason(why: str, numbers: str = "") -> Explanation:
    return Explanation(url="http://u:s3cret@mirror/f", why=why, told=f"{why} {numbers}")


def test_each_change_is_told_once() -> None:
    heard, clock = Heard(Loudness(verbose=True)), [100.0]
    heard.view = PlainView(Loudness(verbose=True), stdout=heard.out, stderr=heard.err, now=lambda: clock[0])
    task = FakeTask(progress(NAUGHTY, notes=("resumed",)))
    for second, why in enumerate(("tries", "tries", "helped", "tries", "helped", "helped", NAUGHTY)):
        clock[0] = 100.0 + second
        task.reasons = (reason(why, f"{second} s"),)
        for _ in range(2):
            heard.view.tell_events(FakeClient(active=[task]))
    lines = heard.err.getvalue().splitlines()
    assert [line.rpartition(".bin: ")[2] for line in lines[:-1]] == [
        "resumed", "http://mirror/f: tries 0 s", "http://mirror/f: helped 2 s",
    ]  # fmt: skip
    assert "6 s" in lines[-1]
    assert all(line == printable(line) for line in lines)


def test_a_note_that_was_told_is_not_told_again_in_the_end() -> None:
    heard = Heard(Loudness(verbose=True))
    heard.view.tell_events(FakeClient(active=[FakeTask(progress("f", notes=("resumed",)))]))
    heard.view.finished(saved(URL, notes=("resumed", "new")))
    assert heard.err.getvalue().splitlines() == ["f: resumed", "  new"]


def test_unknown_size() -> None:
    line = progress_line(progress("x", size_bytes=None, eta_s=None, sources=()))
    assert line == "x  ? %  120 MiB  84.3 MiB/s  ETA -:--  0 sources"


def test_a_standstill_says_why() -> None:
    lost = source(1, state=SourceState.BACKING_OFF, note="refused; again in 4 s")
    line = progress_line(progress("http://u:s3cret@h/x", sources=(lost,)))
    assert line == "http://h/x  120 MiB of 256 MiB  backing off: refused; again in 4 s"


def test_a_url_is_not_told_twice() -> None:
    lost = source(1, state=SourceState.BACKING_OFF, note="http://h/x: connection refused.")
    line = progress_line(progress("http://h/x", sources=(lost,)))
    assert line == "http://h/x  120 MiB of 256 MiB  backing off: connection refused."
