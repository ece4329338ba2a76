"""Runs that find no list: the folder is as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.loopback import LoopbackServer
from tests.servers.site import Site
from tests.test_mirroring import fill, run
from thunderdl.errors import NotFound
from thunderdl.storage.mirror_state import STATE_NAME


@pytest.fixture
def site() -> Iterator[Site]:
    with LoopbackServer() as server:
        yield Site(server)


@pytest.mark.parametrize("there", [(), ("m",), ("m", "m/deep"), ("m", "m/deep", "m/deep/mine")])
def test_a_run_that_comes_to_no_list_leaves_nothing(site: Site, tmp_path: Path, there: tuple[str, ...]) -> None:
    """It left the folder, and an empty file in it."""
    for name in there:
        (tmp_path / name).mkdir()
    with pytest.raises(NotFound):
        run(f"{site.url}none/", tmp_path / "m" / "deep")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == list(there)


def test_a_run_that_comes_to_no_list_forgets_nothing(site: Site, tmp_path: Path) -> None:
    fill(site)
    run(site.url, tmp_path)
    before = (tmp_path / STATE_NAME).read_bytes()
    with pytest.raises(NotFound):
        run(f"{site.url}none/", tmp_path)
    assert (tmp_path / STATE_NAME).read_bytes() == before
