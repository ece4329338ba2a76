"""What may be set for the whole queue."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.runs import running
from thunderdl.daemon.jobs import Wish
from thunderdl.errors import UsageError


@pytest.mark.parametrize(
    ("categories", "told"),
    [
        ({"": "elsewhere"}, "one has no name"),
        ({"a\nb": "x"}, "control character"),
        ({"a": "x\x1b[31m"}, "control character"),
        ({"a": "x\x85"}, "control character"),
    ],
)
def test_a_category_has_a_name_that_can_be_shown(tmp_path: Path, categories: dict[str, str], told: str) -> None:
    async def run() -> None:
        async with running(tmp_path) as queue:
            with pytest.raises(UsageError, match=told):
                await queue.change_rules({"categories": categories})
            assert queue.rules.categories == {}
            with pytest.raises(UsageError, match="control character"):
                await queue.add([Wish(urls=("http://127.0.0.1:1/f",), options={"dir": "x\ny"})])

    asyncio.run(run())
