from __future__ import annotations

import time
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.index_pages import parse_html, parse_json
from thunderdl.formats.listings import MAX_DEPTH, Page, Place
from thunderdl.storage.paths import safe_name

BASE = "http://user:pw@Example.org:80/pub/a%20b/"


def place(name: str = "") -> Place:
    return Place(BASE + "?C=N", name, safe_name)


def html(text: str) -> Page:
    return parse_html(text, place())


NGINX = """<html><head><title>Index of /x/</title></head><body><h1>Index of /x/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                      01-May-2024 10:00                   -
<a href="file.bin">file.bin</a>                                  01-May-2024 10:00                1234
<a href="a%20b.txt">a b.txt</a>                                  01-May-2024 10:01                  7K
</pre><hr></body></html>"""
APACHE = """<table><tr><th valign="top"><img src="/icons/blank.gif"></th><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="/pub/">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td><a href="sub/">sub/</a></td><td align="right">2024-05-01 10:00  </td><td align="right">  - </td></tr>
<tr><td><A HREF='f&amp;g.bin'>f&amp;g</A></td><td align="right">2024-05-01 10:00  </td><td align="right">1.2M</td></tr>
</table>"""


def test_nginx() -> None:
    page = html(NGINX)
    assert [(file.name, file.stated) for file in page.files] == [
        ("file.bin", "01-May-2024 10:00 1234"), ("a b.txt", "01-May-2024 10:01 7K"),
    ]  # fmt: skip
    assert [(folder.name, folder.url) for folder in page.folders] == [("sub", BASE + "sub/")]
    assert page.files[1].url == BASE + "a%20b.txt"
    assert (page.refused, page.renamed, page.is_cut) == (0, 0, False)


def test_apache() -> None:
    page = html(APACHE)
    assert [(file.name, file.stated) for file in page.files] == [("f&g.bin", "2024-05-01 10:00 1.2M")]
    assert [folder.name for folder in page.folders] == ["sub"]


# As mod_dirlisting of 1.4 draws it, which has no line ends within a row.
LIGHTTPD = """<table summary="Directory Listing" cellpadding="0" cellspacing="0"><tbody>
<tr class="d"><td class="n"><a href="../">..</a>/</td><td class="m">&nbsp;</td>
<td class="s">- &nbsp;</td><td class="t">Directory</td></tr>
<tr class="d"><td class="n"><a href="sub/">sub</a>/</td><td class="m">2024-May-01 10:00:00</td>
<td class="s">- &nbsp;</td><td class="t">Directory</td></tr>
<tr><td class="n"><a href="f.bin">f.bin</a></td><td class="m">2024-Jan-05 10:00:07</td>
<td class="s">1.2K</td><td class="t">application/octet-stream</td></tr>
</tbody></table>"""


def test_lighttpd() -> None:
    page = html(LIGHTTPD.replace("</td>\n", "</td>"))
    assert [(file.name, file.stated) for file in page.files] == [("f.bin", "2024-Jan-05 10:00:07 1.2K")]
    assert [(folder.name, folder.stated) for folder in page.folders] == [("sub", "2024-May-01 10:00:00")]


IIS = (
    '<pre><A HREF="/pub/">[To Parent Directory]</A><br><br> 01-May-2024 10:00         7 <A HREF="/pub/a%20b/one.bin">'
    'one.bin</A><br> 02-May-2024 11:00         9 <A HREF="/pub/a%20b/two.bin">two.bin</A><br></pre>'
)


@pytest.mark.parametrize(
    "text",
    [
        IIS,
        '<pre>2024-05-01 10:00 7 <a href="one.bin">1</a>\n2024-05-02 11:00 9 <a href="two.bin">2</a>\n</pre>',
        "<table><tr><td>2024-05-01 10:00</td><td><a href='one.bin'>1</a></td></tr>\n"
        "<tr><td>2024-05-02 11:00</td><td><a href='two.bin'>2</a></td></tr></table>",
        "<ul><li>2024-05-01 10:00 <a href='one.bin'>1</a><li>2024-05-02 11:00 <a href='two.bin'>2</a></ul>",
    ],
)
def test_a_date_before_a_link_is_never_that_of_the_file_above(text: str) -> None:
    assert [(file.name, file.stated) for file in html(text).files] == [("one.bin", ""), ("two.bin", "")]


def test_a_row_over_several_lines_keeps_its_date() -> None:
    page = html("<table><tr>\n<td><a href='one.bin'><p>1</p></a></td>\n<td>2024-05-01 10:00</td>\n</tr></table>")
    assert [file.stated for file in page.files] == ["2024-05-01 10:00"]


