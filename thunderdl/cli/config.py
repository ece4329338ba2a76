"""``thunderdl config``: each setting, its value and where it came from; secrets masked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from thunderdl.cli import settings
from thunderdl.cli.grammar import Typed
from thunderdl.cli.serving_flags import shown
from thunderdl.cli.views import write_line
from thunderdl.errors import printable


def config(typed: Typed) -> int:
    """Show the settings as the same flags would make them for ``get``."""
    loaded = settings.load(typed.settings())
    loaded.options()
    path = settings.config_path()
    lines = [f"# {printable(path)}", *rows_of(loaded, shown(settings.daemon_values(), path))]
    write_line(sys.stdout, "\n".join(lines))
    return 0


def rows_of(loaded: settings.Settings, more: Iterable[tuple[str, str, str]] = ()) -> Iterator[str]:
    """Aligned ``name = value  # origin`` lines. ``more``: further ones, in these three parts."""
    rows = [*((item.row.name, item.shown(), item.origin) for item in loaded.items), *more]
    width = max(len(name) for name, _, _ in rows)
    value_width = min(max(len(value) for _, value, _ in rows), 40)
    for name, value, origin in rows:
        yield f"{name:<{width}} = {value:<{value_width}}  # {origin}"
