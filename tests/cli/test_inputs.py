from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.cli import inputs
from thunderdl.cli.inputs import Entry, entries, is_pipe, open_list, piped_entries
from thunderdl.cli.list_settings import ALLOWED, ListSettings
from thunderdl.errors import UsageError, printable
from thunderdl.model import Digest
from thunderdl.options import Options, table


def read(text: str, longest: int = 200) -> tuple[list[Entry], list[str]]:
    bad: list[UsageError] = []
    found = list(entries(io.StringIO(text, newline="\n"), "list", bad.append, longest=longest))
    return found, [str(error) for error in bad]


def test_urls_mirrors_comments_blank_lines() -> None:
    found, bad = read("\ufeffhttp://a/1\n\n# no\n  http://b/2\thttp://c/2\t\t http://d/2 \r\nhttp://e/3")
    assert found == [
        Entry("http://a/1"),
        Entry("http://b/2", ("http://c/2", "http://d/2")),
        Entry("http://e/3"),
    ]
    assert bad == []


def test_a_bad_line_is_named_and_the_rest_goes_on() -> None:
    found, bad = read("http://a/1\n-o /etc/passwd\nexample.com/x\nhttp://a/\x1b[2J\nhttp://a/b\rc\nhttp://a/2\n")
    assert found == [Entry("http://a/1"), Entry("http://a/2")]
    assert [line.partition(" ")[0] for line in bad] == ["list:2:", "list:3:", "list:4:", "list:5:"]
    assert "\x1b" not in "".join(bad)


def test_a_bad_mirror_spoils_its_line() -> None:
    found, bad = read("http://a/1\tnonsense\nhttp://a/2\n")
    assert found == [Entry("http://a/2")]
    assert "list:1: 'nonsense'" in bad[0]


def test_an_endless_line_is_skipped_in_bounded_memory() -> None:
    found, bad = read("http://a/" + "x" * 1000 + "\nhttp://a/2\n")
    assert found == [Entry("http://a/2")]
    assert bad == ["list:1: the line is longer than 200 characters."]


class Endless(io.TextIOBase):
    """200,000 lines that exist only when they are read."""

    def __init__(self) -> None:
        self._lines = (f"http://host.example/path/to/file-{number:07}.bin\n" for number in range(200_000))

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # as TextIO has it
        return next(self._lines, "")


