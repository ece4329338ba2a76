"""aria2.conf, input lists and session files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.aria2.files import MOST_SETTINGS, read_conf, read_list, session_entry
from thunderdl.errors import UsageError

CONF = """\
# a comment
split=3
dir=${HOME}/x
  header=A: b
header = C: d
quiet

bad=1
[section]
log=${HOME}
referer=${HOME}
"""


def test_a_configuration_is_read() -> None:
    options, unknown = read_conf(CONF, home="/home/me")
    assert options == {
        "split": "3", "dir": "/home/me/x", "header": ["A: b", "C: d"], "quiet": "", "log": "/home/me",
        "referer": "${HOME}",
    }  # fmt: skip
    assert unknown == ("bad=1", "[section]")


def test_a_list_is_read() -> None:
    lines = [
        "\ufeff# x\n",
        "http://h/a\thttp://i/a\n",
        " out=o\n",
        "  header=A: b\n",
        "\theader=C: d\n",
        "\n",
        "http://h/b",
    ]
    first, second = read_list(lines)
    assert first == (("http://h/a", "http://i/a"), {"out": "o", "header": ["A: b", "C: d"]}, (), 2)
    assert (second.uris, second.options, second.line) == (("http://h/b",), {}, 7)


def test_what_is_no_option_of_a_download_is_passed_over() -> None:
    (found,) = read_list(["http://h/a\n", " nosuch=1\n", " on-download-complete=rm\n", " split=2\n"])
    assert found.options == {"split": "2"}
    assert found.unknown == ("nosuch=1", "on-download-complete=rm")
    (flooded,) = read_list(["u\n", *(f" x{number}=1\n" for number in range(MOST_SETTINGS + 9))])
    assert len(flooded.unknown) == MOST_SETTINGS


def test_an_option_without_a_uri_above_it_is_none() -> None:
    assert list(read_list([" out=o\n", "http://h/"])) == [(("http://h/",), {}, (), 2)]


def test_json_that_names_no_file_is_refused() -> None:
    with pytest.raises(UsageError):
        list(read_list(["{}\n"]))


def test_a_session_is_written_as_aria2_does() -> None:
    entry = session_entry(
        "0123456789abcdef", ("http://h/a", "http://i/a"),
        {"gid": "x", "out": "q", "header": ["A: b", "C: d"], "quiet": "true", "max-download-limit": "1048576"},
    )  # fmt: skip
    assert entry == (
        "http://h/a\thttp://i/a\t\n gid=0123456789abcdef\n out=q\n header=A: b\n header=C: d\n"
        " max-download-limit=1048576\n"
    )


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(uri=TEXT, out=TEXT)
def test_nothing_in_a_session_makes_a_line_of_its_own(uri: str, out: str) -> None:
    """Whatever a URI or a value holds: what is read back is one file with no more options than were written."""
    entry = session_entry("0" * 16, (f"http://h/{uri}",), {"out": out})
    assert entry.count("\n") == 3
    found = list(read_list(line + "\n" for line in entry.split("\n")))
    assert [set(each.options) for each in found] == [{"gid", "out"}]


def test_a_newline_in_a_value_begins_no_line() -> None:
    assert session_entry("0" * 16, ("http://h/\n out=x",), {"out": "a\r\n dir=/etc"}).count("\n") == 3
