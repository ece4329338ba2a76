"""Links of the old tools: what is inside, and what is refused without repeating what may be a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.runs import check_sentence
from thunderdl.errors import InvalidUrl
from thunderdl.formats.old_links import (
    MAX_ED2K_SOURCES,
    MAX_NESTING,
    is_ed2k,
    is_wrapped,
    parse_ed2k,
    quoted,
    unwrapped,
)

URL = "http://h.example/a/b.iso"
ROOT = "31d6cfe0d16ae931b73c59d7e0c089c0"


def thunder(inner: str | bytes, frame: tuple[bytes, bytes] = (b"AA", b"ZZ"), scheme: str = "thunder") -> str:
    octets = inner if isinstance(inner, bytes) else inner.encode()
    return f"{scheme}://{base64.b64encode(frame[0] + octets + frame[1]).decode()}"


def flashget(inner: str) -> str:
    return thunder(inner, (b"[FLASHGET]", b"[FLASHGET]"), "flashget")


def qqdl(inner: str) -> str:
    return thunder(inner, (b"", b""), "qqdl")


@pytest.mark.parametrize("wrap", [thunder, flashget, qqdl])
@pytest.mark.parametrize(
    "inner", [URL, URL + "?a=b&c", "ftp://u:p@h/x", "https://例.cn/文件 一.mp4", "magnet:?xt=urn:x"]
)
@pytest.mark.parametrize("tail", ["", "/", "&abc", "&1&2", "&"])
def test_each_scheme(wrap: object, inner: str, tail: str) -> None:
    link = wrap(inner)  # type: ignore[operator]
    for form in (
        link,
        link.rstrip("="),
        link.replace("+", "-").replace("/", "_").replace("_", "/", 2),
        link.replace("=", "%3D"),
    ):
        assert unwrapped(form + tail) == inner
        scheme, _, rest = form.partition("://")
        assert unwrapped(f"{scheme.upper()}://{rest}{tail}") == inner


def test_gbk_where_it_is_no_utf8() -> None:
    inner = "http://h/太极：从零开始.mp4"
    assert unwrapped(thunder(inner.encode("gbk"))) == inner
    assert unwrapped(thunder("http://h/𠀀.mp4".encode("gb18030"))) == "http://h/𠀀.mp4"


def test_what_no_url_may_hold_is_quoted_and_the_rest_stays() -> None:
    assert quoted('http://h/a b"c<d>|%20é?x=[1]') == "http://h/a%20b%22c%3Cd%3E%7C%20é?x=[1]"
    assert quoted(URL) == URL


def test_links_in_links_to_a_bound() -> None:
    link = URL
    for _ in range(MAX_NESTING):
        link = thunder(link)
    assert unwrapped(link) == URL
    with pytest.raises(InvalidUrl, match="packed into each other"):
        unwrapped(thunder(thunder(link)))


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("thunder://", "not Base64"), ("thunder://!!!", "not Base64"), ("thunder://QUFo-ÿ", "not Base64"),
        ("thunder://A", "not Base64"), ("qqdl://=", "not Base64"),
        (thunder(b"\xff\xff\xff"), "neither UTF-8 nor GBK"),
        (thunder(URL, (b"AA", b".Z")), "not between AA and ZZ"), (thunder(URL, (b"", b"")), "not between"),
        (thunder(b"", (b"AA", b"Z")), "not between"),
        (thunder(URL, (b"[FLASHGET]", b""), "flashget"), "not between [FLASHGET]"),
        (thunder(b"", (b"[FLASHGET]", b""), "flashget"), "not between"),
        (thunder("file:///etc/passwd"), "'file:' link"), (thunder("data:text/html,x"), "'data:' link"),
        (thunder("javascript:alert(1)"), "'javascript:' link"), (thunder("plain words"), "no URL"),
        (thunder("http:///x"), "'http:' link"), (thunder(""), "no URL"), (thunder("-o/etc/passwd"), "no URL"),
        (thunder("http://h/a\nhttp://evil/"), "newline"), (thunder("http://h/a\r\n out=x"), "newline"),
        (thunder("http://h/\x1b[2J"), "control"), (thunder(b"http://h/\xc2\x9b2J"), "control"),
    ],
)  # fmt: skip
def test_rubbish_is_refused_in_a_sentence(link: str, told: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        unwrapped(link)
    assert told in check_sentence(caught.value)


@pytest.mark.parametrize("frame", [(b"AA", b"ZZ"), (b"", b"Z")])
def test_no_message_repeats_a_password_or_its_base64(frame: tuple[bytes, bytes]) -> None:
    link = thunder("gopher://alice:opensesame@h/x", frame)
    with pytest.raises(InvalidUrl) as caught:
        unwrapped(link)
    assert "opensesame" not in str(caught.value)
    assert link[20:40] not in str(caught.value)


@given(
    st.sampled_from(["thunder", "flashget", "qqdl"]),
    st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()),
)
def test_any_payload_is_a_link_or_refused(scheme: str, payload: str) -> None:
    try:
        inner = unwrapped(f"{scheme}://{payload}")
    except InvalidUrl:
        return
    assert inner.lower().startswith(
        ("http://", "https://", "ftp://", "ftps://", "ftpes://", "sftp://", "ed2k://", "magnet:")
    )


@pytest.mark.parametrize("inside", ["ftpes://h/x", "sftp://h/x"])
def test_a_link_leads_where_others_may_lead_the_user(inside: str) -> None:
    assert unwrapped(thunder(inside)) == inside


def test_other_links_stay_as_they_are() -> None:
    assert unwrapped(URL) == URL
    assert not is_wrapped("http://thunder://x")
    assert not is_wrapped("thunderbird://x")
    assert is_ed2k("ED2K://|file|")


def test_ed2k() -> None:
    link = parse_ed2k(f"ed2k://|file|My%20Movie%20%E5%A4%AA.avi|733183104|{ROOT.upper()}|/")
    assert link.name == "My Movie 太.avi"
    assert (link.size_bytes, link.root.hex(), link.aich, link.urls) == (733183104, ROOT, None, ())


def test_ed2k_with_everything() -> None:
    link = parse_ed2k(
        f"ed2k://|file|a b|5|{ROOT}|p={ROOT}:{ROOT}|h=EUXLUH4DMYA3CYCZN6EWZ4YBPCBFQ6WX|s=http://h/a b|s=ftp://no|"
        "s=https://i/x,http://h/a b|/|sources,192.0.2.1:4662|/"
    )
    assert link.aich is not None
    assert len(link.aich) == 20
    assert link.urls == ("http://h/a%20b", "https://i/x")


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("ed2k://", "name a file"), ("ed2k://|server|192.0.2.1|4661|/", "name a file"),
        ("ed2k://|file|a|5|/", "name a file"),
        (f"ed2k://|file|a|-5|{ROOT}|/", "size"), (f"ed2k://|file|a|{2**63}|{ROOT}|/", "size"),
        (f"ed2k://|file|a|5 |{ROOT}|/", "size"), (f"ed2k://|file|a||{ROOT}|/", "size"),
        (f"ed2k://|file|a|٥|{ROOT}|/", "size"),
        ("ed2k://|file|a|5|xyz|/", "32 hex"), (f"ed2k://|file|a|5|{ROOT}0|/", "32 hex"),
    ],
)  # fmt: skip
def test_ed2k_rubbish(link: str, told: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        parse_ed2k(link)
    assert told in check_sentence(caught.value)


def test_ed2k_sources_are_bounded() -> None:
    sources = "|".join(f"s=http://h/{number}" for number in range(500))
    assert len(parse_ed2k(f"ed2k://|file|a|5|{ROOT}|{sources}|/").urls) == MAX_ED2K_SOURCES
    assert parse_ed2k(f"ed2k://|file|a|5|{ROOT}|s=http://h/\n out=x|h=short|/").urls == ()


@given(st.text(alphabet=st.characters() | st.sampled_from("|/=%s")))
def test_any_ed2k_text_is_read_or_refused(text: str) -> None:
    try:
        link = parse_ed2k(f"ed2k://|file|{text}")
    except InvalidUrl:
        return
    assert len(link.root) == 16


def test_links_that_others_decode(testdata: Path) -> None:
    """THUNDERDL_TESTDATA/thunder_links: each row decodes to what it says, or is refused where it says so."""
    rows = json.loads((testdata / "thunder_links" / "cases.json").read_text())
    wrong = [row["link"] for row in rows if _read(row["link"]) != row["expected"]]
    assert wrong == []
    assert rows


def _read(link: str) -> str | None:
    try:
        return unwrapped(link)
    except InvalidUrl:
        return None
