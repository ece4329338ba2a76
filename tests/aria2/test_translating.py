"""From aria2's options to ours."""

from __future__ import annotations

import pytest

from thunderdl.aria2.option import State
from thunderdl.aria2.table import KEPT_DEFAULTS, OPTIONS, defaults
from thunderdl.aria2.translating import Given, Text, applied, names_of, translate
from thunderdl.aria2.values import BadOption
from thunderdl.errors import UsageError
from thunderdl.model import Digest
from thunderdl.options import Encryption, Exists, Options
from thunderdl.reach import IpVersion

SHA1 = "0192ba11326fe2298c8cb4de616f4d4140213838"


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ({}, {}),
        ({"no-such": "1"}, {}),
        ({"dir": "/d", "out": "o"}, {"dir": "/d", "out": "o"}),
        ({"max-download-limit": "1M"}, {"task_limit": "1048576"}),
        ({"max-overall-download-limit": "0"}, {"limit": "0"}),
        ({"allow-overwrite": "true", "continue": "true"}, {"exists": "overwrite"}),
        ({"continue": "true", "auto-file-renaming": "false"}, {"exists": "skip"}),
        ({"auto-file-renaming": "false"}, {"exists": "refuse"}),
        ({"allow-overwrite": "false"}, {"exists": "rename"}),
        ({"max-tries": "5"}, {"retries": "4"}),
        ({"max-tries": "0"}, {"retries": "999999"}),
        ({"split": "4"}, {"per_host": "20"}),
        ({"split": "1", "max-concurrent-downloads": "1"}, {"per_host": "1", "jobs": "1"}),
        ({"split": "3", "max-connection-per-server": "16", "max-concurrent-downloads": "2"},
         {"per_host": "6", "jobs": "2"}),
        ({"split": "16", "max-connection-per-server": "16"}, {"per_host": "64"}),
        ({"check-certificate": "false"}, {"insecure": "yes"}),
        ({"no-netrc": "true"}, {"netrc": "no"}),
        ({"disable-ipv6": "true"}, {"ip_version": "4"}),
        ({"checksum": f"sha-1={SHA1}"}, {"checksum": f"sha-1={SHA1}"}),
        ({"checksum": "adler32=00000001"}, {}),
        ({"http-user": "u", "http-passwd": "p"}, {"user": "u", "password": "p"}),
        ({"http-passwd": "p"}, {}),
        ({"stream-piece-selector": "inorder"}, {"sequential": "yes"}),
        ({"seed-ratio": "1.0"}, {"ratio": "1"}),
        ({"seed-ratio": "0.0"}, {"ratio": "999999"}),
        ({"seed-ratio": "0.0", "seed-time": "2.5"}, {"seed_time": "150.000s"}),
        ({"seed-ratio": "2", "seed-time": "1"}, {"ratio": "2", "seed_time": "60.000s"}),
        ({"seed-ratio": "2", "seed-time": "0"}, {}),
        ({"seed-ratio": "", "seed-time": ""}, {}),
        ({"listen-port": "6900-6999"}, {"port": "6900"}),
        ({"max-upload-limit": "10K"}, {"task_upload_limit": "10240"}),
        ({"max-upload-limit": "10K", "max-overall-upload-limit": "0"},
         {"task_upload_limit": "10240", "upload_limit": "0"}),
        ({"bt-require-crypto": "true"}, {"encryption": "require"}),
        ({"bt-force-encryption": "false"}, {"encryption": "prefer"}),
        ({"follow-torrent": "mem"}, {"follow": "yes"}),
        ({"follow-torrent": "false"}, {"follow": "no"}),
        ({"all-proxy": ""}, {}),
        ({"all-proxy": "h:1"}, {"proxy": "http://h:1"}),
        ({"all-proxy": "x:y@h:1", "all-proxy-user": "u@v", "all-proxy-passwd": "p/"}, {"proxy": "http://u%40v:p%2F@h:1"}),
        ({"header": ["A: b", "C:", "D"], "referer": "r", "http-no-cache": "true"},
         {"headers": ("A: b", "Referer: r", "Cache-Control: no-cache", "Pragma: no-cache")}),
        ({"bt-tracker": "udp://a:1, http://b/"}, {"trackers": ("udp://a:1", "http://b/")}),
        ({"bt-tracker": "rubbish,udp://a:1,gopher://x"}, {"trackers": ("udp://a:1",)}),
        ({"referer": "*"}, {}),
    ],
)  # fmt: skip
def test_each_option_has_its_counterpart(given: Given, texts: dict[str, Text]) -> None:
    assert translate(given).texts == texts


