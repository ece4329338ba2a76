"""``thunderdl daemon``: what was typed, and what config.toml says, judged; :mod:`thunderdl.cli.serving` runs it."""

from __future__ import annotations

import os
import shlex
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.passwords import with_password
from thunderdl.cli.serving import SECRET_VARIABLE, Company, Serving, serve
from thunderdl.cli.serving_flags import HOOKED
from thunderdl.errors import UsageError, printable

if TYPE_CHECKING:
    from thunderdl.daemon.events import What


def daemon(typed: Typed) -> int:
    """Run until it is told to stop."""
    return serve(judged(typed, os.environ), Company())


def judged(typed: Typed, environment: MutableMapping[str, str]) -> Serving:
    """What was typed, over what config.toml says. Raises UsageError."""
    from thunderdl.rpc.listening import LOOPBACK, parse_place

    options = with_password(settings.load(typed.settings()).options())
    # What was typed is the last word.
    typed = Typed({**settings.daemon_values(), **typed.values})
    base = os.path.abspath(options.dir)
    state = _path(typed.text("state") or settings.state_path())
    return Serving(
        options=replace(options, dir=base), state=state, secret_folder=state,
        places=tuple(map(parse_place, typed.texts("listen"))) or (LOOPBACK,),
        roots=(base, *map(_path, typed.texts("roots"))), secret=_given_secret(typed.text("secret_file"), environment),
        host_names=typed.texts("host_names"), origins=typed.texts("origins"), is_quiet=typed.is_on("quiet"),
        programs=_programs(typed), webhook=_webhook(typed), watched=tuple(map(_path, typed.texts("watched"))),
    )  # fmt: skip


def _path(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text))


def _programs(typed: Typed) -> dict[What, Sequence[str]]:
    """What is run on what. Raises UsageError for what is no command line."""
    from thunderdl.daemon.events import What
    from thunderdl.reach import parse_command

    found: dict[What, Sequence[str]] = {}
    for what in HOOKED:
        if (command := typed.text(f"on_{what}")) is not None:
            try:
                parse_command(command)
            except ValueError as error:
                raise UsageError(f"--on-{what}: {printable(str(error)).lower()}.") from None
            found[What(what)] = shlex.split(command)
    return found


def _webhook(typed: Typed) -> str | None:
    webhook = typed.text("webhook")
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        raise UsageError("--webhook: write an address that begins with https:// or http://.")
    return webhook


def _given_secret(path: str | None, environment: MutableMapping[str, str]) -> str | None:
    """The secret that the user has set, from a file or from a variable, which programs that are run do not see."""
    from thunderdl.rpc.secret import checked_secret, secret_in

    text = environment.pop(SECRET_VARIABLE, None)
    if path is not None:
        return secret_in(_path(path))
    return checked_secret(text, SECRET_VARIABLE) if text is not None else None
