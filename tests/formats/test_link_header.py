"""Link fields as RFC 8288 reads them, and the mirrors that RFC 6249 finds in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.link_header import MAX_LINKS, Link, parse_links
from thunderdl.formats.metalink_http import Description, DuplicateLink, metalink_http
from thunderdl.formats.metalink_model import LOWEST_PRIORITY

URL = "http://o.example/d/file.bin"


def one(value: str) -> Link:
    links = parse_links([value])
    assert len(links) == 1
    return links[0]


def as_reference(link: Link, relation: str | None) -> dict[str, object]:
    reference: dict[str, object] = {"uri": link.target}
    if relation:
        reference["rel"] = relation
    for parameter in link.parameters:
        if parameter.language is not None:
            told = {"language": parameter.language, "encoding": None, "value": parameter.value}
            reference.setdefault(parameter.name, told)
        elif parameter.name != "rel":
            reference.setdefault(parameter.name, parameter.value)
    return reference


def rows(testdata: Path, key: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = json.loads((testdata / "link_header/cases.json").read_text(encoding="utf-8"))
    return [row for row in table if key in row]


def test_references_of_rfc_8288(testdata: Path) -> None:
    table = rows(testdata, "expected_refs")
    assert table
    for row in table:
        links = parse_links(row.get("headers") or [row["header"]])
        references = [as_reference(link, relation) for link in links for relation in link.relations or [None]]
        # The table writes characters beyond the first plane as two escapes.
        expected = json.loads(json.dumps(row["expected_refs"]))
        assert references == expected, row["source"]


def test_mirror_order_of_rfc_6249(testdata: Path) -> None:
    table = rows(testdata, "expected_mirror_order")
    assert table
    for row in table:
        mirrors = metalink_http(row["headers"], URL).mirrors
        found = [(m.url, m.priority, m.is_preferred, m.location or "") for m in mirrors]
        expected = [
            (url if "://" in url else f"http://o.example/d/{url}", *rest) for url, *rest in row["expected_mirror_order"]
        ]
        assert found == expected


def test_several_values_in_a_field_and_several_fields() -> None:
    links = parse_links(["<a>; rel=x , , <b>;rel=y", "", ",<c>"])
    assert [(link.target, link.relations) for link in links] == [("a", ("x",)), ("b", ("y",)), ("c", ())]


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ('<a>; title="x, y; \\"z\\""', "title", 'x, y; "z"'),
        ("<a>; title = b ; x", "title", "b"),
        ("<a>; TITLE=b", "title", "b"),
        ('<a>; title="b"; title="c"', "title", "b"),
        ("<a>; x=1; x=2", "x", "1"),
        ('<a>; x="unclosed', "x", "unclosed"),
        ('<a>; x="unclosed\\', "x", "unclosed"),
        ("<a>;;;x=1;=y", "x", "1"),
        ("<a>; x=", "x", ""),
        ("<a>; x", "x", ""),
        ("<a>; y", "x", None),
        ("<a>;\r\n x=1", "x", "1"),
        ("<a>; x*=UTF-8'de'%c3%a4", "x*", "ä"),
        ("<a>; x*=iso-8859-1''%e4", "x*", "ä"),
        ("<a>; x*=UTF-8''%ff", "x*", None),
        ("<a>; x*=UTF-8''%f", "x*", None),
        ("<a>; x*=idna''a", "x*", None),
        ("<a>; x*=plain", "x*", None),
    ],
)
def test_parameters(value: str, name: str, expected: str | None) -> None:
    assert one(value).get(name) == expected


@pytest.mark.parametrize("value", ["", "a", "<a", "rel=duplicate", ";", "a, <b>", "\x00<a>"])
def test_what_is_no_link(value: str) -> None:
    assert parse_links([value]) == ()


def test_what_follows_rubbish_is_dropped() -> None:
    """Appendix B.2 stops there: where a link begins within rubbish, nobody can tell."""
    assert [link.target for link in parse_links(["<a>; x=1, rubbish <b>", "<c>"])] == ["a", "c"]


def test_relations_are_compared_without_regard_to_case() -> None:
    link = one('<a>; rel="DUPLICATE http://x.example/Y"')
    assert link.relations == ("DUPLICATE", "http://x.example/Y")
    assert link.has_relation("duplicate")
    assert not link.has_relation("describedby")


def test_mirrors_and_descriptions() -> None:
    found = metalink_http(
        [
            "<http://b.example/f>; rel=duplicate; pri=2; geo=gb; depth=1, </mirror/f>; rel=duplicate; pri=1",
            "<http://c.example/f>; rel=duplicate; pref",
            '<f.meta4>; rel=describedby; type="application/metalink4+xml"',
            '<f.torrent>; rel=describedby; type="application/x-bittorrent"; name=f',
            '<f.asc>; rel=describedby; type="application/pgp-signature; x=y"',
            "<http://d.example/f>; rel=describedby, <http://e.example/f>; rel=alternate",
        ],
        URL,
    )
    assert found.mirrors == (
        DuplicateLink(url="http://c.example/f", is_preferred=True),
        DuplicateLink(url="http://o.example/mirror/f", priority=1),
        DuplicateLink(url="http://b.example/f", priority=2, location="gb"),
    )
    assert found.metalinks == ("http://o.example/d/f.meta4",)
    assert found.torrents == ("http://o.example/d/f.torrent",)
    assert found.signatures == ("http://o.example/d/f.asc",)
    assert found.descriptions[-1] == Description(url="http://d.example/f", mediatype="")


@pytest.mark.parametrize(
    ("anchor", "counts"),
    [
        ("http://o.example/d/file.bin", True),
        ("", True),
        ("file.bin", True),
        ("#part", True),
        ("/other", False),
        ("http://evil.example/d/file.bin", False),
        ("http://[", False),
    ],
)
def test_a_link_with_an_anchor_elsewhere_is_ignored(anchor: str, counts: bool) -> None:
    links = [
        f'<http://b.example/f>; rel=duplicate; anchor="{anchor}"',
        f'<f.meta4>; rel=describedby; anchor="{anchor}"',
    ]
    found = metalink_http(links, URL)
    assert bool(found.mirrors) is bool(found.descriptions) is counts


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "data:,x", "javascript:x", "", "file.bin", "#x", "http://", "http://a\nb/", URL]
)
def test_what_is_no_mirror(target: str) -> None:
    assert metalink_http([f"<{target}>; rel=duplicate"], URL).mirrors == ()


@pytest.mark.parametrize("stated", ["pri=-1", "pri=0", "pri=x", "pri=10000000", "pri", "pri=²"])
def test_a_priority_that_is_none_is_the_lowest(stated: str) -> None:
    assert metalink_http([f"<http://b.example/f>; rel=duplicate; {stated}"], URL).mirrors[0].priority == LOWEST_PRIORITY


def test_a_mirror_named_twice_counts_once() -> None:
    found = metalink_http(["<http://b.example/f>; rel=duplicate; pri=1, <http://b.example/f>; rel=duplicate"], URL)
    assert [mirror.priority for mirror in found.mirrors] == [1]


def test_a_long_hostile_field_is_read_in_linear_time() -> None:
    for unit in ("<", "<>", "<>;", '<>;a="', "<>;a=\\", "<>,", ",", " ", "<a>;x;", '<>;a="\\', "<>;a*=utf-8''%"):
        assert len(parse_links([unit * 100_000])) <= MAX_LINKS
    assert len(parse_links(["<a>"] * 5000)) == MAX_LINKS


@given(st.lists(st.one_of(st.text(max_size=40), st.text("<>;,=\"\\ a*'%\r\n\t", max_size=40)), max_size=4))
def test_nothing_raises(values: list[str]) -> None:
    for link in parse_links(values):
        assert ">" not in link.target
    for prefix in ("", "<http://b.example/f>; rel=duplicate;", "<"):
        for mirror in metalink_http([prefix + value for value in values], URL).mirrors:
            assert mirror.url.isprintable()


tokens = st.text("abcxyz", min_size=1, max_size=5)
quotable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(st.lists(st.tuples(tokens, st.lists(st.tuples(tokens, quotable), max_size=3)), min_size=1, max_size=4))
def test_what_is_written_well_is_read_back(links: list[tuple[str, list[tuple[str, str]]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(f"<{target}>" + "".join(f"; {n}={quoted(v)}" for n, v in given) for target, given in links)
    assert [(link.target, [(p.name, p.value) for p in link.parameters]) for link in parse_links([value])] == links
