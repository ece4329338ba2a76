"""``python -m thunderdl`` and the ``thunderdl`` command. Nothing is imported here before it is needed."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of this process and exit; called by a link named ``aria2c``, as aria2 would."""
    try:
        from thunderdl.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    code = run(arguments_of(sys.argv))
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)
    # All that was open is closed: what Python clears away before it ends takes 60 ms, an eighth of a small download.
    os._exit(code)


def arguments_of(argv: list[str]) -> list[str]:
    """What follows the program's name, with the command that the name itself stands for."""
    name = argv[0].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    return ["aria2c", *argv[1:]] if name == "aria2c" else argv[1:]


if __name__ == "__main__":
    main()
