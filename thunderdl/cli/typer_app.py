"""The typer application: help, completion, and what to say of a line that cannot be read.

Made from :mod:`thunderdl.cli.grammar`; it says nothing of its own. Loaded only when one of those is wanted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from thunderdl import __version__
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import Argument, Command, Flag, Takes, Typed

Run = Callable[[Command, Typed], int]


def build(run: Run) -> typer.Typer:
    """The application; ``run`` is what each command does with what was typed."""
    app = typer.Typer(
        name="thunderdl",
        help="Download files from all their sources at once: in parallel ranges, resumable, verified.",
        epilog="thunderdl URL… is short for thunderdl get URL…",
        rich_markup_mode=None,  # its tables squeeze each help text into a narrow column
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_whole)
    for command in COMMANDS.values():
        app.command(command.name, help=command.help, short_help=command.help)(_function(command, run))
    return app


def complaint(error: Exception) -> str | None:
    """What click says of a line it cannot read; None for any other exception. Its class is not public in typer."""
    tell = getattr(error, "format_message", None)
    return None if tell is None else str(tell())


def _function(command: Command, run: Run) -> Callable[..., int]:
    """A function with the signature that typer reads the parameters from."""

    def function(**typed: Any) -> int:
        return run(command, Typed({name: tuple(v) if isinstance(v, list) else v for name, v in typed.items()}))

    parameters = list(_parameters(command))
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect looks for it
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _parameters(command: Command) -> Iterator[inspect.Parameter]:
    if command.argument is not None:
        yield _of_argument(command.argument)
    for flag in command.flags:
        yield _of_flag(flag)


def _of_argument(argument: Argument) -> inspect.Parameter:
    told = typer.Argument(metavar=argument.metavar, help=argument.help, show_default=False)
    if argument.many and argument.least:
        return _parameter(argument.name, Annotated[list[str], told], default=inspect.Parameter.empty)
    if argument.many:
        return _parameter(argument.name, Annotated[list[str] | None, told], default=None)
    if argument.least:
        return _parameter(argument.name, Annotated[str, told], default=inspect.Parameter.empty)
    return _parameter(argument.name, Annotated[str | None, told], default=None)


def _of_flag(flag: Flag) -> inspect.Parameter:
    names = (*flag.names[:-1], f"{flag.names[-1]}/{flag.off}") if flag.takes is Takes.ON_OFF else flag.names
    told = typer.Option(*names, help=flag.help, metavar=flag.metavar or None, show_default=False)
    annotation: Any = {Takes.VALUE: str | None, Takes.VALUES: list[str] | None}.get(flag.takes, bool | None)
    return _parameter(flag.name, Annotated[annotation, told], default=None)


def _parameter(name: str, annotation: object, *, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"thunderdl {__version__}")
        raise typer.Exit


def _whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.", show_default=False)
    ] = False,
) -> None:
    pass
