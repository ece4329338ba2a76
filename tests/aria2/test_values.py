"""Values of aria2's options; what is expected here, aria2 1.36 answers by getOption."""

from __future__ import annotations

import pytest

from thunderdl.aria2.option import Form, Reach, State
from thunderdl.aria2.table import BY_LETTER, KEPT_DEFAULTS, OPTIONS, defaults
from thunderdl.aria2.values import BadOption, UnknownOption, validated, validated_all
from thunderdl.options import table

SHA1 = "0192ba11326fe2298c8cb4de616f4d4140213838"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("max-download-limit", "1M", "1048576"),
        ("max-download-limit", "1k", "1024"),
        ("max-download-limit", " 5", "5"),
        ("min-split-size", "1024M", "1073741824"),
        ("split", "05", "5"),
        ("split", "+5", "5"),
        ("continue", "", "true"),
        ("seed-ratio", "0.50", "0.50"),
        ("seed-time", "", ""),
        ("select-file", "1-3,5", "1-3,5"),
        ("select-file", "1,,2", "1,,2"),
        ("checksum", f"SHA-1={SHA1}", f"SHA-1={SHA1}"),
        ("all-proxy", "127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("all-proxy", "http://u:p@h:8080", "http://u:p@h:8080/"),
        ("all-proxy", "https://h", "http://h:443/"),
        ("all-proxy", "h", "http://h/"),
        ("all-proxy", "", ""),
        ("all-proxy", "[::1]:3128", "http://[::1]:3128/"),
        # Not of aria2: people have asked it for this for ten years.
        ("all-proxy", "socks5://h:1", "socks5://h:1/"),
        ("bt-prioritize-piece", "head=1M,tail", "head=1M,tail"),
        ("optimize-concurrent-downloads", "5:25", "5:25"),
        ("optimize-concurrent-downloads", "", "true"),
        ("index-out", "0=a", "0=a"),
        ("file-allocation", "falloc", "falloc"),
        ("out", "a/b", "a/b"),
        ("user-agent", "", ""),
        ("max-mmap-limit", "9223372036854775807", "9223372036854775807"),
    ],
)
def test_a_value_is_kept_as_aria2_keeps_it(name: str, value: str, kept: str) -> None:
    assert validated(name, value) == kept


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("split", "0", "split must be greater than or equal to 1."),
        ("max-connection-per-server", "17", "max-connection-per-server must be between 1 and 16."),
        ("max-tries", "x", "Bad number x"),
        ("timeout", "1s", "Bad number 1s"),
        ("split", "", "Bad number "),
        ("stop", "99999999999999999999", "Bad number 99999999999999999999"),
        ("min-split-size", "1", "min-split-size must be between 1048576 and 1073741824."),
        ("min-split-size", "1G", "Bad or negative value detected: 1G"),
        ("max-download-limit", "1.5M", "Bad or negative value detected: 1.5M"),
        ("lowest-speed-limit", "-1", "Bad or negative value detected: -1"),
        ("max-download-limit", "9223372036854775808", "Overflow/underflow detected: 9223372036854775808"),
        ("continue", "maybe", "continue must be either 'true' or 'false'."),
        ("continue", "TRUE", "continue must be either 'true' or 'false'."),
        ("uri-selector", "x", "uri-selector must be one of the following:'inorder' 'feedback' 'adaptive' "),
        ("checksum", "foo", "Unrecognized checksum"),
        ("checksum", "sha-1=zz", "Unrecognized checksum"),
        ("checksum", f"sha1={SHA1}", "Unrecognized checksum"),
        ("ssh-host-key-md", f"sha-256={SHA1}", "Unrecognized checksum"),
        ("all-proxy", "foo://::", "unrecognized proxy format"),
        ("all-proxy", "h:99999", "unrecognized proxy format"),
        ("select-file", "0", "select-file must be between 1 and 1048576."),
        ("select-file", "1-", "Bad number 1-"),
        ("listen-port", "5", "listen-port must be between 1024 and 65535."),
        ("seed-ratio", "-1", "seed-ratio must be greater than or equal to 0.0."),
        ("seed-ratio", "abc", "Bad number abc"),
        ("index-out", "x", "Bad path index"),
        ("index-out", "1=", "Path with index=1 is empty."),
        ("bt-prioritize-piece", "x", "Unrecognized token x"),
        ("optimize-concurrent-downloads", "a:b", "Bad number 'a'"),
        ("header", "A: b\nC: d", "header must not hold control characters."),
        ("out", "a\x00b", "out must not hold control characters."),
    ],
)
def test_what_is_no_value_is_refused_in_the_words_of_aria2(name: str, value: str, reason: str) -> None:
    with pytest.raises(BadOption) as refused:
        validated(name, value)
    assert refused.value.reason == reason
    assert str(refused.value) == f"We encountered a problem while processing the option '--{name}'."


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UnknownOption, match="Unknown option: no-such"):
        validated("no-such", "1")


def test_what_repeats_comes_as_a_list_or_as_lines() -> None:
    assert validated_all("header", "A: b\nC: d\n") == ["A: b", "C: d"]
    assert validated_all("header", ["A: b"]) == ["A: b"]
    assert validated_all("index-out", "1=a") == ["1=a"]
    with pytest.raises(BadOption):
        validated_all("split", ["5"])


def test_the_table_is_whole() -> None:
    assert len(OPTIONS) == 207
    fields = {row.name for row in table()}
    for option in OPTIONS.values():
        assert set(option.here.ours) <= fields
        assert option.help, option.name
        assert bool(option.here.ours) is (option.here.state is State.OURS), option.name
        assert option.here.ours or option.here.why, option.name
        assert (option.form is Form.CHOICE) <= bool(option.choices), option.name
        if option.default and option.form not in (Form.PATH, Form.TEXT):
            assert validated(option.name, option.default) == option.default
    assert len(BY_LETTER) == sum(bool(option.short) for option in OPTIONS.values())


def test_where_options_may_be_set() -> None:
    """The counts are those of aria2's manual: 110 there and three that it does not name."""
    assert sum(option.reach.of_a_download for option in OPTIONS.values()) == 113
    live = {name for name, option in OPTIONS.items() if option.reach is Reach.LIVE}
    assert live == {
        "force-save", "save-not-found", "max-download-limit", "max-upload-limit", "bt-max-peers",
        "bt-remove-unselected-file", "bt-request-peer-speed-limit",
    }  # fmt: skip
    fixed = {n for n, o in OPTIONS.items() if o.reach.of_a_download and not o.reach.changes_a_download}
    assert fixed == {
        "gid", "dry-run", "metalink-base-uri", "parameterized-uri", "pause", "piece-length",
        "rpc-save-upload-metadata",
    }  # fmt: skip
    assert not OPTIONS["checksum"].reach.changes_all
    assert OPTIONS["dir"].reach is Reach.TASK


def test_defaults_are_answered_as_aria2_does() -> None:
    everywhere, of_one = defaults(), defaults(of_a_download=True)
    assert everywhere["min-split-size"] == "20971520"
    assert everywhere["split"] == of_one["split"] == "5"
    assert "rpc-secret" not in everywhere
    assert "max-concurrent-downloads" not in of_one
    assert len(of_one) == 75
    assert KEPT_DEFAULTS.items() <= everywhere.items()