def test_a_list_is_never_held() -> None:
    lines: Iterator[Entry] = entries(Endless(), "list", lambda error: None)  # type: ignore[arg-type]
    # CPython keeps up to 2000 tuples of each size for later use: as many are kept before it is measured.
    deque(islice(lines, 3000), 0)
    tracemalloc.start()
    try:
        count = sum(1 for _ in islice(lines, 2000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 64 * 1024


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        open_list(str(tmp_path / "none"))


def test_bytes_that_are_no_text_are_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"http://a/\xff\nhttp://a/2\n")
    bad: list[UsageError] = []
    name, opened = open_list(str(path))
    with opened as lines:
        assert list(entries(lines, name, bad.append)) == [Entry("http://a/2")]
    assert "not UTF-8" in str(bad[0])


def test_a_list_that_is_gzip_is_read_as_aria2_reads_it(tmp_path: Path) -> None:
    path, bad = tmp_path / "list", list[UsageError]()
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfhttp://a/1\n# no\n") + gzip.compress(b"http://a/2"))
    name, opened = open_list(str(path))
    with opened as lines:
        assert list(entries(lines, name, bad.append)) == [Entry("http://a/1"), Entry("http://a/2")]
    assert bad == []


@pytest.mark.parametrize("tail", [b"", b"\x00" * 40])
def test_of_a_torn_gzip_what_was_read_goes_on(tmp_path: Path, tail: bytes) -> None:
    path, bad = tmp_path / "list", list[UsageError]()
    whole = gzip.compress(b"http://a/1\n" + os.urandom(100_000).hex().encode(), compresslevel=0)
    path.write_bytes(whole[: len(whole) // 2] + tail)
    name, opened = open_list(str(path))
    with opened as lines:
        assert list(entries(lines, name, bad.append, longest=2**20))[:1] == [Entry("http://a/1")]
    assert any("its gzip is damaged or ends early" in str(error) for error in bad)


class Pipe:
    """Standard input that is a pipe, and the list that is read from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inputs, "GRACE_S", 0.01)
        self._far, self.near = os.pipe()
        self.bad: list[str] = []
        self._monkeypatch = monkeypatch

    def run(self, script: Callable[[AsyncIterator[Entry]], Awaitable[list[Entry]]], longest: int = 100) -> list[Entry]:
        async def reading() -> list[Entry]:
            with os.fdopen(self._far) as stdin:
                self._monkeypatch.setattr("sys.stdin", stdin)
                assert is_pipe("-")
                note, settled = self.bad.append, ListSettings(Options(), self.bad.append, inside=True)
                return await script(piped_entries(lambda error: note(str(error)), settled, longest=longest))

        return asyncio.run(reading())

    def write(self, raw: bytes) -> None:
        os.write(self.near, raw)

    def end(self) -> None:
        os.close(self.near)


def test_a_pipe_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe(monkeypatch)

    async def script(found: AsyncIterator[Entry]) -> list[Entry]:
        pipe.write(b"http://h/a\thttp://h/b\n")
        # It begins though nothing says yet that it is complete.
        first = await anext(found)
        pipe.write(b"# no\nrubbish\n" + b"x" * 5000 + b"\nhttp://h/c")
        pipe.end()
        return [first, *[entry async for entry in found]]

    assert pipe.run(script) == [Entry("http://h/a", ("http://h/b",)), Entry("http://h/c")]
    assert pipe.bad[0].startswith("standard input:3: ")
    assert "longer than 100" in pipe.bad[1]


def test_an_option_that_comes_after_its_file_was_begun_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe(monkeypatch)

    async def script(found: AsyncIterator[Entry]) -> list[Entry]:
        pipe.write(b"http://h/a\n out=x\n")
        first = await anext(found)
        pipe.write(b" checksum=md5=00000000000000000000000000000000\nhttp://h/b\n")
        pipe.end()
        return [first, *[entry async for entry in found]]

    named, plain = pipe.run(script)
    assert named.options is not None
    assert (named.options.out, plain) == ("x", Entry("http://h/b"))
    assert pipe.bad == ["standard input:3: the option 'checksum' came too late, its file was begun already."]


def settled(text: str, options: Options | None = None, *, inside: bool = False) -> tuple[list[Entry], list[str]]:
    told: list[str] = []
    makes = ListSettings(options or Options(dir="d"), told.append, inside=inside)
    found = list(entries(io.StringIO(text, newline="\n"), "list", lambda error: told.append(str(error)), makes))
    return found, told


def test_an_input_file_of_aria2() -> None:
    digest = "5" * 64
    found, told = settled(
        "http://a/1\thttp://b/1\n  out=one.iso\n\tdir=/srv/x\n# between\n\n"
        f" checksum=sha-256={digest}\n header=A: b\n header=C: d\n max-download-limit=1M\n seed-time=2\n"
        "http://a/2\n"
    )
    assert told == []
    assert found[1] == Entry("http://a/2")
    (url, mirrors, options) = found[0]
    assert (url, mirrors) == ("http://a/1", ("http://b/1",))
    assert options is not None
    assert (options.out, options.dir, options.task_limit) == ("one.iso", "/srv/x", 1024 * 1024)
    assert options.checksum == Digest("sha256", bytes.fromhex(digest))
    assert options.headers == (("A", "b"), ("C", "d"))
    assert options.seed_time == 120


def test_lines_of_json() -> None:
    line = {"url": "http://a/1", "mirrors": ["http://b/1"], "out": "x", "headers": {"A": "b"}, "user-agent": "me"}
    found, told = settled(json.dumps(line) + "\n" + '{"url": ["http://a/2", "http://b/2"], "retries": 3}\n')
    assert told == []
    (first, second) = found
    assert first.mirrors == ("http://b/1",)
    assert first.options is not None
    assert (first.options.out, first.options.headers, first.options.user_agent) == ("x", (("A", "b"),), "me")
    assert (second.url, second.mirrors) == ("http://a/2", ("http://b/2",))
    assert second.options is not None
    assert second.options.retries == 3


def test_headers_of_a_list_join_those_of_the_command_line() -> None:
    found, _ = settled("http://a/1\n header=C: d\n referer=http://r/\n", Options(headers=(("A", "b"),)))
    assert found[0].options is not None
    assert found[0].options.headers == (("A", "b"), ("C", "d"), ("Referer", "http://r/"))


@pytest.mark.parametrize(
    "name",
    ["split", "on-download-complete", "allow-overwrite", "conf-path", "save-session", "exists", "connections", "-o"],
)
def test_what_a_list_may_not_set_is_passed_over_and_told_once(name: str) -> None:
    found, told = settled(f"http://a/1\n {name}=overwrite\nhttp://a/2\n {name}=overwrite\n")
    if name == "-o":
        # No option of aria2's form: a line that is no URL.
        assert len(told) == 2
        return
    assert found == [Entry("http://a/1"), Entry("http://a/2")]
    assert told == [f"list:1: {name!r} is nothing that a list sets for a file; it is passed over."]


def test_nothing_that_runs_a_program_or_overwrites_may_come_from_a_list() -> None:
    rows = {row.name for row in table()}
    # Names that another part may add later are told, too.
    assert not {name for name in ALLOWED if "cmd" in name or "command" in name or name in ("exists", "trace", "ca")}
    assert set(ALLOWED) <= rows
    assert all(row.scope == "task" for row in table() if row.name in ALLOWED)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("out=../x", "must stay inside"), ("out=/etc/passwd", "must be a relative name"), ("out=", "must end in"),
        ("checksum=sha-256=12", "64 hex digits"), ("timeout=soon", "not a duration"),
        ("header=nonsense", "not a header"),
        ("max-tries=x", "not a whole number"), ("out=a\x1b[2Jb", "control character"),
    ],
)  # fmt: skip
def test_a_wrong_option_spoils_its_file_alone(setting: str, told: str) -> None:
    found, bad = settled(f"http://a/1\n {setting}\nhttp://a/2\n")
    assert found == [Entry("http://a/2")]
    assert len(bad) == 1
    assert bad[0].startswith("list:1: ")
    assert told in bad[0]
    assert bad[0] == printable(bad[0])


@pytest.mark.parametrize("folder", ["/etc", "~/x", "..", "a/../../b", "a\\..\\b"])
def test_a_list_through_a_pipe_leads_to_no_folder_outside(folder: str) -> None:
    found, bad = settled(f"http://a/1\n dir={folder}\n", inside=True)
    assert found == []
    assert "leads out of the folder" in bad[0]
    inside, _ = settled("http://a/1\n dir=sub\n", inside=True)
    assert inside[0].options is not None
    assert inside[0].options.dir == "d/sub"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not JSON"), ('{"a": 1}', "needs"), ('{"url": 7}', "needs"),
        ('{"url": "http://a", "mirrors": 7}', "mirrors"),
        ('{"url": "http://a\\nhttp://evil/"}', "newline"), ('{"url": "-o"}', "must begin"), ("{" * 10_000, "not JSON"),
        ('{"url": "http://a", "headers": [7]}', "not all texts"), ('{"url":"http://a","x":' + "[" * 30_000, "not JSON"),
        ('{"url": "http://a", "headers": {"A": "b\\r\\nC: d"}}', "newlines"),
    ],
)  # fmt: skip
def test_json_that_names_no_file(line: str, told: str) -> None:
    found, bad = settled(line + "\nhttp://a/2\n")
    assert found == [Entry("http://a/2")]
    assert len(bad) == 1
    assert bad[0].startswith("list:1: ")
    assert told in bad[0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('"out": {"a": 1}', "'out' is an object; write one value."),
        ('"out": ["a", "b"]', "'out' is a list; write one value."),
        ('"out": []', "'out' is a list"), ('"out": {}', "'out' is an object"),
        ('"out": true', "'out' is true or false; write one value."),
        ('"checksum": ["sha-256=1"]', "'checksum' is a list"), ('"retries": false', "'retries' is true or false"),
        ('"sequential": ["true"]', "'sequential' is a list; write true or false."),
        ('"max-tries": {"a": 1}', "'max-tries' is an object"),
        ('"headers": true', "write an object or a list of texts"),
        ('"headers": {"A": ["b"]}', "'headers' is an object of more than texts"),
        ('"referer": ["http://r/"]', "'referer' is a list; write a text."),
    ],
)  # fmt: skip
def test_a_value_of_json_that_its_option_cannot_have_spoils_its_file(value: str, told: str) -> None:
    """Of a list the last counted, and files were saved as ``a: 1`` and ``true``."""
    found, bad = settled('{"url": "http://a/1", ' + value + "}\nhttp://a/2\n")
    assert found == [Entry("http://a/2")]
    (sentence,) = bad
    assert sentence.startswith("list:1: ")
    assert told in sentence


def test_values_of_json_that_their_options_can_have() -> None:
    line = {"url": "http://a/1", "headers": ["A: b", "C: d"], "sequential": True, "retries": 3}
    (entry,), told = settled(json.dumps({**line, "split": {"a": "b"}}) + "\n")
    assert entry.options is not None
    assert (entry.options.headers, entry.options.sequential) == ((("A", "b"), ("C", "d")), True)
    assert told == ["list:1: 'split' is nothing that a list sets for a file; it is passed over."]


def test_an_option_above_all_files_and_one_below_a_bad_line() -> None:
    found, bad = settled(" out=x\nrubbish\n out=y\n{\n out=z\nhttp://a/1\n")
    assert found == [Entry("http://a/1")]
    assert [line.partition(" ")[0] for line in bad] == ["list:1:", "list:2:", "list:4:"]


def test_options_without_end_are_refused_in_bounded_memory() -> None:
    found, bad = settled("http://a/1\n" + " out=x\n" * 5000 + "http://a/2\n")
    assert found == [Entry("http://a/2")]
    assert bad == ["list:258: more than 256 options for one file."]


def test_an_ed2k_link_in_a_list_needs_a_mirror() -> None:
    link = "ed2k://|file|a b.iso|5|31d6cfe0d16ae931b73c59d7e0c089c0|/"
    found, bad = settled(f"{link}\thttp://a/1\n{link}\n")
    assert found == [Entry(link, ("http://a/1",))]
    assert "list:2: " in bad[0]
    assert "with -m" in bad[0]


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_text_is_entries_or_bad_lines(lines: list[str]) -> None:
    found, _ = settled("\n".join(lines))
    for entry in found:
        assert "\n" not in entry.url
        assert entry.url.isprintable() or " " not in entry.url


def test_nobody_waits_for_what_cannot_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs without a terminal have /dev/null there: epoll refuses it, and the list was waited for for ever."""
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert not is_pipe("-")
