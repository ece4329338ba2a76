"""``python -m tests.bench``: run the rows, print the tables, write docs/bench.md and docs/bench.png.

A benchmark reports; it never fails because something was slow. Files are written for a whole run only,
or where ``--write`` asks for it, so that a quick look does not replace the record.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tests.bench.bed import MIB, Bed, made_bed
from tests.bench.measure import RunFailed
from tests.bench.plot import save_plot
from tests.bench.report import Findings, markdown
from tests.bench.rows import ROWS, race
from tests.bench.special import huge_file, import_seconds
from tests.bench.tools import TOOLS

DOCS = Path(__file__).parents[2] / "docs"
HUGE = "huge"
KEYS = (*(row.key for row in ROWS), HUGE)


def main() -> None:
    asked = _arguments()
    found = Findings(size_bytes=asked.size, runs=asked.runs)
    with made_bed(asked.size) as bed:
        for row in ROWS:
            if row.key in asked.only:
                print(f"{row.key}: {row.title}", flush=True)
                found.rows.append((row, race(row, bed, asked.runs)))
        if "cold" in asked.only:
            found.import_s = _imports(bed)
        if HUGE in asked.only:
            print("huge: a file of 1 TB", flush=True)
            found.huge = [huge_file(name, bed) for name in ("thunderdl", "aria2c", "aria2-next")]
    text = markdown(found)
    print(f"\n{text}")
    if asked.write or set(asked.only) == set(KEYS):
        DOCS.mkdir(exist_ok=True)
        (DOCS / "bench.md").write_text(text)
        save_plot(found, DOCS / "bench.png")
        print("written: docs/bench.md, docs/bench.png")


def _imports(bed: Bed) -> float | None:
    if TOOLS["thunderdl"].absent():
        return None
    try:
        return sorted(import_seconds(bed) for _ in range(3))[1]
    except RunFailed as failure:
        print(f"  imports: {failure}")
        return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Compare thunderdl with its peers.")
    parser.add_argument("--only", type=_keys, default=KEYS, help=f"rows, comma-separated: {','.join(KEYS)}")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool in each row (default 5)")
    parser.add_argument("--size", type=_size, default=2048 * MIB, help="of the one large file: 256M, 2G (default 2G)")
    parser.add_argument("--write", action="store_true", help="write docs/ even though not all rows ran")
    return parser.parse_args()


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(text.split(","))
    unknown = ", ".join(set(keys) - set(KEYS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {unknown}; there are {', '.join(KEYS)}")
    return keys


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([MG])", text)
    if match is None:
        raise argparse.ArgumentTypeError("a size is 256M or 2G")
    return int(match[1]) * (MIB if match[2] == "M" else 1024 * MIB)


if __name__ == "__main__":
    main()
