"""Mirror lists in the forms that projects publish, and where a file is under each mirror."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopwatch import Stopwatch
from thunderdl.formats.mirror_lists import MAX_BASES, MAX_BYTES, mirror_guesses, parse_mirror_list

A, B = "http://a.example/debian/", "https://b.example/pub/debian"


def mirror_urls(original: str, bases: Iterable[str]) -> tuple[str, ...]:
    """All guesses, one base after the other."""
    return tuple(url for guesses in mirror_guesses(original, bases) for url in guesses)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}\n",
        f"\ufeff# mirrors\r\n \t {A} 10 DE\r\n\r\n; {A}x\r\n{B}\tpriority:2\r\n{A}\n",
        f"deb [arch=amd64 signed-by=/x] {A} bookworm main\n# deb http://old.example/ x\ndeb-src {B} bookworm main\n",
        f"Types: deb\nURIs: {A} {B}\nSuites: bookworm\n",
        f"Server = {A}$repo/os/$arch\nServer={B}\n#Server = http://off.example/$repo\n",
        f"## Arch\n#Server = {A}$repo/os/$arch\n# Server = {B}\n",
        f'Name,Country,URL\n"a","DE","{A}"\n"b","US","{B}",ok\n',
        json.dumps([{"url": B, "prio": 2}, {"url": A, "prio": 1}]),
        json.dumps({"urls": [{"url": A, "active": True}, {"url": "http://off.example/", "active": False}, {"url": B}]}),
        json.dumps({"mirrors": [A, B, 5, None, {"x": 1}]}),
        f"{A}?country=de#x\n{B}\n",
        f"rsync://r.example/d/\nfile:///etc/\njavascript:x\n{A}\nhttp://x.example:99999/\n{B}.\n",
    ],
)
def test_forms(text: str) -> None:
    assert parse_mirror_list(text.encode()) == (A, B)


def test_a_page() -> None:
    page = (
        "<!DOCTYPE html><html><body><a href='/about/'>x</a><a href='http://list.example/home/'>x</a>"
        f"<a href=\"{A}\">de</a> <A HREF={B}/>us</A><a href='https://c.example/page.html'>x</a>"
        "<a href='http://d.example/a&amp;b/'>x</a><a href='javascript:x/'>y</a>"
    )
    assert parse_mirror_list(page.encode(), "https://list.example/mirrors") == (A, f"{B}/", "http://d.example/a&b/")


def test_fedoras_metalink_gives_the_roots_of_the_tree() -> None:
    url = "http://m.example/fedora/os/repodata/repomd.xml"
    text = (
        "<?xml version='1.0'?><metalink version='3.0' xmlns='http://www.metalinker.org/'><files>"
        "<file name='repomd.xml'>"
        f"<resources><url>{url}</url><url>rsync://m.example/x</url></resources></file></files></metalink>"
    )
    assert parse_mirror_list(text.encode()) == ("http://m.example/fedora/os/",)
    assert parse_mirror_list(b"<metalink>broken") == ()


@pytest.mark.parametrize("text", ["", "no mirrors here", "[1, 2", "[" * 100_000, "{}", "<html></html>", "\x00" * 100])
def test_what_is_no_list_is_empty(text: str) -> None:
    assert parse_mirror_list(text.encode()) == ()


def test_what_is_too_large_is_empty_and_what_is_too_long_is_cut() -> None:
    assert parse_mirror_list(A.encode() + b"\n" * MAX_BYTES) == ()
    watch = Stopwatch()
    many = parse_mirror_list("\n".join(f"http://h{n}.example/" for n in range(100_000)).encode())
    assert len(many) == MAX_BASES
    assert len(mirror_urls("http://o.example/" + "a/" * 60 + "f", many)) >= MAX_BASES
    assert watch.took_s < 10


def test_lists_of_other_projects(testdata: Path) -> None:
    folder = testdata / "mirror_metalinks"
    assert parse_mirror_list((folder / "librepo_fedora/mirrorlists/mirrorlist_01").read_bytes()) == (
        "http://foo.bar/fedora/linux/",
        "ftp://ftp.bar.foo/Fedora/17/",
    )
    stated = json.loads((folder / "libzypp_openSUSE/mirrorlist.json").read_bytes())
    found = parse_mirror_list((folder / "libzypp_openSUSE/mirrorlist.json").read_bytes())
    assert found == tuple(one["url"] for one in sorted(stated, key=lambda one: one["prio"]))
    roots = parse_mirror_list((folder / "librepo_fedora/metalink_good_01").read_bytes())
    assert roots
    assert all(root.endswith("/os/") for root in roots)


@pytest.mark.parametrize(
    ("original", "base", "first"),
    [
        # One folder is shared: the path goes on from there.
        (
            "http://deb.example/debian/pool/x.deb",
            "http://m.example/pub/debian/",
            "http://m.example/pub/debian/pool/x.deb",
        ),
        ("http://deb.example/debian/pool/x.deb?t=1#f", "http://m.example/debian", "http://m.example/debian/pool/x.deb"),
        # The longest run decides, not the first.
        ("http://o.example/os/17/os/x.rpm", "http://m.example/17/os/", "http://m.example/17/os/x.rpm"),
        # None is shared: the whole path.
        ("http://o.example/core/x.db", "http://m.example/archlinux/", "http://m.example/archlinux/core/x.db"),
        ("http://o.example/x.iso", "http://m.example", "http://m.example/x.iso"),
        # The list names the file itself.
        ("http://o.example/d/x.iso", "http://m.example/y/x.iso", "http://m.example/y/x.iso"),
    ],
)
def test_where_a_file_is(original: str, base: str, first: str) -> None:
    assert mirror_urls(original, [base])[0] == first


def test_a_base_of_the_list_that_is_the_beginning_tells_it_for_certain() -> None:
    bases = [
        "http://m.example/pub/debian/",
        "https://u:p@DEB.example/",
        "https://deb.example/linux/debian",
        "http://n.example",
    ]
    assert mirror_urls("http://deb.example/linux/debian/debian/x.deb", bases) == (
        "http://m.example/pub/debian/debian/x.deb",
        "https://u:p@DEB.example/debian/x.deb",
        "http://n.example/debian/x.deb",
    )


def test_each_base_has_a_second_guess() -> None:
    assert mirror_guesses("http://o.example/linux/d/x", ["http://a.example/", "http://b.example/"]) == (
        ("http://a.example/linux/d/x", "http://a.example/d/x"),
        ("http://b.example/linux/d/x", "http://b.example/d/x"),
    )


def test_what_is_the_best_guess_of_one_base_is_no_second_one_of_another() -> None:
    assert mirror_guesses("http://o.example/linux/d/x", ["http://a.example/", "http://a.example/d"]) == (
        ("http://a.example/linux/d/x",),
        ("http://a.example/d/x", "http://a.example/d/linux/d/x"),
    )


@pytest.mark.parametrize(
    "original",
    ["http://o.example", "http://o.example/", "http://o.example/d/", "http://o.example/../x", "http://o.example/%2e%2E/x",
     "http://[x/y", "", "http://o.example/" + "a/" * 100 + "f"],
)  # fmt: skip
def test_what_has_no_name_or_leads_upwards_is_nowhere(original: str) -> None:
    assert mirror_urls(original, ["http://m.example/"]) == ()


def test_the_original_itself_is_no_mirror() -> None:
    assert mirror_urls("http://u:p@o.example/d/x", ["https://o.example/d/", "http://o.example/d"]) == ()


def test_credentials_and_query_of_the_original_go_nowhere_else() -> None:
    found = mirror_urls("http://user:secret@o.example/d/x?token=secret", ["http://m.example/d/"])
    assert found
    assert "secret" not in "".join(found)


@given(st.one_of(st.binary(max_size=200), st.text("htp:/.exam$<a='\"> [{}],#=Server\n", max_size=200).map(str.encode)))
def test_nothing_raises(document: bytes) -> None:
    for text in (
        document,
        b"<html>" + document,
        b"[" + document,
        b"<metalink>" + document,
        b"http://h.example/" + document,
    ):
        bases = parse_mirror_list(text, "http://l.example/")
        for url in mirror_urls("http://o.example/d/x", bases):
            assert url.startswith(("http", "ftp"))
            assert len(url.split()) == 1


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_url_raises(original: str, base: str) -> None:
    mirror_urls(original, [base])
    mirror_urls(f"http://o.example/{original}", [f"http://m.example/{base}", base])
