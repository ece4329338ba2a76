"""``thunderdl mirror``: a folder made the same as a tree elsewhere, and one sentence on what was done."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.get import open_client, view_of
from thunderdl.cli.grammar import Typed
from thunderdl.cli.passwords import with_password
from thunderdl.cli.session import STOPPED, Tally, run_session
from thunderdl.cli.views import View, WatchedTask, WatchedTotals, write_line
from thunderdl.errors import ThunderdlError, UsageError, printable, shown_url
from thunderdl.formats.targets import checked_target
from thunderdl.model import Result
from thunderdl.quantities import size

if TYPE_CHECKING:
    from thunderdl.client import Client, Request
    from thunderdl.mirroring import Mirror, Mirrored
    from thunderdl.options import Options


def mirror(typed: Typed) -> int:
    """Fetch what changed, remove what is gone where that was asked for."""
    options = with_password(settings.load(typed.settings()).options())
    url, *folder = typed.texts("places")
    if len(folder) > 1:
        raise UsageError("mirror takes one URL and one folder; quote patterns, so that the shell leaves them alone.")
    checked_target(url)
    if folder:
        options = replace(options, dir=folder[0])
    return asyncio.run(_run(url, options, typed))


async def _run(url: str, options: Options, typed: Typed) -> int:
    from thunderdl.mirroring import Mirror

    view, tally, says = view_of(typed), Tally(), _Says(typed)

    def problem(error: ThunderdlError) -> None:
        tally.count(error.exit_code)
        view.problem(error)

    async with open_client(options) as client:
        run = Mirror(
            client, url, options.dir, delete=typed.is_on("delete"), include=typed.texts("include"),
            exclude=typed.texts("exclude"), dry_run=typed.is_on("dry_run"), on_problem=problem,
            on_deleted=says.deleted, on_wanted=says.wanted,
        )  # fmt: skip
        code = await _session(client, run, view, tally)
    says.summary(run.summary)
    return code


async def _session(client: Client, run: Mirror, view: View, tally: Tally) -> int:
    """The session, and the end of the books however it went."""
    code = STOPPED
    try:
        code = await run_session(_Settled(client, run), run.requests(), view, tally)
    finally:
        await run.finish(was_cut=code == STOPPED)
    return code


class _Settled:
    """The client, each of its results taken note of before it is shown."""

    def __init__(self, client: Client, run: Mirror) -> None:
        self._client, self._run = client, run

    async def run(self, requests: AsyncIterable[Request]) -> AsyncIterator[Result]:
        async for result in self._client.run(requests):
            await self._run.settle(result)
            yield result

    def stop(self) -> None:
        self._client.stop()

    def tasks(self) -> Sequence[WatchedTask]:
        return self._client.tasks()

    def totals(self) -> WatchedTotals:
        return self._client.totals()


class _Says:
    """What is said beside the views: what goes, what would be done, the sentence at the end."""

    def __init__(self, typed: Typed) -> None:
        self._is_quiet, self._as_json = typed.is_on("quiet"), typed.is_on("json")
        self._is_dry = typed.is_on("dry_run")

    def deleted(self, name: str) -> None:
        self._tell("would delete" if self._is_dry else "deleted", name)

    def wanted(self, name: str) -> None:
        self._tell("would fetch", name)

    def summary(self, done: Mirrored) -> None:
        if not self._is_quiet:
            write_line(sys.stderr if self._as_json else sys.stdout, sentence(done, is_dry=self._is_dry))

    def _tell(self, what: str, name: str) -> None:
        if self._as_json:
            write_line(sys.stdout, json.dumps({"path": name, "status": what}))
        elif not self._is_quiet:
            write_line(sys.stdout, f"{what} {printable(name)}")


def sentence(done: Mirrored, *, is_dry: bool) -> str:
    """``fetched 3 (12.0 MiB), unchanged 10, deleted 0, failed 0.``"""
    fetched = f"{done.fetched} ({size(done.fetched_bytes)})" if done.fetched_bytes else f"{done.fetched}"
    told = f"fetched {fetched}, unchanged {done.unchanged}, deleted {done.deleted}, failed {done.failed}"
    renamed = f", {done.renamed} saved under a safer name" if done.renamed else ""
    kept = f"; nothing was removed: {shown_url(done.kept_because)}" if done.kept_because else ""
    return f"{'nothing was written; would be: ' if is_dry else ''}{told}{renamed}{kept}."
