from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.inward import is_inward, must_stay_outside

INWARD = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "::ffff:1.1.1.1",
    "64:ff9b::101:101", "2002:101:101::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INWARD)
def test_inward(address: str) -> None:
    assert is_inward(address)


@pytest.mark.parametrize("address", [*OUTSIDE, "", "example.org", "localhost"])
def test_outside_or_no_address(address: str) -> None:
    assert not is_inward(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_in_each_of_its_forms(address: object) -> None:
    number = int(address)  # type: ignore[call-overload]
    mapped, translated = f"::ffff:{address}", f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"
    assert is_inward(str(address)) == is_inward(mapped) == is_inward(translated)


@pytest.mark.parametrize(
    ("inside", "query", "outside"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_who_may_name_what(*, inside: bool, query: bool, outside: bool) -> None:
    assert must_stay_outside(told_from_inside=inside, has_query=query) == outside
