"""Content-Disposition as others test it: each header served, one file in the folder, nothing beside it.

Rows on which several implementations agree must give exactly their name. Of the others Chromium's are those of a
browser: what is not as Chromium has it is counted, and must at least be safe.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.engine.runs import content_of, fetch
from tests.engine.test_names import check_safe
from tests.servers.loopback import LoopbackServer, Resource

FALLBACK = "fallback-name.bin"
BODY = b"the body"


class Folders:
    """A folder of its own for each download, with a neighbour that must not change."""

    def __init__(self, root: Path, server: LoopbackServer) -> None:
        self._root, self._server, self._count = root, server, 0

    def name_for(self, header: str | bytes) -> str:
        """The name under which a download with this Content-Disposition was saved, safe in any case."""
        self._count += 1
        folder = self._root / str(self._count) / "in"
        folder.mkdir(parents=True)
        self._server.resources["/" + FALLBACK] = Resource(body=BODY, headers=[("Content-Disposition", header)])
        result = fetch(self._server.url("/" + FALLBACK), folder)
        assert content_of(result) == BODY, header
        assert os.listdir(self._root) == [str(self._count)]
        name = check_safe(folder, ["in"], forbidden="/\\\u202e")
        (folder / name).unlink()
        folder.rmdir()
        folder.parent.rmdir()
        return name


@pytest.fixture
def folders(tmp_path: Path, server: LoopbackServer) -> Folders:
    return Folders(tmp_path, server)


def wire(row: dict[str, object]) -> bytes | None:
    """The header as bytes; None where no header line can hold it."""
    header, coded = row.get("header"), row.get("header_hex")
    if isinstance(header, dict):
        coded = header.get("hex")
    raw = bytes.fromhex(coded) if isinstance(coded, str) else str(header).encode()
    return None if b"\n" in raw or b"\r" in raw or b"\0" in raw else raw


def rows(testdata: Path, name: str) -> Iterator[tuple[dict[str, object], bytes]]:
    for row in json.loads((testdata / "content_disposition" / name).read_text()):
        if (raw := wire(row)) is not None:
            yield row, raw


def test_where_implementations_agree_the_name_is_theirs(testdata: Path, folders: Folders) -> None:
    wrong = {}
    for row, raw in rows(testdata, "cases_consensus.json"):
        found = folders.name_for(raw)
        if found != (row["expected"] or FALLBACK):
            wrong[raw] = (row["expected"], found)
    assert wrong == {}


def test_every_row_is_safe_and_nearly_all_of_chromium_are_as_there(testdata: Path, folders: Folders) -> None:
    count, other = 0, {}
    for row, raw in rows(testdata, "cases_header.json"):
        found = folders.name_for(raw)
        if str(row["source"]).startswith("chromium"):
            count += 1
            if found != (row["expected"] or FALLBACK):
                other[raw] = (row["expected"], found)
    sys.stdout.write(f"{count - len(other)} of {count} as Chromium; otherwise: {other}\n")
    # Those are file names in RFC 2047 inside quotes, in the page's own charset, and with folders.
    assert len(other) <= count * 0.1


def test_names_from_naughty_strings(testdata: Path, folders: Folders) -> None:
    for text in json.loads((testdata / "naughty_strings" / "blns.json").read_text()):
        coded = quote(text, safe="", errors="surrogatepass")
        folders.name_for(f"attachment; filename*=UTF-8''{coded}")
