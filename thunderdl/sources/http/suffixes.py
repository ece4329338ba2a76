"""Under which names anybody may register: the public suffix list, as of the library that brings it."""

from __future__ import annotations

import functools
from typing import Protocol, cast


class _List(Protocol):
    def is_public(self, domain: str) -> bool: ...
    def privatesuffix(self, domain: str) -> str | None: ...


@functools.cache
def _suffixes() -> _List:
    # Loaded when first asked (40 ms): most downloads meet no cookie for more than one host.
    from publicsuffixlist import PublicSuffixList

    return cast(_List, PublicSuffixList())


def is_public_suffix(domain: str) -> bool:
    """Whether names directly under ``domain`` belong to different people: ``com``, ``co.uk``, ``github.io``."""
    return _suffixes().is_public(domain.lower())


def registered_domain(host: str) -> str:
    """The part of ``host`` that somebody registered; the host itself where there is none."""
    return _suffixes().privatesuffix(host) or host
