from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.trust import Version
from thunderdl.sources.answering import Facts, PlainRequest, answer, http_date
from thunderdl.sources.http.bucket import Meter, SharedLimit
from thunderdl.sources.http.head import Body, Expectation, judge
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import DEFAULT_PORTS, parse_url

URL = "sftp://example.invalid/f"


@given(st.integers(0, 4102444800))
def test_dates_are_as_the_web_writes_them(seconds: int) -> None:
    assert http_date(seconds) == formatdate(seconds, usegmt=True)


def test_what_was_lowered_to_nothing_meanwhile_is_of_the_same_version() -> None:
    request = PlainRequest(parse_url(URL, None, DEFAULT_PORTS))
    meter = Meter(SharedLimit(None), 1.0)
    transfer = Transfer(request=request.range(5, 9), start=5, end=9, notify=print, meter=meter)
    transfer.end = 5
    head = answer(Facts(size_bytes=10), transfer)
    assert judge(head, 5, 9, Expectation(url=URL, version=Version(size=10))) == Body(5, 1, False)
