"""Whose word counts for how much: the levels of trust as pure rules."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from thunderdl.engine.finding import _is_authentic
from thunderdl.engine.offers import Offer, Proof, enriched
from thunderdl.formats.links import is_unaltered, taken_apart
from thunderdl.model import Digest, PieceHashes
from thunderdl.options import Options

STRONG, WEAK = Digest("sha256", bytes(32)), Digest("md5", bytes(16))
PIECES = PieceHashes(algorithm="sha256", piece_length=65536, digests=(bytes(32),))


def after(offer: Offer, options: Options) -> bool:
    """Whether strangers may bring it once ``offer`` was heard."""
    now = enriched(options, offer, [])
    return Proof().after(options, now, offer).lets_strangers_bring(now)


@pytest.mark.parametrize(
    ("options", "may"),
    [
        (Options(), False),
        (Options(checksum=STRONG), True),
        (Options(checksum=WEAK), False),
        (Options(piece_hashes=PIECES), True),
        (Options(checksum=WEAK, piece_hashes=PIECES), True),
    ],
)
def test_what_the_user_gave(options: Options, may: bool) -> None:
    assert Proof().lets_strangers_bring(options) is may


@pytest.mark.parametrize("is_authentic", [True, False])
def test_a_strong_digest_counts_where_nobody_on_the_way_can_have_written_it(is_authentic: bool) -> None:
    assert after(Offer(told_by="x", checksum=STRONG, is_authentic=is_authentic), Options()) is is_authentic
    assert after(Offer(told_by="x", piece_hashes=PIECES, is_authentic=is_authentic), Options()) is is_authentic
    assert not after(Offer(told_by="x", checksum=WEAK, is_authentic=is_authentic), Options())


def test_what_others_say_takes_nothing_from_what_the_user_gave() -> None:
    told = Offer(told_by="x", checksum=STRONG, piece_hashes=PIECES)
    assert after(told, Options(checksum=STRONG))
    assert not after(told, Options(checksum=WEAK))


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://example.org/f", True),
        ("HTTPS://example.org/f", True),
        ("http://example.org/f", False),
        ("ftp://example.org/f", False),
        ("ftps://example.org/f", True),
        ("sftp://example.org/f", True),
        ("http://127.0.0.1:80/f", True),
        ("http://u:p@127.9.9.9/f", True),
        ("http://localhost/f", True),
        ("http://[::1]:8080/f", True),
        ("http://127.0.0.1.example.org/f", False),
        ("http://127.0.0.1@example.org/f", False),
        ("http://localhost.example.org/f", False),
        ("http://127.0.0.1\\@example.org/f", False),
        ("http://example.org/127.0.0.1", False),
        ("http://example.org?@127.0.0.1/f", False),
        ("http://example.org#@127.0.0.1/f", False),
        ("http://127.0.0.1?@example.org/f", True),
        ("", False),
    ],
)
def test_where_nobody_on_the_way_can_change_anything(url: str, is_safe: bool) -> None:
    assert is_unaltered(url) is is_safe


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("ftp://h/a?b/c", ("h", "/a?b/c")),
        ("ftp://h?a@127.0.0.1/b", ("h", "/?a@127.0.0.1/b")),
        ("file://?a/b", ("", "/?a/b")),
        ("file:/a?b#c", ("", "/a?b")),
        ("ftp://h", ("h", "")),
    ],
)
def test_the_host_is_the_one_that_a_connection_goes_to(url: str, parts: tuple[str, str]) -> None:
    assert taken_apart(url) == parts
    assert parts[0] == urlsplit(url).netloc


def test_one_plain_hop_spoils_it_and_so_does_a_certificate_that_nobody_checked() -> None:
    assert _is_authentic(False, "https://a/f", "https://b/f")
    assert not _is_authentic(False, "http://a/f", "https://b/f")
    assert not _is_authentic(False, "https://a/f", "http://b/f")
    assert not _is_authentic(True, "https://a/f")
    assert _is_authentic(True, "http://127.0.0.1/f")
