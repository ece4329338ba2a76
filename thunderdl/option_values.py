"""Options from texts, wherever they come from: a flag, a settings file, a list, an interface.

What each text means :mod:`thunderdl.option_texts` knows; here are added what needs another layer (digests) and the
words for what is wrong. Every bad value is refused with where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from thunderdl.errors import UsageError, printable
from thunderdl.option_texts import parse_value
from thunderdl.options import Exists, Kind, Options, Row, table

_SECRET_KINDS = (Kind.HEADER, Kind.URL, Kind.SECRET, Kind.PROXY_FOR)


def value_of(row: Row, given: object, origin: str) -> object:
    """The value that ``given`` means for this row: text, a tuple of texts where it repeats, a bool for a switch.

    Raises UsageError that begins with ``origin``.
    """
    # The text that is at fault, where there is a fault.
    said = given
    try:
        if isinstance(given, bool | Exists):
            return given
        if row.kind.repeats:
            lines = (given,) if isinstance(given, str) else given
            assert isinstance(lines, tuple)
            values = []
            for said in lines:
                values.append(parse_value(row, said))
            return tuple(values)
        if not isinstance(given, str):
            raise ValueError("given more than once")
        if row.kind is Kind.DIGEST:
            from thunderdl.formats.hashes import parse_checksum

            return parse_checksum(given)
        if row.kind is Kind.PIECE_HASHES:
            return _piece_hashes(given)
        return _path(parse_value(row, given)) if row.kind is Kind.PATH else parse_value(row, given)
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error
    except ValueError as error:
        # A header or a proxy URL may be a secret; what is wrong with it is enough.
        shown = "" if row.kind in _SECRET_KINDS else f"{printable(str(said))[:80]!r}: "
        raise UsageError(f"{origin}: {shown}{error}.") from error


def with_texts(options: Options, texts: Mapping[str, str | tuple[str, ...]]) -> Options:
    """The options with those that ``texts`` names in their place; an empty text is the default again.

    Raises UsageError for an unknown name and for what does not parse.
    """
    rows = {row.name: row for row in table()}
    changes: dict[str, object] = {}
    for name, text in texts.items():
        if (row := rows.get(name)) is None:
            raise UsageError(f"{printable(name)[:60]!r}: no such option.")
        changes[name] = row.default if text in ("", ()) else value_of(row, text, name)
    return replace(options, **changes) if changes else options  # type: ignore[arg-type]  # typed by the rows


def _piece_hashes(path: str) -> object:
    from thunderdl.formats.hashes import parse_piece_hashes

    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return parse_piece_hashes(stream.read())
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror or error}.") from error


def _path(value: object) -> str:
    """A leading ``~`` is the home folder, also from places no shell expands."""
    return os.path.expanduser(str(value))