@pytest.mark.parametrize(
    ("given", "uri", "texts"),
    [
        ({"ftp-user": "f", "http-user": "h"}, "ftp://h/", {"user": "f"}),
        ({"ftp-user": "f", "http-user": "h"}, "https://h/", {"user": "h"}),
        ({"https-proxy": "s:1", "all-proxy": "a:1"}, "https://h/", {"proxy": "http://s:1"}),
        ({"https-proxy": "s:1", "all-proxy": "a:1"}, "http://h/", {"proxy": "http://a:1"}),
        ({"https-proxy": "", "all-proxy": "a:1"}, "https://h/", {}),
        ({"referer": "*"}, "http://u:p@h/x#y", {"headers": ("Referer: http://h/x",)}),
        ({"follow-metalink": "false"}, "http://h/x.meta4", {"follow": "no"}),
        ({"follow-metalink": "false"}, "http://h/x", {}),
    ],
)
def test_some_depend_on_the_uri(given: Given, uri: str, texts: dict[str, Text]) -> None:
    assert translate(given, uri=uri).texts == texts


def test_what_is_not_done_is_told_unless_it_changes_nothing() -> None:
    told = translate({"index-out": ["1=a"], "bt-save-metadata": "false", "conditional-get": "true", "netrc-path": ""})
    assert told.notes == (
        "--index-out has no effect: files of a torrent keep their names.",
        "--conditional-get has no effect: no file is compared by its date.",
    )
    assert translate({"checksum": "adler32=00000001"}).notes == ("--checksum: adler32 is not checked here.",)


def test_what_sets_none_of_ours_is_left() -> None:
    left = translate({"pause": "", "gid": "0123", "dir": "x", "split": "3", "lowest-speed-limit": "1K"}).left
    assert left == {"pause": "true", "gid": "0123", "lowest-speed-limit": "1024"}


def test_a_bad_value_is_refused() -> None:
    with pytest.raises(BadOption):
        translate({"split": "0"})


def test_they_make_options() -> None:
    given = {
        "dir": "d", "checksum": f"sha-1={SHA1}", "split": "2", "allow-overwrite": "true", "disable-ipv6": "true",
        "bt-require-crypto": "true", "max-download-limit": "1M", "timeout": "9", "header": ["X: y"],
        "check-certificate": "false", "bt-tracker": "udp://a:1",
    }  # fmt: skip
    base = Options(headers=(("A", "b"),), per_host=3)
    made = applied(base, translate(given))
    assert made == Options(
        dir="d", checksum=Digest("sha1", bytes.fromhex(SHA1)), per_host=10, exists=Exists.OVERWRITE,
        ip_version=IpVersion.V4, encryption=Encryption.REQUIRE, task_limit=2**20, timeout=9.0,
        headers=(("A", "b"), ("X", "y")), insecure=True, trackers=("udp://a:1",),
    )  # fmt: skip
    of_one = applied(base, translate(given), of_session=False)
    assert (of_one.per_host, of_one.insecure, of_one.task_limit) == (3, False, 2**20)


def test_a_text_of_ours_that_is_none_is_told_by_the_name_of_aria2() -> None:
    with pytest.raises(UsageError, match=r"header.*: not a header"):
        applied(Options(), translate({"header": ["a\u0130: b"]}))


def test_each_mapped_option_changes_something() -> None:
    """A row that says it sets a field of ours does, and no field is set that no row names."""
    values = {
        "max-concurrent-downloads": "3", "no-proxy": "h", "checksum": f"md5={SHA1[:32]}", "listen-port": "2000",
        "disable-ipv6": "true", "bt-tracker": "udp://x:1", "select-file": "1", "stream-piece-selector": "inorder",
        "follow-torrent": "false", "header": "A: b",
    }  # fmt: skip
    proxies = {f"{kind}-proxy": "h" for kind in ("http", "https", "ftp", "all")}
    beside = {"password": {"http-user": "u", "ftp-user": "u"}, "proxy": proxies}
    for name, option in OPTIONS.items():
        for field in option.here.ours:
            if name == "bt-min-crypto-level":
                continue  # It counts beside bt-require-crypto alone, which is enough.
            uri = f"{name.partition('-')[0]}://h/" if name.startswith(("ftp", "https")) else "http://h/"
            uri = "http://h/x.meta4" if name == "follow-metalink" else uri
            value = values.get(name, "true" if option.form.value == "true|false" else "9")
            value = "false" if name == "follow-metalink" else value
            texts = translate({**beside.get(field, {}), name: value}, uri=uri).texts
            assert field in texts, name


def test_defaults_that_hold_make_options() -> None:
    made = applied(Options(), translate(KEPT_DEFAULTS))
    assert made == Options(exists=Exists.RENAME, jobs=5, retries=4, timeout=60.0, netrc=True, ratio=1.0)
    # All defaults of aria2 are values of ours, too.
    applied(Options(), translate(defaults()))


def test_names_of_a_field() -> None:
    assert names_of("user") == ("http-user", "ftp-user")
    assert all(names_of(field) for option in OPTIONS.values() for field in option.here.ours)
    assert {option.here.state for option in OPTIONS.values()} == set(State)
