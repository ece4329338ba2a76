from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.minisign import is_minisign_signature, parse_public_key, parse_signature

NUMBER = bytes(range(8))


def b64(*parts: bytes) -> bytes:
    return base64.b64encode(b"".join(parts))


KEY = b64(b"Ed", NUMBER, bytes(32))
SIGNATURE = b"\n".join(
    (b"untrusted comment: x", b64(b"ED", NUMBER, bytes(64)), b"trusted comment: y z", b64(bytes(64)), b"")
)


def test_what_they_hold() -> None:
    assert parse_public_key(KEY) == parse_public_key(b"untrusted comment: k\r\n" + KEY + b"\r\n\n")
    assert str(parse_public_key(KEY)) == "0706050403020100"
    signature = parse_signature(SIGNATURE)
    assert (signature.number, signature.is_prehashed, signature.comment) == (NUMBER, True, "y z")
    assert signature.commented == bytes(64) + b"y z"
    assert not parse_signature(
        SIGNATURE.replace(b64(b"ED", NUMBER, bytes(64)), b64(b"Ed", NUMBER, bytes(64)))
    ).is_prehashed


@pytest.mark.parametrize(
    "text",
    [
        b"", b"untrusted comment: x", KEY[:-4], KEY + b"\n" + KEY, b64(b"ED", NUMBER, bytes(32)), b"!" * 56,
        b64(b"Ed", NUMBER, bytes(64)), KEY + b" " * 70_000, b"\xff\xfe" + KEY,
    ],
)  # fmt: skip
def test_what_is_no_key(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a minisign public key"):
        parse_public_key(text)


@pytest.mark.parametrize(
    "text",
    [
        b"", KEY, SIGNATURE[:-30], SIGNATURE.replace(b"trusted comment: y", b"comment: y"), SIGNATURE + b"more\n",
        SIGNATURE.replace(b"RUQ", b"AAA"), SIGNATURE.replace(b"A", b"\xc3"),
        b"untrusted comment:\n\ntrusted comment: \n",
    ],
)  # fmt: skip
def test_what_is_no_signature(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a minisign signature"):
        parse_signature(text)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda b: SIGNATURE[:40] + b + SIGNATURE[40:]))
def test_any_bytes(text: bytes) -> None:
    for parse in (parse_public_key, parse_signature):
        with contextlib.suppress(ValueError):
            parse(text)
    is_minisign_signature(text)