def test_json_of_nginx() -> None:
    rows = [
        {"name": "sub", "type": "directory", "mtime": "Wed, 01 May 2024 10:00:00 GMT"},
        {"name": "a?b#c%41.txt", "type": "file", "mtime": "Wed, 01 May 2024 10:00:00 GMT", "size": 5},
        {"name": "../up", "type": "file"}, {"name": "..", "type": "directory"}, {"name": 3, "type": "file"},
        {"name": "dev", "type": "other"}, {"name": "a/b", "type": "file"},
    ]  # fmt: skip
    page = parse_json(rows, place())
    assert page is not None
    assert [(file.name, file.url) for file in page.files] == [("a?b#c%41.txt", BASE + "a%3Fb%23c%2541.txt")]
    assert page.files[0].stated == '["Wed, 01 May 2024 10:00:00 GMT", 5]'
    assert [folder.name for folder in page.folders] == ["sub"]
    assert page.refused == 5
    assert parse_json([{"name": "x", "size": 1}], place()) is None
    assert parse_json({"type": "file"}, place()) is None


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("x.bin", "x.bin"),
        ("./x.bin", "x.bin"),
        (" x.bin\n", "x.bin"),
        ("sub/x.bin", "sub/x.bin"),
        ("x.bin#top", "x.bin"),
        ("/pub/a%20b/x.bin", "x.bin"),
        ("/pub/a b/x.bin", "x.bin"),
        ("../a%20b/x.bin", "x.bin"),
        ("//example.org/pub/a%20b/x.bin", "x.bin"),
        ("http://EXAMPLE.org/pub/a%20b/x.bin", "x.bin"),
        ("%78.bin", "x.bin"),
        ("%e4.bin", "ä.bin"),
        ("x:y.bin", None),
        ("https://example.org/pub/a%20b/x.bin", None),
        ("http://example.org:81/pub/a%20b/x.bin", None),
        ("http://example.org.evil/pub/a%20b/x.bin", None),
        ("http://evil@example.com/pub/a%20b/x.bin", None),
        ("/pub/a%20bc/x.bin", None),
        ("/pub/a%20b", None),
        ("../x.bin", None),
        ("sub/../../x.bin", None),
        ("x.bin?dl=1", None),
        ("javascript:x", None),
        ("http://[::", None),
        ("x" * 9000, None),
    ],
)
def test_what_a_link_names(link: str, name: str | None) -> None:
    page = html(f'<a href="{link}">x</a>')
    assert [file.name for file in page.files] == ([name] if name else [])
    assert page.refused == 0


@pytest.mark.parametrize(
    "link", ["%2e%2e", "..%2fx", "a%5cb", "a%00b", "%1b[2J", "x.part", "x.part.journal", "a%0d%0a"]
)
def test_what_is_no_name_is_counted(link: str) -> None:
    page = html(f'<a href="{link}">x</a>')
    assert (page.files, page.folders, page.refused) == ([], [], 1)


def test_a_name_too_deep_or_too_long_cuts_the_page() -> None:
    assert html(f'<a href="{"d/" * MAX_DEPTH}x">x</a>').is_cut
    assert html(f'<a href="{"y" * 200 + "/"}{("z" * 230 + "/") * 13}x">x</a>').is_cut
    below = parse_html('<a href="x">x</a>', place("/".join("d" * MAX_DEPTH)))
    assert below.is_cut
    assert not below.files


@pytest.mark.parametrize(
    "unit", ["<", "<a ", "<!", "<!--", "<![", "<?", "&", "&#", "</", '<a href="', "<script>", "<a href='x'>", "<a/"]
)
def test_a_page_of_rubbish_costs_little(unit: str) -> None:
    """html.parser alone takes minutes for some of these (CVE-2025-6069)."""
    began = time.process_time()
    html(unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 5


def test_a_repeated_link_is_one() -> None:
    assert len(html('<a href="x">i</a><a href="x">x</a>' * 5).files) == 1


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["../", "%2e", "/", "a", "%2f", "\\", ":", "?", "#", "//"])).map("".join)
)
def test_nothing_leads_out(link: str) -> None:
    page = Page()
    place("root").add_link(link, "", page)
    files, folders = [(each.name, each.url) for each in page.files], [(each.name, each.url) for each in page.folders]
    for name, url in files + folders:
        assert url.startswith(BASE)
        segments = [unquote(part) for part in urlsplit(url).path.split("/")[3:]]
        assert not {".", ".."} & set(segments)
        parts = name.split("/")
        assert parts[0] == "root"
        assert all(part == safe_name(part) for part in parts)


@given(st.text(alphabet='<>a/ href="x&#;!-[]?', max_size=500))
def test_no_page_raises(text: str) -> None:
    html(text)


def _deeper(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["name", "type", "mtime", "size"])
    return st.lists(inner) | st.dictionaries(keys, inner | st.sampled_from(["file", "directory"]))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), _deeper, max_leaves=20))
def test_no_json_raises(document: object) -> None:
    parse_json(document, place())
