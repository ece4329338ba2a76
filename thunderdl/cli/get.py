"""``thunderdl get`` and ``thunderdl resume``: from what was typed to a session of downloads."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.inputs import Entry, MakesOptions, entries, is_pipe, open_list, piped_entries, read_stdin
from thunderdl.cli.live import choose_view
from thunderdl.cli.named import checked_sources
from thunderdl.cli.passwords import with_password
from thunderdl.cli.session import Tally, run_session
from thunderdl.cli.views import Loudness, View
from thunderdl.errors import ThunderdlError, UsageError, printable
from thunderdl.formats.links import names_metalink, names_torrent, scheme_of
from thunderdl.formats.targets import checked, checked_target
from thunderdl.options import Exists, Options

if TYPE_CHECKING:
    from thunderdl.client import Client, Request


def get(typed: Typed) -> int:
    """Download each URL given and each of the input list."""
    if typed.is_on("hand_over"):
        from thunderdl.cli import handing_over

        return handing_over.get(typed)
    options = with_password(settings.load(typed.settings()).options())
    urls, list_path = typed.texts("urls"), typed.text("input")
    mirrors = tuple(map(checked, typed.texts("mirror")))
    if typed.is_on("glob"):
        named = _globbed(urls, mirrors, list_path, options)
    else:
        urls = tuple(url if url == "-" else checked_target(url) for url in urls)
        _check(urls, mirrors, list_path, options)
        if typed.is_on("ask_password"):
            from thunderdl.cli.asking import Asked

            asked = Asked()
            urls, mirrors = asked.all(urls), asked.all(mirrors)
        named = _named(urls, mirrors, options)
    view, tally = view_of(typed), Tally()
    if list_path is None:
        return asyncio.run(_download(options, named, view, tally))
    on_bad_line, settled = tally.bad_line(view), _settled(options, list_path, view)
    if is_pipe(list_path):
        return asyncio.run(_download(options, _piped(named, settled, view, tally), view, tally))
    name, opened = open_list(list_path)
    with opened as lines:
        listed = _listed(entries(lines, name, on_bad_line, settled), name, view, tally)
        return asyncio.run(_download(options, _chained(named, listed), view, tally))


def resume(typed: Typed) -> int:
    """Finish every download whose journal or part folder is in the folder, or the one that a file's name stands for;
    or let tasks of the daemon go on."""
    places = typed.texts("places")
    if typed.is_on("all") or any(map(_names_task, places)):
        from thunderdl.cli import queueing

        return queueing.resume(typed)
    options = with_password(settings.load(typed.settings()).options())
    if len(places) > 1:
        raise UsageError("resume takes one folder or file; several are for tasks of the daemon, by their gids.")
    place, new_url = places[0] if places else options.dir, typed.text("new_url")
    journals, folders = _left_at(place)
    if new_url is not None:
        checked(new_url)
        if len(journals) != 1 or folders:
            raise UsageError("--url belongs to one file; write thunderdl resume FILE --url URL.")
    view, tally = view_of(typed), Tally()
    if not journals and not folders:
        where = "this folder" if place == os.curdir else printable(place)
        view.problem(ThunderdlError(f"nothing to resume in {where}."))
        return 0
    left = _left(journals, folders, options, view, tally)
    return asyncio.run(_download(options, (replace(each, new_url=new_url) for each in left), view, tally))


def _names_task(place: str) -> bool:
    """Whether it is a gid, or the beginning of one, and nothing here is called so."""
    return re.fullmatch(r"[0-9a-f]{4,16}", place) is not None and not os.path.lexists(place)


def _left_at(place: str) -> tuple[Sequence[str], Sequence[str]]:
    """Journals and part folders of a folder, or of the one file that is named by its final name or its part's."""
    from thunderdl.storage.files import JOURNAL_SUFFIX, PART_SUFFIX
    from thunderdl.storage.journal import find_journals
    from thunderdl.storage.wishes import find_part_folders

    if os.path.isdir(place) and not place.endswith(PART_SUFFIX):
        return find_journals(place), find_part_folders(place)
    part = place.removesuffix(JOURNAL_SUFFIX).removesuffix(PART_SUFFIX) + PART_SUFFIX
    if os.path.isdir(part):
        return [], [part]
    if os.path.lexists(part + JOURNAL_SUFFIX):
        return [part + JOURNAL_SUFFIX], []
    raise UsageError(f"{printable(place)} is no folder, and no download that was begun has that name.")


def view_of(typed: Typed) -> View:
    """The view that was asked for."""
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


