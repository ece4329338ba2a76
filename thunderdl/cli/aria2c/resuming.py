"""What lies under a file's name before its download begins: ``--continue``, and what aria2 itself has left.

aria2 keeps what is missing in ``NAME.aria2`` beside NAME. That is read, and NAME becomes the part file of a download
of ours: nothing is fetched twice, and from then on aria2 itself cannot go on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.adopting import adopt
from thunderdl.aria2.control_file import MAX_BYTES, SUFFIX, parse_control_file
from thunderdl.cli.aria2c.jobs import Job
from thunderdl.core.ranges import RangeSet
from thunderdl.engine.naming import guess_target
from thunderdl.errors import ThunderdlError, printable
from thunderdl.options import Exists
from thunderdl.storage.files import journal_path, part_path
from thunderdl.verify import hash_file

if TYPE_CHECKING:
    from thunderdl.client import Client
    from thunderdl.engine.asking import Info


async def settled(client: Client, job: Job) -> str | None:
    """See to what is there already, so that ``job.request`` can begin; what the user should know of it.

    Faults of the server are left to the download, which tells them. Raises UsageError, StorageError.
    """
    if job.names_content:
        await asyncio.to_thread(_settle_content, job)
        return None
    path = guess_target(job.request.url, job.options).path
    if _is_on(job, "remove-control-file"):
        _remove(path + SUFFIX)
        if job.options.exists is Exists.OVERWRITE:
            _remove(journal_path(part_path(path)), part_path(path))
    has_control = _is_there(path + SUFFIX)
    goes_on = has_control or (_is_on(job, "continue") and job.options.exists is not Exists.OVERWRITE)
    is_checked = _is_on(job, "check-integrity") and job.options.checksum is not None
    if not (goes_on or is_checked) or not _is_there(path):
        return None
    try:
        info = await client.info(job.request.url)
    except ThunderdlError:
        if not goes_on:
            return None
        # An incomplete file is no reason to choose another name, and no complete one to be done with.
        job.request = replace(job.request, options=replace(job.options, exists=Exists.REFUSE))
        return None
    if has_control:
        return await asyncio.to_thread(_go_on_from_aria2, job, path, info)
    if not goes_on and not _is_of_size(path, info.size_bytes):
        return None  # aria2 checks what is there whole alone
    return await asyncio.to_thread(_go_on, job, path, info)


def cleared(job: Job) -> None:
    """A download is done: what aria2 has left of it is none of it any more."""
    if job.result is not None and job.result.path is not None and not job.names_content:
        _remove(job.result.path + SUFFIX)


def _settle_content(job: Job) -> None:
    """--continue of what a document names: a file is done where it is what the metalink says; of a torrent aria2 takes
    nothing that it has no control file of."""
    offer = job.request.offer
    is_followed = job.options.follow or job.options.torrent is not None or offer is not None
    if job.options.exists is not Exists.SKIP or not is_followed:
        return
    exists = Exists.REFUSE
    if offer is not None and offer.name:
        path = guess_target(job.request.url, replace(job.options, out=job.options.out or offer.name)).path
        size = os.path.getsize(path) if os.path.isfile(path) else 0
        checksum = job.options.checksum or offer.checksum
        if offer.size is not None and size < offer.size:
            exists = Exists.OVERWRITE
        elif size == offer.size or (offer.size is None and checksum is not None):
            is_right = checksum is None or checksum.covers(hash_file(path, checksum.algorithm))
            exists = Exists.SKIP if is_right else Exists.OVERWRITE
    job.request = replace(job.request, options=replace(job.options, exists=exists))


def _go_on(job: Job, path: str, info: Info) -> str | None:
    """A file that is there whole is done; a shorter one is the beginning."""
    size, there = info.size_bytes, os.path.getsize(path)
    if there == size and (checksum := job.options.checksum) is not None:
        # That it is there is no proof that it is right: what a broken transfer left is of the right size, too.
        is_right = checksum.covers(hash_file(path, checksum.algorithm))
        exists = Exists.SKIP if is_right else Exists.OVERWRITE
        job.request = replace(job.request, options=replace(job.options, exists=exists))
        return None if is_right else f"Checksum error detected. file={printable(path)}"
    if size is None or there == size:
        return None  # --continue made it a skip
    if there > size:
        job.request = replace(job.request, options=replace(job.options, exists=Exists.REFUSE))
        return f"{printable(path)} is longer than the file on the server."
    if adopt(path, RangeSet([(0, there)] if there else []), info, job.request.mirrors):
        return None
    job.request = replace(job.request, options=replace(job.options, exists=Exists.OVERWRITE))
    return None


def _go_on_from_aria2(job: Job, path: str, info: Info) -> str | None:
    # Whatever comes of it, the file is not whole: another name, or none at all, would be wrong.
    job.request = replace(job.request, options=replace(job.options, exists=Exists.OVERWRITE))
    try:
        with open(path + SUFFIX, "rb") as stream:
            control = parse_control_file(stream.read(MAX_BYTES))
        if control.size_bytes != info.size_bytes:
            raise ValueError(f"it is of {control.size_bytes} bytes, and the file on the server is not")
        if adopt(path, control.there, info, job.request.mirrors):
            return f"{printable(path)}: begun by aria2, {control.there.total} bytes of it are there; it goes on here."
    except (OSError, ValueError) as error:
        return f"{printable(path + SUFFIX)} is not used, and the file is fetched anew: {printable(str(error))}."
    return None


def _is_on(job: Job, name: str) -> bool:
    return job.raw.get(name) == "true"


def _is_there(path: str) -> bool:
    return os.path.lexists(path)


def _is_of_size(path: str, size_bytes: int | None) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == size_bytes


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
