"""The command line as getopt_long reads it; the sentences are those of aria2 1.36."""

from __future__ import annotations

import pytest

from thunderdl.aria2.command_line import BadCommandLine, Options, read_command_line
from thunderdl.aria2.help_text import FEATURES, LIKE_ARIA2, TAGS, help_text, option_text, version_text
from thunderdl.aria2.table import OPTIONS, SETTABLE


@pytest.mark.parametrize(
    ("typed", "options", "uris"),
    [
        ([], {}, ()),
        (["http://h/"], {}, ("http://h/",)),
        (["-x16", "-s", "4", "u"], {"max-connection-per-server": "16", "split": "4"}, ("u",)),
        (["u", "--dir=/d", "--out", "o", "v"], {"dir": "/d", "out": "o"}, ("u", "v")),
        (["-c", "u"], {"continue": ""}, ("u",)),
        (["-ctrue", "u"], {"continue": "true"}, ("u",)),
        (["-c", "false"], {"continue": ""}, ("false",)),
        (["--continue=false"], {"continue": "false"}, ()),
        (["--continue", "false"], {"continue": ""}, ("false",)),
        (["-Zx17"], {"force-sequential": "x17"}, ()),
        (["--max-conc", "3", "--max-t=9"], {"max-concurrent-downloads": "3", "max-tries": "9"}, ()),
        (["--dir", "a", "--dir=b"], {"dir": "b"}, ()),
        (["--header=A: b", "--header", "C: d"], {"header": ["A: b", "C: d"]}, ()),
        (["-h"], {"help": ""}, ()),
        (["-h#http"], {"help": "#http"}, ()),
        (["--help=dir"], {"help": "dir"}, ()),
        (["-v"], {"version": ""}, ()),
        (["-vc"], {"version": ""}, ()),
        (["--", "-c", "--dir=x"], {}, ("-c", "--dir=x")),
        (["-i", "-"], {"input-file": "-"}, ()),
        (["-"], {}, ("-",)),
        (["--out", "--dir"], {"out": "--dir"}, ()),
        (["-m0", "-j", "5"], {"max-tries": "0", "max-concurrent-downloads": "5"}, ()),
    ],
)
def test_what_is_typed_is_read(typed: list[str], options: Options, uris: tuple[str, ...]) -> None:
    assert read_command_line(typed) == (options, uris)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (["--nosuch"], "unrecognized option '--nosuch'"),
        (["--he"], "option '--he' is ambiguous; possibilities: '--help' '--header'"),
        (["--out"], "option '--out' requires an argument"),
        (["-j"], "option requires an argument -- 'j'"),
        (["-vx"], "option requires an argument -- 'x'"),
        (["-z"], "invalid option -- 'z'"),
        (["--version=3"], "option '--version' doesn't allow an argument"),
        (["--=x"], "unrecognized option '--=x'"),
    ],
)
def test_what_cannot_be_read_is_told(typed: list[str], reason: str) -> None:
    with pytest.raises(BadCommandLine) as refused:
        read_command_line(typed)
    assert refused.value.reason == str(refused.value) == reason


def test_what_may_have_been_meant_is_told() -> None:
    with pytest.raises(BadCommandLine) as refused:
        read_command_line(["--continu-e"])
    assert "--continue" in refused.value.meant


def test_help_is_made_from_the_table() -> None:
    basic = help_text()
    assert basic.startswith("Usage: aria2c [OPTIONS]")
    assert " -d, --dir=DIR" in basic
    assert "--user-agent" not in basic
    assert " -c, --continue[=true|false]" in basic
    found = help_text("conn")
    assert found.count("\n -") + found.count("\n  --") >= 1
    assert "Printing options whose name includes 'conn'." in found
    assert "--connect-timeout" in found
    assert "--dir" not in help_text("#cookie")
    everything = help_text("#all")
    assert all(f"--{name}" in everything for name in SETTABLE)
    assert help_text("foo").endswith("See 'aria2c -h'.")
    assert {tag for option in OPTIONS.values() for tag in option.tags} <= set(TAGS)
    assert max(map(len, everything.splitlines())) < 200


def test_one_option_is_told() -> None:
    assert option_text(OPTIONS["lowest-speed-limit"]).splitlines() == [
        " --lowest-speed-limit=SPEED   Leave connections that are slower.",
        "                              Here: no effect: slow sources lose their ranges to",
        "                              fast ones.",
        "",
        "                              Possible Values: 0-*",
        "                              Default: 0",
        "                              Tags: #http, #ftp",
    ]


def test_the_version_begins_as_clients_expect() -> None:
    assert version_text("9.9").splitlines()[:2] == [
        f"aria2 version {LIKE_ARIA2}",
        "thunderdl 9.9, with aria2's command line.",
    ]


def test_what_there_is_is_told_as_aria2_tells_it() -> None:
    """The list of ``getVersion``, too. As of aria2 1.36, which tells GZip where its input files may be."""
    features = "Async DNS, BitTorrent, Firefox3 Cookie, GZip, HTTPS, Message Digest, Metalink, XML-RPC, SFTP"
    assert f"Enabled Features: {features}" in version_text("9.9").splitlines()
    assert ", ".join(FEATURES) == features