def _request(url: str, mirrors: tuple[str, ...], options: Options | None = None) -> Request:
    from thunderdl.client import Request

    return Request(url=url, mirrors=mirrors, options=options)


def _requests(urls: Sequence[str], mirrors: tuple[str, ...]) -> Iterator[Request]:
    return (_request(url, mirrors) for url in urls)


def _named(urls: Sequence[str], mirrors: tuple[str, ...], options: Options) -> Iterator[Request]:
    """What the URLs name, and a metalink; beside one the URLs are more sources of its file."""
    if "-" in (options.metalink, *urls):
        return _piped_in(urls, mirrors, options)
    if options.metalink is not None:
        return _requests((options.metalink,), (*urls, *mirrors))
    return _requests(urls, mirrors)


def _piped_in(urls: Sequence[str], mirrors: tuple[str, ...], options: Options) -> Iterator[Request]:
    """What the metalink on standard input names; the URLs beside it are more sources."""
    from thunderdl.client import requests_in
    from thunderdl.formats.metalink_model import MAX_DOCUMENT_BYTES

    document = read_stdin(MAX_DOCUMENT_BYTES, "a metalink")
    settled = replace(options, metalink="-")
    request = _request("-", (*(url for url in urls if url != "-"), *mirrors), settled)
    return iter(requests_in(document, "standard input", request, settled))


def _globbed(
    urls: Sequence[str], mirrors: tuple[str, ...], list_path: str | None, options: Options
) -> Iterator[Request]:  # fmt: skip
    """The same for URLs that are patterns. Raises UsageError before anything is tried."""
    from thunderdl.cli.patterns import checked_patterns, targets

    patterns = checked_patterns(urls)
    count = sum(pattern.count for pattern in patterns)
    # A name with a number in it is not that of one file.
    each = replace(options, out=None) if count > 1 and "#" in (options.out or "") else options
    _check([checked_target(pattern.at(0)[0]) for pattern in patterns], mirrors, list_path, each, count=count)
    return (_request(url, mirrors, changed) for url, changed in targets(patterns, options))


def _settled(options: Options, list_path: str, view: View) -> MakesOptions:
    from thunderdl.cli.list_settings import ListSettings

    return ListSettings(options, lambda told: view.problem(ThunderdlError(told)), inside=list_path == "-")


async def _piped(
    first: Iterator[Request], settled: MakesOptions, view: View, tally: Tally
) -> AsyncIterator[Request]:  # fmt: skip
    for request in first:
        yield request
    is_empty = True
    async for entry in piped_entries(tally.bad_line(view), settled):
        is_empty = False
        yield _request(*entry)
    if is_empty:
        _tell_empty("standard input", view, tally)


def _listed(listed: Iterator[Entry], name: str, view: View, tally: Tally) -> Iterator[Request]:
    """What a list names; told where that is nothing."""
    is_empty = True
    for entry in listed:
        is_empty = False
        yield _request(*entry)
    if is_empty:
        _tell_empty(name, view, tally)


def _tell_empty(name: str, view: View, tally: Tally) -> None:
    # Who has told of bad lines has said why.
    if not tally.code:
        view.problem(ThunderdlError(f"{name} names nothing to download."))


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


def _check(
    urls: Sequence[str], mirrors: Sequence[str], input_list: str | None, options: Options, *, count: int = 1
) -> None:  # fmt: skip
    """Refuse what cannot work before anything is tried."""
    if not urls and input_list is None and options.metalink is None:
        raise UsageError("no URL was given; write thunderdl URL, or -i FILE for a list of them.")
    _check_stdin(urls, input_list, options)
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
    several = len(urls) > 1 or (not urls and options.metalink is None) or count > 1 or input_list is not None
    if named and several:
        belong = "belongs" if len(named) == 1 else "belong"
        raise UsageError(f"{' and '.join(named)} {belong} to one file, but there are several; give one URL.")
    for url in urls:
        if url != "-":
            checked_sources(url, mirrors, options.torrent)
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
    if options.files is not None and options.torrent is None and options.metalink is None:
        named = urls[0] == "-" or names_torrent(urls[0]) or names_metalink(urls[0])
        # Over HTTP, its Content-Type may say yet that it is a metalink.
        if not named and not (options.follow and scheme_of(urls[0]) in ("http", "https")):
            raise UsageError(
                "--files chooses from a torrent or metalink; give one, a magnet link, or --torrent beside the URL."
            )
    if options.mirror_list is not None and "://" not in options.mirror_list and not os.path.exists(options.mirror_list):
        raise UsageError(f"--mirror-list {printable(options.mirror_list)}: there is no such file.")
