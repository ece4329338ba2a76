"""``thunderdl aria2c ARGS…``: aria2's command line over our client, so that a link named ``aria2c`` can stand in.

What was typed wrongly is told in aria2's words, with its exit status; see :mod:`thunderdl.aria2.exit_codes`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import thunderdl
from thunderdl.aria2.command_line import BadCommandLine, CommandLine, read_command_line
from thunderdl.aria2.exit_codes import OK, OPTION, UNKNOWN
from thunderdl.aria2.help_text import USAGE, help_text, option_text, version_text
from thunderdl.aria2.table import OPTIONS
from thunderdl.aria2.translating import MOST_PER_HOST, applied, connections_to_a_host, translate
from thunderdl.aria2.values import BadOption
from thunderdl.cli.aria2c.background import into_background
from thunderdl.cli.aria2c.given import BadConf, Given, load
from thunderdl.cli.views import write_line
from thunderdl.errors import UsageError, printable
from thunderdl.options import Options


def main(arguments: Sequence[str]) -> int:
    """Run it; aria2's exit status."""
    try:
        line = read_command_line(arguments)
        if (shown := _asked_for(line)) is not None:
            write_line(sys.stdout, shown)
            return OK
        return _run(load(line, os.environ))
    except BadCommandLine as bad:
        parsed = (f"Exception: errorCode={OPTION} Failed to parse command-line options.",) if bad.is_known else ()
        return _complain(f"aria2c: {bad}", *parsed, USAGE, *_did_you_mean(bad), code=OPTION)
    except BadConf as bad:
        return _complain(f"Parse error in {printable(bad.path)}", *_exception(bad.cause), code=OPTION)
    except BadOption as bad:
        return _complain(*_exception(bad), code=OPTION)
    except UsageError as error:
        return _complain("Exception caught", f"Exception: errorCode={UNKNOWN} {error}", code=UNKNOWN)


def _asked_for(line: CommandLine) -> str | None:
    """Help or version, where one of them was asked for: then nothing else is judged."""
    if "help" in line.options:
        asked = line.options["help"]
        return help_text(asked if isinstance(asked, str) and asked else "#basic")
    return version_text(thunderdl.__version__) if "version" in line.options else None


def _run(given: Given) -> int:
    if given.is_on("enable-rpc"):
        return _serve(given)
    if given.is_on("show-files"):
        from thunderdl.cli.aria2c.show_files import show_files

        return show_files(given)
    if not given.uris and not any(given.text(name) for name in ("input-file", "torrent-file", "metalink-file")):
        return _complain("Specify at least one URL.", USAGE, code=UNKNOWN)
    if given.is_on("daemon"):
        into_background()
    return asyncio.run(_download(given))


def _serve(given: Given) -> int:
    from thunderdl.cli import settings
    from thunderdl.cli.aria2c.rpc import serve

    base = replace(settings.load({}).options(), checksum_files=False)
    # Of what is in the queue nobody looks at the file that is there: --continue would make it one that is done.
    meant = given._replace(options={name: value for name, value in given.options.items() if name != "continue"})
    return serve(given, options_of_all(meant, base, MOST_PER_HOST))


async def _download(given: Given) -> int:
    from thunderdl.cli import settings
    from thunderdl.cli.aria2c.console import Console
    from thunderdl.cli.aria2c.jobs import Jobs
    from thunderdl.cli.aria2c.running import Run
    from thunderdl.client import Client

    # aria2 asks for nothing but what it was given: no checksum files beside each of ten thousand fragments.
    base = replace(settings.load({}).options(), checksum_files=False)
    made = Jobs(given, base)
    try:
        jobs = made.all()
    except BadOption as bad:
        return _complain("Exception caught", *_exception(bad), code=OPTION)
    if not jobs:
        write_line(sys.stdout, "No files to download.")
        return OK
    console = Console(given)
    for warning in given.warnings:
        console.warn(warning)
    async with Client(options_of_all(given, base, len(jobs))) as client:
        return await Run(client, given, made, jobs, console).all()


def options_of_all(given: Given, base: Options, downloads: int) -> Options:
    """What holds for so many downloads together. Raises UsageError."""
    options = applied(base, translate(given.with_defaults({})))
    at_once = min(options.jobs, downloads)
    return replace(options, per_host=connections_to_a_host(given.options, at_once) or options.per_host)


def _exception(bad: BadOption) -> tuple[str, ...]:
    told = (f"Exception: errorCode={OPTION} {bad}", f"  -> errorCode={UNKNOWN} {bad.reason}")
    return (*told, "Usage:", option_text(OPTIONS[bad.name]))


def _did_you_mean(bad: BadCommandLine) -> tuple[str, ...]:
    return ("", "Did you mean:", *(f"\t{name}" for name in bad.meant)) if bad.meant else ()


def _complain(*lines: str, code: int) -> int:
    for line in lines:
        write_line(sys.stderr, line)
    return code
