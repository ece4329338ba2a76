"""Stated ends of signed links."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.expiry import stated_expiry

NEW_YEAR = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=300&X-Amz-Signature=x", NEW_YEAR + 300),
        ("x-amz-expires=60&x-amz-date=20260101T000000Z", NEW_YEAR + 60),
        ("X-Goog-Date=20260101T000000Z&X-Goog-Expires=900", NEW_YEAR + 900),
        ("sv=2024&se=2026-01-01T00%3A00%3A00Z&sig=abc", NEW_YEAR),
        ("se=2026-01-01&sig=abc", NEW_YEAR),
        ("se=2026-01-01T00:00:00Z", None),
        (f"Expires={NEW_YEAR:.0f}&Signature=x&Key-Pair-Id=y", NEW_YEAR),
        (f"AWSAccessKeyId=a&Expires={NEW_YEAR:.0f}&Signature=x", NEW_YEAR),
        (f"exp={NEW_YEAR:.0f}", NEW_YEAR),
        (f"expires={NEW_YEAR * 1000:.0f}", NEW_YEAR),
        (f"hdnts=st=1~exp={NEW_YEAR:.0f}~acl=/*~hmac=x", NEW_YEAR),
        ("X-Amz-Date=rubbish&X-Amz-Expires=300", None),
        ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=-300", None),
        ("X-Amz-Date=20260101T000000Z", None),
        ("Expires=5", None),
        ("exp=99999999999999", None),
        ("exp=never", None),
        ("e=mail", None),
        ("", None),
    ],
)
def test_stated(query: str, expected: float | None) -> None:
    assert stated_expiry(f"https://h/f?{query}") == expected


@given(st.text(max_size=100))
def test_any_url(text: str) -> None:
    stated_expiry(text)
    stated_expiry(f"https://h/?se={text}&sig=1")
    stated_expiry(f"https://h/?X-Amz-Date={text}&X-Amz-Expires={text}")
