"""Trees of real servers: the index pages of nginx, Apache and Python, as they are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers.programs import need
from tests.servers.real import RealServer, apache, nginx, python_http_server
from tests.servers.site import OLD_S
from tests.test_mirroring import run, told, tree

FILES = {
    "a.txt": b"one", "b c&d;+=%25#?.txt": b"two", "sub/deep/é ü.txt": b"", "sub/big.bin": bytes(range(256)) * 4000,
    "sub/'quoted' \"x\" <b>.txt": b"three",
}  # fmt: skip
APACHE = """
LoadModule autoindex_module /usr/lib/apache2/modules/mod_autoindex.so
<Directory />
Options +Indexes
</Directory>
IndexOptions {}
"""
SERVERS: dict[str, Callable[[], AbstractContextManager[RealServer]]] = {
    "nginx": lambda: nginx(directives="autoindex on;"),
    "nginx rounded": lambda: nginx(directives="autoindex on; autoindex_exact_size off; autoindex_localtime on;"),
    "nginx json": lambda: nginx(directives="autoindex on; autoindex_format json;"),
    "apache": lambda: apache(directives=APACHE.format("FancyIndexing NameWidth=20")),
    "apache table": lambda: apache(directives=APACHE.format("FancyIndexing HTMLTable")),
    "apache plain": lambda: apache(directives=APACHE.format("None")),
    "python": python_http_server,
}


@pytest.fixture(params=list(SERVERS))
def served(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    with SERVERS[request.param]() as server:
        for name, body in FILES.items():
            put(server, name, body)
        yield server


def put(server: RealServer, name: str, body: bytes, *, hours: int = 0) -> None:
    path = server.folder / "pub" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, (OLD_S + 3600 * hours, OLD_S + 3600 * hours))


def test_fetched_left_alone_changed_and_removed(served: RealServer, tmp_path: Path) -> None:
    url = served.url("/pub/")
    assert told(run(url, tmp_path, delete=True)) == (5, 0, 0, 0)
    assert tree(tmp_path) == FILES
    assert (tmp_path / "a.txt").stat().st_mtime == OLD_S
    assert told(run(url, tmp_path, delete=True)) == (0, 5, 0, 0)
    put(served, "a.txt", b"ONE", hours=1)
    (served.folder / "pub" / "sub" / "deep" / "é ü.txt").unlink()
    assert told(run(url, tmp_path, delete=True)) == (1, 3, 1, 0)
    changed = {**FILES, "a.txt": b"ONE"}
    del changed["sub/deep/é ü.txt"]
    assert tree(tmp_path) == changed


def test_what_wget_has_mirrored_is_taken_over(tmp_path: Path) -> None:
    wget = need("wget")
    with nginx(directives="autoindex on;") as server:
        put(server, "a.txt", b"one")
        put(server, "sub/b.bin", bytes(100_000))
        command = [wget, "-q", "-m", "-np", "-nH", "--cut-dirs=1", "-R", "index.html*", server.url("/pub/")]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=20)
        assert told(run(server.url("/pub/"), tmp_path)) == (0, 2, 0, 0)
