"""The command line: which command was meant, who reads it, exceptions to sentences and exit codes.

START-UP BUDGET: a well-formed line imports its own command and no typer, rich, httpx or json.
What ends here ends as one sentence on stderr; a traceback is shown only with THUNDERDL_DEBUG=1.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from thunderdl.cli import exit_codes, sentences
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import Command, Typed, read
from thunderdl.cli.views import prepare_streams
from thunderdl.errors import ThunderdlError, UsageError, shown_url

_OF_THE_WHOLE = ("-h", "--help", "--version", "--install-completion", "--show-completion")
_COMPLETING = "_THUNDERDL_COMPLETE"  # the variable that typer's completion scripts set


def main(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    prepare_streams()
    try:
        code = _run(with_command(list(arguments)))
        sys.stdout.flush()
    except ThunderdlError as error:
        return _complain(str(error), error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read stdout has left (`| head`): no one to tell; the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _complain(sentences.bug(error), error)
    return code


def with_command(arguments: list[str]) -> list[str]:
    """``thunderdl URL`` is ``thunderdl get URL``; so is everything else that begins with no command."""
    if not arguments:
        return ["--help"]
    if arguments[0] in COMMANDS or arguments[0].partition("=")[0] in _OF_THE_WHOLE:
        return arguments
    typed = read(COMMANDS["get"], arguments)
    first = typed.texts("urls")[:1] if typed else ()
    if first and first[0] in COMMANDS and arguments.count(first[0]) == 1:
        # Flags before the command's name.
        return [first[0], *(word for word in arguments if word != first[0])]
    return ["get", *arguments]


def _run(arguments: list[str]) -> int:
    if _COMPLETING not in os.environ and arguments[0] in COMMANDS:
        command = COMMANDS[arguments[0]]
        if command.is_foreign:
            run: Callable[[Sequence[str]], int] = _target(command)
            return run(arguments[1:])
        typed = read(command, arguments[1:])
        if typed is not None:
            return _run_command(command, typed)
    return _by_typer(arguments)


def _run_command(command: Command, typed: Typed) -> int:
    function: Callable[[Typed], int] = _target(command)
    return function(typed)


def _target(command: Command) -> Any:
    module, _, name = command.target.partition(":")
    return getattr(importlib.import_module(module), name)


def _by_typer(arguments: list[str]) -> int:
    from thunderdl.cli import typer_app

    try:
        code = typer_app.build(_run_command)(arguments, prog_name="thunderdl", standalone_mode=False)
    except Exception as error:
        message = typer_app.complaint(error)
        if message is None:
            raise
        command = f" {arguments[0]}" if arguments[0] in COMMANDS else ""
        raise UsageError(f"{shown_url(message).rstrip('.')}; see thunderdl{command} --help.") from error
    return code if isinstance(code, int) else 0


def _complain(sentence: str, error: BaseException) -> int:
    if os.environ.get("THUNDERDL_DEBUG", "") not in ("", "0"):
        import traceback

        for part in traceback.format_exception(error):
            sys.stderr.write("".join(f"{shown_url(line)}\n" for line in part.splitlines()))
    sys.stderr.write(f"thunderdl: {sentence}\n")
    return exit_codes.of_error(error)
