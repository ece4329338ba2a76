"""``python -m thunderdl`` and the ``thunderdl`` command. Nothing is imported here before it is needed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        from thunderdl.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
