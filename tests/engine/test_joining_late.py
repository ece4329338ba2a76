"""A mirror that answers when all is there: while the file gets its name."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from thunderdl.core.trust import Version
from thunderdl.engine.candidates import Candidate
from thunderdl.engine.driver import Driver
from thunderdl.engine.opening import Opening
from thunderdl.options import Options
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import build_request, parse_url

URL = "http://h/f"


@pytest.mark.parametrize("while_it_is_compared", [False, True])
def test_its_slot_is_given_back(while_it_is_compared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # A lane of it held the slot of its host for as long as the session lasted: a daemon ran out of them.
    freed: list[object] = []
    request = build_request(parse_url(URL), [])
    head = ResponseHead(status=206, reason=b"", http_version="1.1", fields=[], first={}, keep_alive=True)

    def opening() -> Opening:
        transfer = Transfer(request=b"", start=0, end=1, notify=lambda _: None, meter=cast(Any, None))
        return Opening(URL, request, head, transfer, None, URL)

    async def ask(*_: object) -> Opening:
        return opening()

    driver = Driver.__new__(Driver)
    driver._session = cast(Any, SimpleNamespace(pool=SimpleNamespace(free_slot=freed.append)))
    driver._candidates = cast(Any, SimpleNamespace(ask=ask))
    driver._stopped, driver._version, driver._size = False, Version(), 1
    driver.lanes = cast(Any, SimpleNamespace(close_all=lambda: None))
    admitted: list[object] = []

    async def agrees(_: object) -> bool:
        driver.close()
        return True

    monkeypatch.setattr(driver, "_agrees", agrees)
    monkeypatch.setattr(driver, "_why_refused", lambda *_: "")
    monkeypatch.setattr(driver, "_is_doubtful", lambda _: while_it_is_compared)
    monkeypatch.setattr(driver, "_admit", lambda *given: admitted.append(given))
    candidate = Candidate(2, URL, Options(), opening=opening())
    if not while_it_is_compared:
        driver.close()
    asyncio.run(driver._judge(candidate))
    assert admitted == []
    assert candidate.opening is None
    assert len(freed) == 1 + while_it_is_compared
