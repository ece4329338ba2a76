"""``thunderdl get`` and ``thunderdl resume``: from what was typed to a session of downloads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.inputs import entries, is_pipe, open_list, piped_entries, read_stdin
from thunderdl.cli.links import checked, checked_target
from thunderdl.cli.live import choose_view
from thunderdl.cli.session import Tally, run_session
from thunderdl.cli.views import Loudness, View
from thunderdl.errors import ThunderdlError, UsageError, printable
from thunderdl.formats.links import names_metalink, names_torrent
from thunderdl.options import Exists, Options

if TYPE_CHECKING:
    from thunderdl.client import Client, Request


def get(typed: Typed) -> int:
    """Download each URL given and each of the input list."""
    options = settings.load(typed.settings()).options()
    urls, mirrors, list_path = typed.texts("urls"), typed.texts("mirror"), typed.text("input")
    _check(urls, mirrors, list_path, options)
    view, tally = _view(typed), Tally()
    if "-" in (options.metalink, *urls):
        return asyncio.run(_download(options, _piped_in(urls, mirrors, options), view, tally))
    if options.metalink is not None:
        urls, mirrors = (options.metalink,), (*urls, *mirrors)
    if list_path is None:
        return asyncio.run(_download(options, _requests(urls, mirrors), view, tally))
    if is_pipe(list_path):
        return asyncio.run(_download(options, _piped(urls, mirrors, tally.bad_line(view)), view, tally))
    name, opened = open_list(list_path)
    with opened as lines:
        listed = (_request(url, more) for url, more in entries(lines, name, tally.bad_line(view)))
        return asyncio.run(_download(options, _chained(_requests(urls, mirrors), listed), view, tally))


def resume(typed: Typed) -> int:
    """Finish every download whose journal or part folder is in the folder."""
    from thunderdl.storage.journal import find_journals
    from thunderdl.storage.wishes import find_part_folders

    options = settings.load(typed.settings()).options()
    folder = typed.text("folder")
    if folder is not None:
        options = replace(options, dir=folder)
    if not os.path.isdir(options.dir):
        raise UsageError(f"{printable(options.dir)} is no folder.")
    view, tally = _view(typed), Tally()
    journals, folders = find_journals(options.dir), find_part_folders(options.dir)
    if not journals and not folders:
        view.problem(ThunderdlError(f"nothing to resume in {printable(options.dir)}."))
        return 0
    return asyncio.run(_download(options, _left(journals, folders, options, view, tally), view, tally))


def _view(typed: Typed) -> View:
    loudness = Loudness(quiet=typed.is_on("quiet"), verbose=typed.is_on("verbose"))
    return choose_view(loudness, as_json=typed.is_on("json"))


async def _download(
    options: Options, requests: Iterator[Request] | AsyncIterator[Request], view: View, tally: Tally
) -> int:
    async with open_client(options) as client:
        return await run_session(client, requests, view, tally)


def open_client(options: Options) -> Client:
    from thunderdl.client import Client

    return Client(options)


def _request(url: str, mirrors: tuple[str, ...]) -> Request:
    from thunderdl.client import Request

    return Request(url=url, mirrors=mirrors)


def _requests(urls: Sequence[str], mirrors: tuple[str, ...]) -> Iterator[Request]:
    return (_request(url, mirrors) for url in urls)


def _piped_in(urls: Sequence[str], mirrors: tuple[str, ...], options: Options) -> Iterator[Request]:
    """What the metalink on standard input names; the URLs beside it are more sources."""
    from thunderdl.client import requests_in
    from thunderdl.formats.metalink_model import MAX_DOCUMENT_BYTES

    document = read_stdin(MAX_DOCUMENT_BYTES, "a metalink")
    settled = replace(options, metalink="-")
    request = replace(_request("-", (*(url for url in urls if url != "-"), *mirrors)), options=settled)
    return iter(requests_in(document, "standard input", request, settled))


async def _piped(
    urls: Sequence[str], mirrors: tuple[str, ...], on_bad_line: Callable[[UsageError], None]
) -> AsyncIterator[Request]:  # fmt: skip
    for request in _requests(urls, mirrors):
        yield request
    async for url, more in piped_entries(on_bad_line):
        yield _request(url, more)


def _chained(first: Iterator[Request], second: Iterator[Request]) -> Iterator[Request]:
    yield from first
    yield from second


def _left(
    journals: Sequence[str], folders: Sequence[str], options: Options, view: View, tally: Tally
) -> Iterator[Request]:  # fmt: skip
    """What earlier runs have left; one that cannot be read is told, counts, and the rest goes on."""
    from thunderdl.leftovers import request_from_folder, request_from_journal

    ways = [*((request_from_journal, path) for path in journals), *((request_from_folder, path) for path in folders)]
    for request_from, path in ways:
        try:
            yield request_from(path, options)
        except ThunderdlError as error:
            view.problem(error)
            tally.count(error.exit_code)


def _check(urls: Sequence[str], mirrors: Sequence[str], input_list: str | None, options: Options) -> None:
    """Refuse what cannot work before anything is tried."""
    if not urls and input_list is None and options.metalink is None:
        raise UsageError("no URL was given; write thunderdl URL, or -i FILE for a list of them.")
    _check_stdin(urls, input_list, options)
    for url in urls:
        if url != "-":
            checked_target(url)
    for url in mirrors:
        checked(url)
    of_one_file = {
        "--mirror": bool(mirrors),
        "--out": options.out is not None,
        "--checksum": options.checksum is not None,
        "--piece-hashes": options.piece_hashes is not None,
        "--torrent": options.torrent is not None,
        "--files": options.files is not None,
        "--metalink": options.metalink is not None,
        "--signed-by": options.signed_by is not None,
        "--mirror-list": options.mirror_list is not None,
    }
    named = [flag for flag, is_given in of_one_file.items() if is_given]
    if named and (len(urls) > 1 or (not urls and options.metalink is None) or input_list is not None):
        raise UsageError(f"{' and '.join(named)} belong to one file, but there are several; give one URL.")
    _check_documents(urls, options)
    if options.out == "-":
        raise UsageError("-o -: a download in parallel ranges has no order for standard output; name a file.")
    if options.exists is Exists.OVERWRITE and options.out is not None and os.path.isdir(options.out):
        raise UsageError(f"--out {printable(options.out)} is a folder; use --dir for it.")


def _check_stdin(urls: Sequence[str], input_list: str | None, options: Options) -> None:
    by_stdin = [what for what, named in (("URL", "-" in urls), ("--metalink", options.metalink == "-")) if named]
    if len(by_stdin) + (input_list == "-") > 1 or urls.count("-") > 1:
        raise UsageError("-: standard input can be read once only; name it for one thing.")


def _check_documents(urls: Sequence[str], options: Options) -> None:
    if (
        options.files is not None
        and options.torrent is None
        and options.metalink is None
        and not (urls[0] == "-" or names_torrent(urls[0]) or names_metalink(urls[0]))
    ):
        raise UsageError(
            "--files chooses from a torrent or metalink; give one, a magnet link, or --torrent beside the URL."
        )
    if options.mirror_list is not None and "://" not in options.mirror_list and not os.path.exists(options.mirror_list):
        raise UsageError(f"--mirror-list {printable(options.mirror_list)}: there is no such file.")
