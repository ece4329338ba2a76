"""One download through the public library, to its Result, with what must hold however it ends."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.loopback import LoopbackServer
from thunderdl.client import Client, Task
from thunderdl.errors import DownloadFailed, ThunderdlError
from thunderdl.formats.hashes import parse_checksum
from thunderdl.model import PieceHashes, Progress, Result, Status
from thunderdl.options import Options

# No run of a test may take longer: a hang is a failure with a name.
LIMIT_S = 30.0
# Silence that a server may show where a test waits for the give-up.
SHORT_S = 0.3
_SENTENCE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]+\.")


def fetch(
    url: str, folder: Path, *, mirrors: Sequence[str] = (), httpx_settings: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Result:  # fmt: skip
    """Download ``url`` into ``folder``; a failure is a Result too. Retries nothing unless told to."""

    async def settle(task: Task) -> Result:
        return await task.outcome()

    return drive(settle, url, folder, mirrors=mirrors, httpx_settings=httpx_settings, **changes)


def drive(
    script: Callable[[Task], Awaitable[Result]], url: str, folder: Path, *, mirrors: Sequence[str] = (),
    httpx_settings: Mapping[str, Any] | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """Begin a download and let ``script`` have its task; the Result that it returns.

    No checksum files are looked for unless told to: most tests count requests.
    """

    settled: dict[str, Any] = {"dir": str(folder), "retries": 0, "timeout": 5.0, "checksum_files": False, **changes}
    if isinstance(settled.get("checksum"), str):
        settled["checksum"] = parse_checksum(settled["checksum"])

    async def run() -> Result:
        async with asyncio.timeout(LIMIT_S), Client(Options(**settled), httpx_settings=httpx_settings) as client:
            return await script(client.add(url, mirrors=mirrors))

    result = asyncio.run(run())
    check_result(result)
    return result


async def cancelled_at(task: Task, reached: Callable[[Progress], bool]) -> Result:
    """Cancel as soon as a progress reaches the claim."""
    async for progress in task:
        if reached(progress):
            task.cancel()
    return await task.outcome()


def told_of(sent_bytes: int) -> int:
    """What a giver is told at least to have sent, once the other has ``sent_bytes``: libtorrent forgets blocks that are
    still being sent when their peer leaves, as one that has it all does at once."""
    return sent_bytes // 2


def shared_until(finished: Callable[[], object], sent_bytes: int) -> Callable[[Task], Awaitable[Result]]:
    """A script for :func:`drive`: share until ``finished``, which blocks, returns and most of ``sent_bytes`` is told.

    What is cut off at a ratio is not all at the other end: bytes count as soon as they are sent. What is all there is
    not told at once: libtorrent counts each second. And who has it from us may have it all before we have looked.
    """

    def is_told(progress: Progress) -> bool:
        return progress.status is Status.SHARING and progress.uploaded_bytes >= told_of(sent_bytes)

    async def script(task: Task) -> Result:
        await asyncio.to_thread(finished)
        return await cancelled_at(task, is_told)

    return script


def stopped_after(count: int) -> Callable[[Task], Awaitable[Result]]:
    """A script for :func:`drive`: cancel once ``count`` bytes are there."""
    return lambda task: cancelled_at(task, lambda progress: progress.done_bytes >= count)


def check_result(result: Result) -> None:
    """What holds of every Result."""
    if result.status is Status.COMPLETE:
        assert result.error is None
        assert result.path is not None
        assert os.path.isdir(result.path) or os.path.getsize(result.path) == result.bytes
    if result.status in (Status.FAILED, Status.CANCELLED):
        assert result.path is None
        assert isinstance(result.error, ThunderdlError)
        check_sentence(result.error)
    for text in (*result.notes, *(source.note for source in result.sources)):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]|Traceback|object at 0x", text), text


def check_sentence(error: ThunderdlError) -> str:
    """The error's text: one sentence, printable, without a trace of Python."""
    text = str(error)
    assert _SENTENCE.fullmatch(text), repr(text)
    assert ". " not in text, text
    assert not re.search(r"Traceback|object at 0x|Error\(|errno", text, re.IGNORECASE), text
    return text


def failed(result: Result, kind: type[ThunderdlError], exit_code: int, *words: str) -> None:
    """Assert how it failed. ``words``: what the sentence must hold."""
    error = result.error
    assert isinstance(error, ThunderdlError), result
    told = error.most_telling if isinstance(error, DownloadFailed) else error
    assert isinstance(told, kind), repr(error)
    assert error.exit_code == exit_code
    for word in words:
        assert word.lower() in str(error).lower(), str(error)


def names(folder: Path) -> list[str]:
    """What lies in ``folder``."""
    return sorted(os.listdir(folder))


def content_of(result: Result) -> bytes:
    assert result.path is not None, result.error
    return Path(result.path).read_bytes()


def piece_hashes(content: bytes, piece_length: int = 65536) -> PieceHashes:
    parts = [content[at : at + piece_length] for at in range(0, len(content), piece_length)]
    digests = tuple(hashlib.sha256(part).digest() for part in parts)
    return PieceHashes(algorithm="sha256", piece_length=piece_length, digests=digests)


def sha256(content: bytes) -> str:
    return "sha-256=" + hashlib.sha256(content).hexdigest()


def all_say(server: LoopbackServer, name: str, value: str | None) -> bool:
    """Whether the header of every request had this value, None for none."""
    assert server.requests
    return all(request.header(name) == value for request in server.requests)
