"""All options of aria2, by name: the table that command line, files, RPC, help and documentation are made from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thunderdl.aria2 import rows_program, rows_saving, rows_swarm, rows_transfer
from thunderdl.aria2.option import Option

#: Each once, in the order of help.
OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        option.name: option
        for rows in (rows_program.ROWS, rows_saving.ROWS, rows_transfer.ROWS, rows_swarm.ROWS)
        for option in rows
    }
)
#: Those that may be typed, or stand in a file.
SETTABLE: Mapping[str, Option] = MappingProxyType({n: o for n, o in OPTIONS.items() if not o.is_hidden})
BY_LETTER: Mapping[str, Option] = MappingProxyType({o.short: o for o in OPTIONS.values() if o.short})

#: Defaults of aria2 that hold here, too; of the other options the scheduler, or our own default, decides.
KEPT_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "dir": ".", "allow-overwrite": "false", "auto-file-renaming": "true", "continue": "false",
        "max-concurrent-downloads": "5", "max-tries": "5", "timeout": "60", "no-netrc": "false",
        "check-certificate": "true", "seed-ratio": "1.0",
    }
)  # fmt: skip


def defaults(*, of_a_download: bool = False) -> dict[str, str]:
    """What ``getGlobalOption`` (``getOption``, where ``of_a_download``) answers while nothing was set. Sizes are in
    bytes. Without what only the machine knows: ``conf-path``, ``netrc-path``, ``dir`` as an absolute path."""
    return {
        name: option.default
        for name, option in OPTIONS.items()
        if option.default is not None and (option.reach.of_a_download or not of_a_download) and name not in _UNTOLD
    }


# aria2 answers these only where they were given.
_UNTOLD = frozenset(
    {"force-sequential", "pause", "no-want-digest-header"} | {n for n, o in OPTIONS.items() if o.is_hidden}
)
