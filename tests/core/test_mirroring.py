from __future__ import annotations

import pytest

from thunderdl.core.mirroring import (
    YOUNG_S,
    Claim,
    Facts,
    Kept,
    Local,
    Verdict,
    after_asking,
    judged,
    lasting_words,
)

HERE = Local(5, 1_700_000_000_123_456_789)
KEPT = Kept(*HERE, digest="sha256=00", etag='"1"', stated="01-May-2024 10:00 5")
TOUCHED = Local(5, HERE.mtime_ns + 1)


@pytest.mark.parametrize(
    ("claim", "local", "kept", "verdict"),
    [
        (Claim(), None, None, Verdict.FETCH),
        (Claim(), None, KEPT, Verdict.FETCH),
        (Claim(6), HERE, KEPT, Verdict.FETCH),
        (Claim(5), HERE, None, Verdict.ASK),
        (Claim(None, "", KEPT.stated), HERE, KEPT, Verdict.UNCHANGED),
        (Claim(None, "", KEPT.stated), TOUCHED, KEPT, Verdict.ASK),
        (Claim(None, "", "01-May-2024 10:00 6"), HERE, KEPT, Verdict.ASK),
        (Claim(None, "", ""), HERE, KEPT._replace(stated=""), Verdict.ASK),
        (Claim(5, "sha256=00"), HERE, KEPT, Verdict.UNCHANGED),
        (Claim(5, "sha256=00"), TOUCHED, KEPT, Verdict.HASH),
        (Claim(5, "sha256=01"), HERE, KEPT, Verdict.HASH),
        (Claim(5, "sha256=00", KEPT.stated), TOUCHED, KEPT, Verdict.HASH),
        (Claim(None, "sha256=00"), HERE, None, Verdict.HASH),
    ],
)
def test_at_first_sight(claim: Claim, local: Local | None, kept: Kept | None, verdict: Verdict) -> None:
    assert judged(claim, local, kept) is verdict


@pytest.mark.parametrize(
    ("facts", "kept", "verdict"),
    [
        (Facts(5, 1_700_000_000.0), None, Verdict.UNCHANGED),
        (Facts(None, 1_700_000_000.0), None, Verdict.UNCHANGED),
        (Facts(6, 1_700_000_000.0), None, Verdict.FETCH),
        (Facts(5, 1_700_000_001.0), KEPT, Verdict.FETCH),
        (Facts(5, 1_699_999_999.0), KEPT, Verdict.FETCH),
        (Facts(5, None), None, Verdict.FETCH),
        (Facts(5, None, '"1"'), None, Verdict.FETCH),
        (Facts(5, None, '"1"'), KEPT, Verdict.UNCHANGED),
        (Facts(5, None, '"2"'), KEPT, Verdict.FETCH),
        (Facts(5, None, ""), KEPT._replace(etag=""), Verdict.FETCH),
        (Facts(5, None, '"1"'), KEPT._replace(mtime_ns=1), Verdict.FETCH),
    ],
)
def test_after_asking(facts: Facts, kept: Kept | None, verdict: Verdict) -> None:
    assert after_asking(facts, HERE, kept) is verdict


def test_words_last_once_the_file_has_settled() -> None:
    assert lasting_words("x", 1000.0, 1000.0 + YOUNG_S) == "x"
    assert lasting_words("x", 1000.0, 999.0 + YOUNG_S) == ""
    assert lasting_words("x", None, 5000.0) == ""
