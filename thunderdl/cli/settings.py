"""Settings: defaults, then config.toml, then THUNDERDL_…, then flags; the later wins, and each remembers its origin.

:func:`merge` is pure: three mappings in, :class:`Settings` out. :func:`load` alone looks at the disk and the
environment. Invariant: every bad value is refused with the file, variable or flag and the key it stands at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from thunderdl.cli import serving_flags
from thunderdl.errors import UsageError, printable, shown_url
from thunderdl.option_values import value_of
from thunderdl.options import Encryption, Exists, Kind, Options, Priority, Row, table
from thunderdl.reach import IpVersion, Resolve

_ON_LINUX: bool = sys.platform == "linux"
Given = Mapping[str, object]
# Header names whose values are no secret; every other value is masked where settings are shown.
_HARMLESS_HEADERS = {"accept", "accept-language", "accept-encoding", "cache-control", "dnt", "pragma", "user-agent"}


class Setting(NamedTuple):
    """One value and where it came from: ``default``, a file and key, a variable, or a flag."""

    row: Row
    value: object
    origin: str

    def shown(self) -> str:
        """The value as text, secrets masked."""
        return printable(_shown(self.row, self.value))


class Settings(NamedTuple):
    """All settings in the order of the table."""

    items: tuple[Setting, ...]

    def options(self) -> Options:
        """The Options they make; UsageError where values do not go together."""
        return Options(**{item.row.name: item.value for item in self.items})  # type: ignore[arg-type]  # typed by merge


def merge(*, file: Given, environment: Mapping[str, str], flags: Given, file_name: str = "config.toml") -> Settings:
    """One Setting for each row.

    ``file``: the parsed TOML table; ``environment``: all variables, only ``THUNDERDL_<NAME>`` are looked at;
    ``flags``: by field name, text as typed (tuples of text for what repeats, bool for switches), None for not given.
    UsageError for an unknown key of the file and for any value that does not parse.
    """
    _refuse_unknown(file, file_name)
    serving_flags.values_of(file, file_name)
    return Settings(tuple(_setting(row, file, environment, flags, file_name) for row in table()))


def load(flags: Given) -> Settings:
    """The settings of this process. UsageError also for a config file that cannot be read."""
    path = config_path()
    return merge(file=read_config(path), environment=os.environ, flags=flags, file_name=path)


def daemon_values() -> serving_flags.Values:
    """What the file's table ``[daemon]`` says, by the names of the flags. Raises UsageError."""
    path = config_path()
    return serving_flags.values_of(read_config(path), path)


def config_path() -> str:
    """Where config.toml is looked for: THUNDERDL_CONFIG, else the user's config folder as platformdirs names it."""
    if named := os.environ.get("THUNDERDL_CONFIG"):
        return named
    if _ON_LINUX:
        # The rule of platformdirs.unix, without its 15 ms of import; tests/cli/test_settings.py compares the two.
        base = os.environ.get("XDG_CONFIG_HOME", "").strip() or os.path.expanduser("~/.config")
        return os.path.join(base, "thunderdl", "config.toml")
    import platformdirs

    return os.path.join(platformdirs.user_config_dir("thunderdl", appauthor=False), "config.toml")


def state_path() -> str:
    """The daemon's folder: THUNDERDL_STATE, else what config.toml says, else below the user's state folder as
    platformdirs names it. Raises UsageError."""
    if named := os.environ.get("THUNDERDL_STATE") or daemon_values().get("state"):
        return os.path.abspath(os.path.expanduser(str(named)))
    if _ON_LINUX:
        base = os.environ.get("XDG_STATE_HOME", "").strip() or os.path.expanduser("~/.local/state")
        return os.path.join(base, "thunderdl")
    import platformdirs

    return platformdirs.user_state_dir("thunderdl", appauthor=False)


def read_config(path: str) -> Given:
    """The table in the file, empty where there is no file; UsageError if it is not TOML or not readable."""
    try:
        stream = open(path, "rb")  # noqa: SIM115  # closed below; the absent file is the common case
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror or error}.") from error
    import tomllib

    with stream:
        try:
            return tomllib.load(stream)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{printable(path)}: not valid TOML: {printable(str(error))}.") from error
        except OSError as error:
            raise UsageError(f"{printable(path)}: {error.strerror or error}.") from error


def _setting(row: Row, file: Given, environment: Mapping[str, str], flags: Given, file_name: str) -> Setting:
    given = flags.get(row.name)
    if given is not None and given != ():
        return Setting(row=row, value=value_of(row, given, row.flags[-1]), origin=row.flags[-1])
    if not row.once:
        text = environment.get(row.environment)
        if text is not None:
            lines: object = tuple(filter(None, text.split("\n"))) if row.kind.repeats else text
            return Setting(row=row, value=value_of(row, lines, row.environment), origin=row.environment)
        if row.name in file:
            origin = f"{printable(file_name)}: {row.name}"
            return Setting(row=row, value=value_of(row, _from_toml(row, file[row.name], origin), origin), origin=origin)
    return Setting(row=row, value=row.default, origin="default")


def _from_toml(row: Row, value: object, origin: str) -> object:
    """TOML's own types as the text (or switch) that a flag would bring, so that one parser judges both."""
    match row.kind, value:
        case (Kind.SWITCH, bool()) | (_, str()):
            return value
        case Kind.HEADER, dict():
            return tuple(f"{name}: {text}" for name, text in value.items())
        case kind, list() if kind.repeats and all(isinstance(line, str) for line in value):
            return tuple(value)
        case ((Kind.COUNT | Kind.RATE | Kind.SECONDS | Kind.RATIO), int() | float()) if not isinstance(value, bool):
            return str(value)
    raise UsageError(f"{origin}: a value of type {type(value).__name__} cannot be used here.")


def _refuse_unknown(file: Given, file_name: str) -> None:
    known = [*(row.name for row in table() if not row.once), serving_flags.TABLE]
    for key in file:
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            advice = f"; did you mean {near[0]!r}?" if near else "; `thunderdl config` lists those there are."
            raise UsageError(f"{printable(file_name)}: unknown key {printable(key)!r}{advice}")


def _shown(row: Row, value: object) -> str:
    if value in (None, ()):
        return "–"
    if row.kind is Kind.SECRET:
        return "***"
    if isinstance(value, tuple):
        return ", ".join(_shown_part(row, each) for each in value)
    match row.kind, value:
        case Kind.URL, str():
            return _masked_url(value)
        case Kind.SWITCH, bool():
            return "yes" if value else "no"
        case _, Exists() | Priority() | Encryption() | IpVersion():
            return str(value.value)
    return str(value)


def _shown_part(row: Row, value: object) -> str:
    match row.kind, value:
        case Kind.HEADER, (str() as name, str() as text):
            return f"{name}: {_masked_header(name, text)}"
        case Kind.PROXY_FOR, (str() as hosts, str() as url):
            return f"{hosts}={_masked_url(url)}"
        case Kind.RESOLVE, Resolve():
            return f"{value.host}:{value.port or '*'}:{','.join(value.addresses)}"
        case Kind.PEER, (host, port):
            return f"{host}:{port}"
    return shown_url(str(value))


def _masked_url(url: str) -> str:
    head, at, host = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{host}" if at else url


def _masked_header(name: str, text: str) -> str:
    return text if name.lower() in _HARMLESS_HEADERS else "***"
