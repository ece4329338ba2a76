"""``thunderdl config``: each setting, its value and where it came from; secrets masked."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.views import write_line
from thunderdl.errors import printable


def config(typed: Typed) -> int:
    """Show the settings as the same flags would make them for ``get``."""
    loaded = settings.load(typed.settings())
    loaded.options()
    lines = [f"# {printable(settings.config_path())}", *rows_of(loaded)]
    write_line(sys.stdout, "\n".join(lines))
    return 0


def rows_of(loaded: settings.Settings) -> Iterator[str]:
    """Aligned ``name = value  # origin`` lines."""
    values = {item.row.name: item.shown() for item in loaded.items}
    width = max(map(len, values))
    value_width = min(max(map(len, values.values())), 40)
    for item in loaded.items:
        yield f"{item.row.name:<{width}} = {values[item.row.name]:<{value_width}}  # {item.origin}"
