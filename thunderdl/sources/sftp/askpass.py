"""How ``ssh`` gets a password: from a program that it runs, SSH_ASKPASS, which reads it from a pipe of ours.

The password is on no command line, in no environment and in no file: the pipe lies in a folder that nobody else may
enter, and what is in it is gone with it. Only a prompt for a password is answered, never one for a passphrase of a
key or a host's fingerprint. Needs OpenSSH 8.4 (SSH_ASKPASS_REQUIRE); older ones ask nobody and are denied.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping

from thunderdl.errors import LastingFault

# Once by the method "password", once by "keyboard-interactive", each asked once.
_ANSWERS = 2
_SCRIPT = """#!/bin/sh
case "$1" in
  *passphrase*|*PIN*) exit 1 ;;
  *[Pp]assword*|*PASSWORD*) IFS= read -r answer < "${0%/*}/pipe" && printf '%s\\n' "$answer" ;;
  *) exit 1 ;;
esac
"""


@contextlib.contextmanager
def answering(password: str) -> Iterator[Mapping[str, str]]:
    """The environment in which ``ssh`` finds the password, as long as this is entered. Raises LastingFault."""
    with contextlib.ExitStack() as stack:
        try:
            environment = _prepared(password, stack)
        except OSError as error:
            reason = f"the password cannot be handed to ssh ({error.strerror or type(error).__name__})"
            raise LastingFault("", reason, "name a folder that can be written to in TMPDIR") from None
        yield environment


def _prepared(password: str, stack: contextlib.ExitStack) -> Mapping[str, str]:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="thunderdl-ssh-"))
    program, pipe = os.path.join(folder, "askpass"), os.path.join(folder, "pipe")
    with os.fdopen(os.open(program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w") as script:
        script.write(_SCRIPT)
    os.mkfifo(pipe, 0o600)
    # Read and write: neither waits for another end, and the bytes stay for as long as this is open.
    fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    os.write(fd, f"{password}\n".encode("utf-8", "surrogateescape") * _ANSWERS)
    return {"SSH_ASKPASS": program, "SSH_ASKPASS_REQUIRE": "force"}
