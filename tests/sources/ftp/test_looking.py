"""What is looked for and is not there costs no login, and what one connection has learnt serves the next."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import content_of, failed, fetch
from tests.servers.fake_ftp import FakeFtp
from thunderdl.client import Client
from thunderdl.errors import BadResponse, Cancelled, NotFound
from thunderdl.options import Options

CONTENT = random.Random(4).randbytes(3 * 1024 * 1024)
TELLS_FACTS = b"211-I can\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 that"


@pytest.fixture
def ftp() -> Iterator[FakeFtp]:
    with FakeFtp({"f": CONTENT}) as server:
        yield server


def test_a_connection_outlives_what_is_not_there(ftp: FakeFtp) -> None:
    async def ask() -> int | None:
        async with Client(Options(retries=0, timeout=5.0)) as client:
            for _ in range(3):
                with pytest.raises(NotFound):
                    await client.info(ftp.url("gone"))
            return (await client.info(ftp.url("f"))).size_bytes

    assert asyncio.run(ask()) == len(CONTENT)
    assert ftp.count("USER") == 1


def test_no_data_connection_is_made_for_what_is_not_there(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["FEAT"] = TELLS_FACTS
    failed(fetch(ftp.url("gone"), tmp_path), NotFound, 3, "550")
    assert ftp.count("EPSV") + ftp.count("RETR") == 0


def test_a_server_that_tells_no_facts_is_asked_for_the_file(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies |= {"SIZE": b"550 no", "MDTM": b"550 no"}
    assert content_of(fetch(ftp.url("f"), tmp_path)) == CONTENT


def test_a_folder_is_told_from_what_is_not_there(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies |= {"FEAT": TELLS_FACTS, "CWD": b"250 in"}
    failed(fetch(ftp.url("folder"), tmp_path), BadResponse, 6, "it is a folder")


def test_what_a_server_can_do_is_asked_once(ftp: FakeFtp) -> None:
    ftp.replies["FEAT"] = TELLS_FACTS

    async def log_in_twice() -> None:
        async with Client(Options(timeout=5.0)) as client:
            access = client.session.protocol("ftp")
            assert access is not None
            endpoint = access.address(ftp.url("f")).endpoint
            for _ in range(2):
                (await access.connect(endpoint, 5.0)).close(Cancelled())

    asyncio.run(log_in_twice())
    assert (ftp.count("USER"), ftp.count("FEAT")) == (2, 1)
