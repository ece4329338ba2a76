"""The reference page of the command line, made from the tables: ``python -m thunderdl.cli.reference > docs/…``.

It says nothing of its own beyond headings, so that page and program cannot disagree.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from thunderdl.cli import exit_codes
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import Command, Flag, Takes
from thunderdl.cli.views import write_line
from thunderdl.options import table


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Command line\n"
    yield "`thunderdl URL…` is short for `thunderdl get URL…`.\n"
    for command in COMMANDS.values():
        yield from _command(command)
    yield "## Settings\n"
    yield "`config.toml` in the user's configuration folder (`~/.config/thunderdl` on Linux; `THUNDERDL_CONFIG` names"
    yield "another file), then the environment, then flags: the later wins. `thunderdl config` shows what holds.\n"
    yield "| key in config.toml | environment | flag | aria2 |\n| --- | --- | --- | --- |"
    for row in table():
        if not row.once:
            flag = " ".join(
                f"`{name}`" for flag in COMMANDS["get"].flags if _sets(flag, row.name) for name in flag.names
            )
            aria2 = f"`{row.aria2}`" if row.aria2 else "–"
            yield f"| `{row.name}` | `{row.environment}` | {flag} | {aria2} |"
    yield "\n## Exit codes\n"
    yield "Of several files the worst counts; the table is in that order.\n"
    yield "| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {meaning} |" for code, meaning in exit_codes.MEANINGS.items())


def _command(command: Command) -> Iterator[str]:
    argument = f" {command.argument.metavar}" if command.argument else ""
    yield f"## `thunderdl {command.name}{argument}`\n"
    yield f"{command.help}\n"
    if command.is_foreign:
        yield "Its options are [those of aria2](aria2.md).\n"
        return
    yield "| flag | meaning |\n| --- | --- |"
    for flag in command.flags:
        names = (*flag.names, flag.off) if flag.takes is Takes.ON_OFF else flag.names
        value = f" {flag.metavar}" if flag.metavar else ""
        yield f"| `{', '.join(names)}{value}` | {flag.help} |"
    yield ""


def _sets(flag: Flag, name: str) -> bool:
    return flag.name == name or (name == "exists" and flag.name in ("overwrite", "rename", "skip"))


if __name__ == "__main__":
    write_line(sys.stdout, page())
