from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.svg import Picture, escaped, number, path

SVG = "{http://www.w3.org/2000/svg}"


@given(st.text(), st.text())
def test_any_text_makes_well_formed_xml(title: str, text: str) -> None:
    picture = Picture(100, 50, title=title, style=".a{fill:red}")
    picture.text("a", 1, 2, text, hint=title)
    picture.box("a", 0, 0, 5, 5, hint=text)
    picture.shape("path", "a", hint=text, d=text)
    root = ElementTree.fromstring(str(picture))
    assert [each.tag.removeprefix(SVG) for each in root] == ["title", "style", "defs", "rect", "text", "rect", "path"]
    shown = root.find(f"{SVG}text")
    assert shown is not None
    assert len("".join(shown.itertext()).replace("\r", "\n")) == len(title.replace("\r", "\n") + text)


def test_markup_is_shown_and_not_obeyed() -> None:
    picture = Picture(1, 1, title="</title><script>alert(1)</script>", style="")
    picture.text("a", 0, 0, '"><script>&amp;\x1b')
    assert "<script" not in str(picture)
    assert escaped('<&">\x00\ufffe') == "&lt;&amp;&quot;&gt;\ufffd\ufffd"


def test_numbers_are_short() -> None:
    assert [number(value) for value in (0, 1, 1.04, 1.06, -0.5, 1234.56)] == ["0", "1", "1", "1.1", "-0.5", "1234.6"]
    assert number(12) == "12"


def test_points_that_lie_on_each_other_are_joined() -> None:
    assert path([(0, 0), (0.01, 0.02), (5, 5), (5, 5.01)]) == "M0 0L5 5"
    assert path([(0, 0), (1, 1)], closed=True) == "M0 0L1 1Z"
