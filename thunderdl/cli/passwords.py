"""The password that belongs to ``--user``: never from the command line, where everybody on the machine can read it."""

from __future__ import annotations

import sys
from dataclasses import replace

from thunderdl.errors import UsageError, printable
from thunderdl.options import Options


def with_password(options: Options) -> Options:
    """The options with a password where they name a user: asked for on the terminal where none is set anywhere.

    Raises UsageError where nobody can be asked, and for a user name with a password in it.
    """
    if options.user is None:
        return options
    if ":" in options.user:
        raise UsageError(
            "--user takes a name alone; the password is asked for, or comes from THUNDERDL_PASSWORD or --password-file."
        )
    if options.password is not None or options.password_file is not None or options.keyring:
        return options
    if not sys.stdin.isatty():
        raise UsageError("--user needs a password: set THUNDERDL_PASSWORD, or name a file with --password-file.")
    import getpass

    return replace(options, password=getpass.getpass(f"Password of {printable(options.user)}: "))
