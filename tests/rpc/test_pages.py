"""The files of the page: those that were there at the start, and no others (bad-inputs R5)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.rpc.serving import serving
from thunderdl.rpc.pages import pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    (web / "js").mkdir(parents=True)
    (web / "index.html").write_text('<script src="js/main.js"></script><link href="css/a.css">')
    (web / "js" / "main.js").write_text("import './other.js'")
    (web / "js" / "main.py").write_text("secret")
    (web / "notes.txt").write_text("secret")
    (web / "js" / "link.js").symlink_to("/etc/passwd")
    return web


def test_only_files_of_known_kinds_and_no_links(folder: Path) -> None:
    found = pages(str(folder))
    fixed = next(path for path in found if path.startswith("/static/"))
    assert set(found) == {"/", "/index.html", "/js/main.js", fixed}
    assert re.fullmatch(r"/static/[0-9a-f]{16}/js/main\.js", fixed)
    assert found[fixed].type == b"text/javascript; charset=utf-8"


def test_the_index_names_what_never_changes(folder: Path) -> None:
    before = pages(str(folder))
    assert b'src="static/' in before["/"].body
    (folder / "js" / "main.js").write_text("other")
    assert not {path for path in pages(str(folder)) if path.startswith("/static/")} & set(before)
    assert pages(str(folder / "absent")) == {}


def test_what_a_browser_has_is_not_sent_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as served:
            first = await served.stranger.get("/")
            assert first.status_code == 200
            assert first.headers["cache-control"] == "no-cache"
            again = await served.stranger.get("/", headers={"if-none-match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            script = re.search(r'src="(static/[0-9a-f]+/js/[a-z]+\.js)"', first.text)
            assert script is not None
            answer = await served.stranger.get(f"/{script[1]}")
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-type"].startswith("text/javascript")
            assert (await served.stranger.head("/")).status_code == 200

    asyncio.run(run())
