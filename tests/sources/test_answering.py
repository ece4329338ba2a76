from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.sources.answering import http_date


@given(st.integers(0, 4102444800))
def test_dates_are_as_the_web_writes_them(seconds: int) -> None:
    assert http_date(seconds) == formatdate(seconds, usegmt=True)
