"""Programs that some tests need."""

from __future__ import annotations

import shutil

import pytest


def need(program: str, how: str = "`make test-setup` installs it") -> str:
    """The program's path; where it is absent the test is skipped, visibly, with ``how`` to get it."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        pytest.skip(f"needs {program}; {how}")
    return path
