"""One file, checked: ``python examples/get_with_checksum.py URL sha-256=… [FOLDER]``."""

from __future__ import annotations

import sys

import thunderdl


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    url, checksum, *folder = sys.argv[1:]
    try:
        result = thunderdl.get(url, *folder[:1], checksum=checksum)
    except thunderdl.ThunderdlError as error:
        # One sentence: what, where, what to do. Nothing wrong was saved under the final name.
        print(error, file=sys.stderr)
        return 1
    print(f"{result.path}: {result.bytes} bytes in {result.seconds:.2f} s, {', '.join(result.verified)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
