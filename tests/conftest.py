"""Fixtures that many tests share."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.servers import real
from tests.servers.certificates import Certificates
from tests.servers.loopback import LoopbackServer
from tests.sockets import name_the_makers

_NUMBERS = itertools.count()
# The same examples in every run, and none that fails because the machine was busy.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")
name_the_makers()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is read from the user's own cache, or left there; each test has one of its own."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{next(_NUMBERS)}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """A loopback server without resources; tests add what they need."""
    with LoopbackServer() as running:
        yield running


@pytest.fixture(scope="session")
def content() -> bytes:
    """1 MiB and a bit, the same in every run, no two parts alike."""
    return random.Random(2024).randbytes((1 << 20) + 12345)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def nginx() -> Iterator[real.RealServer]:
    with real.nginx() as running:
        yield running


@pytest.fixture(scope="session")
def nginx_tls(certificates: Certificates) -> Iterator[real.RealServer]:
    with real.nginx(tls=certificates.good()) as running:
        yield running


@pytest.fixture(scope="session")
def apache() -> Iterator[real.RealServer]:
    with real.apache() as running:
        yield running


@pytest.fixture(scope="session")
def python_http_server() -> Iterator[real.RealServer]:
    with real.python_http_server() as running:
        yield running


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of collected test data; tests that want it are skipped where it is not there."""
    folder = os.environ.get("THUNDERDL_TESTDATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs THUNDERDL_TESTDATA, a folder of collected test data")
    return Path(folder)
