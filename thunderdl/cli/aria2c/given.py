"""What was asked of ``thunderdl aria2c``: defaults, then aria2.conf, then the command line; the later wins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from thunderdl.aria2.command_line import CommandLine, Options
from thunderdl.aria2.files import read_conf
from thunderdl.aria2.table import KEPT_DEFAULTS, OPTIONS
from thunderdl.aria2.values import BadOption, validated_all
from thunderdl.errors import UsageError, printable

# Whoever names one of these expects it to be there.
_MUST_EXIST = ("torrent-file", "metalink-file")


class BadConf(UsageError):
    """``path``: of the aria2.conf in which ``cause`` stands."""

    def __init__(self, path: str, cause: BadOption) -> None:
        super().__init__(path, cause)
        self.path, self.cause = path, cause

    def __str__(self) -> str:
        return f"Parse error in {printable(self.path)}: {self.cause}"


class Given(NamedTuple):
    """``options``: as aria2 keeps them, without defaults; ``warnings``: what the configuration names and aria2 does
    not know, and cookies that are not there."""

    options: Options
    uris: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """The value, aria2's default, or nothing."""
        value = self.options.get(name, OPTIONS[name].default)
        return value if isinstance(value, str) else ""

    def is_on(self, name: str) -> bool:
        return self.text(name) == "true"

    def number(self, name: str) -> int:
        return int(self.text(name) or 0)

    def of_a_download(self) -> Options:
        """What was given and holds for each download."""
        return {name: value for name, value in self.options.items() if OPTIONS[name].reach.of_a_download}

    def with_defaults(self, own: Options) -> Options:
        """Everything that holds for a download with these options of its own."""
        # A name, or a number, is one download's: of a list each would be saved under it.
        of_all = {name: value for name, value in self.options.items() if name not in ("out", "gid")}
        return {**KEPT_DEFAULTS, "dir": os.getcwd(), **of_all, **own}


def load(line: CommandLine, environment: Mapping[str, str]) -> Given:
    """What the command line and aria2.conf say. Raises BadOption, BadConf, UsageError."""
    typed = {name: _checked(name, value) for name, value in line.options.items()}
    if typed.get("no-conf") == "true":
        return _without_lost_cookies(Given(typed, line.uris))
    home = environment.get("HOME", "")
    path = conf_path(typed, environment)
    read = read_conf(_text_of(path, is_named="conf-path" in typed), home=home)
    try:
        of_file = {name: _checked(name, value) for name, value in read.options.items()}
    except BadOption as bad:
        raise BadConf(path, bad) from None
    told = tuple(f"Unknown option: {line}" for line in read.unknown)
    return _without_lost_cookies(Given({**of_file, **typed}, line.uris, told))


def _without_lost_cookies(given: Given) -> Given:
    """aria2 says that they are lost, and downloads without them: a configuration names them before there are any."""
    path = given.text("load-cookies")
    if not path or os.access(os.path.expanduser(path), os.R_OK):
        return given
    options = {name: value for name, value in given.options.items() if name != "load-cookies"}
    return Given(options, given.uris, (*given.warnings, f"Failed to load cookies from {printable(path)}"))


def _checked(name: str, value: str | list[str]) -> str | list[str]:
    kept = validated_all(name, value)
    if name in _MUST_EXIST and isinstance(kept, str) and kept not in ("", "-") and not os.path.exists(kept):
        raise BadOption(name, "Could not get file status: No such file or directory")
    return kept


def conf_path(typed: Options, environment: Mapping[str, str]) -> str:
    """Where aria2.conf is, or would be."""
    home, named = environment.get("HOME", ""), typed.get("conf-path")
    if isinstance(named, str):
        return named
    old = os.path.join(home, ".aria2", "aria2.conf")
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return old if os.path.isfile(old) else os.path.join(base, "aria2", "aria2.conf")


def _text_of(path: str, *, is_named: bool) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        if is_named:
            raise UsageError(f"Configuration file {printable(path)} is not found.") from None
        return ""
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror or error}.") from error
