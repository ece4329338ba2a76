"""The downloads that a call of ``thunderdl aria2c`` names: from URIs and input lists to requests with a number each."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from thunderdl.aria2.command_line import Options as Raw
from thunderdl.aria2.files import read_list
from thunderdl.aria2.translating import applied, translate
from thunderdl.aria2.values import validated_all
from thunderdl.cli.aria2c.given import Given
from thunderdl.cli.aria2c.told_apart import Kind, kind_of
from thunderdl.cli.inputs import open_list
from thunderdl.errors import InvalidUrl, UsageError, printable, shown_url
from thunderdl.formats.links import is_magnet, names_metalink, names_torrent
from thunderdl.formats.targets import checked_target
from thunderdl.options import Options
from thunderdl.task import Request, Task

if TYPE_CHECKING:
    from thunderdl.model import Result

_GID = re.compile(r"[0-9a-fA-F]{16}")


@dataclass(eq=False, slots=True)
class Job:
    """One download. ``uris``: as given, mirrors of each other; ``raw``: the options that were given for it or for all,
    as the session file keeps them; ``warnings``: what of them is not known or not done; ``files``: how many it brings
    and where the first lies, known once it has ended."""

    gid: str
    uris: tuple[str, ...]
    raw: Raw
    request: Request
    warnings: tuple[str, ...] = ()
    task: Task | None = field(default=None)
    result: Result | None = field(default=None)
    files: tuple[int, str] = (1, "")

    @property
    def options(self) -> Options:
        assert self.request.options is not None
        return self.request.options

    @property
    def is_torrent(self) -> bool:
        """Whether peers have it."""
        return self.options.torrent is not None or (self.options.follow and names_torrent(self.request.url))

    @property
    def names_content(self) -> bool:
        """Whether it is a torrent or metalink, which names files of its own."""
        url, options = self.request.url, self.options
        return options.torrent is not None or options.metalink is not None or names_torrent(url) or names_metalink(url)


class Jobs:
    """Makes jobs of what was given. ``base``: our options where nothing was given."""

    def __init__(self, given: Given, base: Options) -> None:
        self._given, self._base = given, base
        self._gids: set[str] = set()

    def all(self) -> list[Job]:
        """Each of them, in the order given. Raises BadOption, UsageError."""
        return [*self._typed(), *self._listed()]

    def copy_of(self, job: Job, request: Request) -> Job:
        """One more of the same, for a further file that a metalink names."""
        return replace(job, gid=self._new_gid({}), request=request)

    def _typed(self) -> Iterator[Job]:
        given = self._given
        uris = [uri for typed in given.uris for uri in self._expanded(typed)]
        if document := given.text("torrent-file") or given.text("metalink-file"):
            yield self._of_document(document, tuple(uris))
        elif given.is_on("force-sequential"):
            # aria2 ignores --out here: one name for several files.
            options = {name: value for name, value in given.of_a_download().items() if name != "out"}
            yield from (self._job((uri,), options) for uri in uris)
        else:
            yield from self._grouped(uris, given.of_a_download())

    def _grouped(self, uris: Sequence[str], options: Raw) -> Iterator[Job]:
        """URIs of one kind are mirrors of one file; each torrent, magnet link and metalink is a download."""
        kinds = [(uri, kind_of(uri)) for uri in uris]
        mirrors = tuple(uri for uri, kind in kinds if kind is Kind.OTHER)
        is_told = False
        for uri, kind in kinds:
            # Where the name tells, --follow-torrent and --follow-metalink have their say.
            if kind is Kind.TORRENT:
                yield self._job((uri,), options, torrent=None if names_torrent(uri) else uri)
            elif kind is Kind.METALINK:
                yield self._job((uri,), options, metalink=None if names_metalink(uri) else uri)
            elif not is_told:
                is_told = True
                yield self._job(mirrors, options)

    def _listed(self) -> Iterator[Job]:
        path = self._given.text("input-file")
        if not path:
            return
        try:
            _, opened = open_list(path)
        except UsageError as error:
            # In the words of aria2's option, not of ours.
            raise UsageError(str(error).replace("--input ", "--input-file ")) from None
        common = {name: value for name, value in self._given.of_a_download().items() if name not in ("out", "gid")}
        with opened as lines:
            for listed in read_list(lines):
                own = {name: validated_all(name, value) for name, value in listed.options.items()}
                told = tuple(f"Unknown option: {printable(unknown)}" for unknown in listed.unknown)
                for job in self._of_line(listed.uris, {**common, **own}):
                    job.warnings += told
                    yield job

    def _of_line(self, uris: Sequence[str], options: Raw) -> Iterator[Job]:
        is_parameterized = options.get("parameterized-uri") == "true"
        expanded = [each for uri in uris for each in (_pattern(uri) if is_parameterized else [uri])]
        yield from self._grouped(expanded, options)

    def _expanded(self, typed: str) -> Iterator[str]:
        return _pattern(typed) if self._given.is_on("parameterized-uri") else iter([typed])

    def _of_document(self, path: str, uris: tuple[str, ...]) -> Job:
        options = self._given.of_a_download()
        if self._given.text("torrent-file"):
            return self._job(uris or (path,), options, torrent=path)
        return self._job((path,), options, metalink=path, mirrors=uris)

    def _job(
        self, uris: tuple[str, ...], raw: Raw, *, torrent: str | None = None, metalink: str | None = None,
        mirrors: tuple[str, ...] | None = None,
    ) -> Job:  # fmt: skip
        # What was named as a document is one, whatever it is called.
        is_told = uris[0] in (torrent, metalink)
        checked = uris if is_told else tuple(_checked(uri) for uri in uris)
        made = translate(self._given.with_defaults(raw), uri=uris[0])
        options = replace(applied(self._base, made), torrent=torrent, metalink=metalink)
        if not (names_torrent(checked[0]) or torrent):
            # aria2 shares torrents alone; a file from servers is done when it is there.
            options = replace(options, ratio=None, seed_time=None)
        others = checked[1:] if mirrors is None else tuple(_checked(uri) for uri in mirrors)
        # aria2 chooses where there is something to choose from; an answer may yet be a metalink.
        request = Request(checked[0], others, options, may_be_one_file=True)
        return Job(self._new_gid(raw), (*uris, *(mirrors or ())), raw, request, made.notes)

    def _new_gid(self, raw: Raw) -> str:
        asked = raw.get("gid")
        if isinstance(asked, str) and asked:
            if not _GID.fullmatch(asked) or int(asked, 16) == 0:
                raise UsageError(f"{printable(asked)[:80]} is invalid for GID.")
            if asked.lower() in self._gids:
                raise UsageError(f"GID {asked.lower()} is not unique.")
        gid = asked.lower() if isinstance(asked, str) and asked else secrets.token_hex(8)
        self._gids.add(gid)
        return gid


def _pattern(uri: str) -> Iterator[str]:
    from thunderdl.formats.url_patterns import parse_pattern

    try:
        return (url for url, _ in parse_pattern(uri))
    except UsageError as error:
        raise UsageError(str(error).replace("--glob:", "--parameterized-uri:")) from None


def _checked(uri: str) -> str:
    # Browsers and aria2 write a space as %20, and so it comes from scripts.
    spaced = uri.replace(" ", "%20") if "://" in uri else uri
    try:
        checked = checked_target(spaced)
    except InvalidUrl:
        raise UsageError(f"Unrecognized URI or unsupported protocol: {shown_url(uri)[:200]}") from None
    if "://" not in checked and not is_magnet(checked) and not os.path.exists(checked):
        raise UsageError(f"Unrecognized URI or unsupported protocol: {shown_url(uri)[:200]}")
    return checked
