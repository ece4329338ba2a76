from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import InvalidUrl, printable
from thunderdl.formats.targets import checked


@pytest.mark.parametrize(
    "url",
    [
        "http://h/x",
        "HTTPS://h:8/x?y=z#f",
        "http://[::1]:80/",
        "http://u:p@[::1]",
        "http://h/[",
        "http://h?[",
        "http://u:p@h/%0a",
        "https://пример.рф/ф",
    ],
)
def test_urls_stay_as_typed(url: str) -> None:
    assert checked(url) == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "empty"),
        ("example.com/x", "write 'https://example.com/x'"),
        ("localhost:8000/x", "write 'https://localhost:8000/x'"),
        ("http://h/a\nhttp://evil/b", "newline"),
        ("http://h/a\rb", "newline or another control"),
        ("http://h/a\x9bb", "control"),
        ("http://h/a b", "a space (write %20)"),
        ("http://h/\udcff", "not UTF-8"),
        ("gopher://h/x", "'gopher' is not supported"),
        ("ftp:///x", "names no host"),
        ("-o", "must begin with https://, http://, ftp://, sftp:// or magnet:?"),
        ("http:/x", "names no host"),
        ("http:///x", "names no host"),
        ("http://h:99999/", "no number from 0 to 65535"),
        ("http://u:p@[::1]:70000/", "no number from 0 to 65535"),
        ("http://[::1/", "no IPv6 address in brackets"),
        ("ftp://::1]:21/x", "no IPv6 address in brackets"),
        ("http://u:p@[zz]/x", "no IPv6 address in brackets"),
        ("http://h/" + "x" * 70_000, "longer than"),
    ],
)
def test_what_is_no_url_is_refused_with_advice(url: str, told: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        checked(url)
    assert told in str(caught.value)
    assert str(caught.value) == printable(str(caught.value))
    assert len(str(caught.value)) < 700


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        assert checked(text) == text
    except InvalidUrl:
        return
    assert text.lower().startswith(("http://", "https://"))
