"""``python -m thunderdl`` and the ``thunderdl`` command. Nothing is imported here before it is needed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit; called by a link named ``aria2c``, as aria2 would."""
    try:
        from thunderdl.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(arguments_of(sys.argv)))


def arguments_of(argv: list[str]) -> list[str]:
    """What follows the program's name, with the command that the name itself stands for."""
    name = argv[0].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    return ["aria2c", *argv[1:]] if name == "aria2c" else argv[1:]


if __name__ == "__main__":
    main()
