from __future__ import annotations

import json

from tests.cli.fakes import NAUGHTY
from thunderdl.cli.info import json_of, rows_of
from thunderdl.engine.asking import Info
from thunderdl.errors import printable
from thunderdl.model import Digest, Validators


def found(name: str = "a.iso", size_bytes: int | None = 3 << 20) -> Info:
    return Info(
        url="http://u:s3cret@h/a", final_url=f"http://u:s3cret@m/{name}", size_bytes=size_bytes, ranges=True,
        validators=Validators(etag=f'"{name}"'), name=name, protocol="HTTP/1.1",
        digests=(Digest("sha256", b"\x00"), Digest("md5", b"\x01")), server=name, content_type=name,
    )  # fmt: skip


def test_a_line_a_fact() -> None:
    lines = list(rows_of(found()))
    assert "size       3.00 MiB (3145728 bytes)" in lines
    assert "modified   –" in lines
    assert [line for line in lines if line.startswith("digests")] == ["digests    sha256=00", "digests    md5=01"]
    assert "size       unknown" in list(rows_of(found(size_bytes=None)))


def test_nothing_from_the_server_is_raw_and_no_credentials_are_told() -> None:
    text = "".join(rows_of(found(NAUGHTY + "\n")))
    assert text == printable(text)
    assert "s3cret" not in text + json_of(found())
    assert json_of(found(NAUGHTY)).isascii()
    assert json.loads(json_of(found()))["final_url"] == "http://m/a.iso"
