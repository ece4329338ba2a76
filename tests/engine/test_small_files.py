"""Small files are written at once, into a folder that may not be there yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from thunderdl.engine import single
from thunderdl.engine.naming import Target
from thunderdl.errors import StorageError
from thunderdl.options import Exists, Options
from thunderdl.storage.files import write_small
from thunderdl.storage.marks import Mark


def test_a_folder_that_another_download_makes_meanwhile_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"

    def late(target: str, data: bytes, exists: Exists, mark: Mark | None = None) -> str:
        if folder.exists():
            return write_small(target, data, exists, mark)
        folder.mkdir()
        raise StorageError(target, "the folder is gone")

    monkeypatch.setattr(single, "write_small", late)
    path = single._write(Target(str(folder / "name")), b"bytes", Options())
    assert Path(path).read_bytes() == b"bytes"
