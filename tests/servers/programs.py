"""Programs that some tests need."""

from __future__ import annotations

import shutil

import pytest


def need(program: str) -> str:
    """The program's path; where it is absent the test is skipped, visibly."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        pytest.skip(f"needs {program}; `make test-setup` installs it")
    return path
