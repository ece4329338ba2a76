"""Folders that are listed still and are empty all at once: a run with ``delete`` leaves what is below them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.loopback import LoopbackServer
from tests.servers.site import Site
from tests.test_mirroring import fill, run, tree


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        yield Site(server)


def test_a_folder_that_is_listed_as_empty_keeps_its_files_for_one_run(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    before = tree(tmp_path)
    # As where a disk is not mounted: the page of the folder is there, and names nothing.
    site.versions.pop("a.txt")
    site.list_again()
    site.page("sub/", "")
    dry = run(site.url, tmp_path, delete=True, dry_run=True)
    assert (dry.deleted, dry.kept_below) == (1, ("sub",))
    summary = run(site.url, tmp_path, delete=True)
    assert (summary.deleted, summary.kept_because, summary.kept_below) == (1, "", ("sub",))
    before.pop("a.txt")
    assert tree(tmp_path) == before
    # Empty still: it is meant so.
    summary = run(site.url, tmp_path, delete=True)
    assert (summary.deleted, summary.kept_below) == (2, ())
    assert set(tree(tmp_path)) == {"big.bin"}


def test_a_folder_of_empty_folders_alone_is_empty_and_one_with_a_file_further_down_is_not(
    site: Site, tmp_path: Path
) -> None:
    fill(site)
    run(site.url, tmp_path)
    site.page("sub/deep/", "")
    site.page("sub/", site.line("sub/", "deep/"))
    assert run(site.url, tmp_path, delete=True, dry_run=True).kept_below == ("sub",)
    site.list_again()
    site.page("sub/", site.line("sub/", "deep/"))
    gone: list[str] = []
    assert run(site.url, tmp_path, delete=True, on_deleted=gone.append).kept_below == ()
    assert gone == ["sub/b c.txt"]


def test_a_folder_that_could_not_be_read_meanwhile_is_remembered(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    before = tree(tmp_path)
    del site.server.resources["/pub/sub/"]
    assert run(site.url, tmp_path, delete=True).kept_because
    site.page("sub/", "")
    assert run(site.url, tmp_path, delete=True).kept_below == ("sub",)
    assert tree(tmp_path) == before


def test_a_list_that_names_nothing_meanwhile_lets_nothing_be_forgotten(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    before = tree(tmp_path)
    site.page("", "")
    assert run(site.url, tmp_path, delete=True).kept_because
    site.list_again()
    site.page("sub/", "")
    assert run(site.url, tmp_path, delete=True).kept_below == ("sub",)
    assert tree(tmp_path) == before
