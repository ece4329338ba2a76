"""Values of aria2's options: judged and written as aria2 does.

What aria2 refuses is refused in its words: clients and scripts look for them. Three things are better here: a
number of ``seed-ratio`` that is none is refused, SOCKS proxies are taken, and control characters are taken nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from thunderdl.aria2.option import Form, Option
from thunderdl.aria2.table import OPTIONS
from thunderdl.errors import UsageError, printable
from thunderdl.options import CONTROL

#: Digest lengths in hex digits of the names that aria2 knows.
DIGESTS: Mapping[str, int] = {
    "sha-1": 40, "sha-224": 56, "sha-256": 64, "sha-384": 96, "sha-512": 128, "md5": 32, "adler32": 8,
}  # fmt: skip
_INT64 = 2**63
_NUMBER = re.compile(r"[ \t]*[+-]?[0-9]{1,19}")
_SIZE = re.compile(r"([ \t]*\+?[0-9]{1,19})([KkMm]?)")
_SCHEMES = "http|https|ftp|socks4|socks4a|socks5|socks5h"
_PROXY = re.compile(
    rf"(?:(?P<scheme>{_SCHEMES})://)?(?P<login>[^/@]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:@\[\]?#\s]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)


class UnknownOption(UsageError):
    """``name``: what aria2 has no option of."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"Unknown option: {printable(self.name)[:80]}."


class BadOption(UsageError):
    """A value that is none. ``name``: the option's; ``reason``: aria2's own sentence."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, printable(reason)

    def __str__(self) -> str:
        return f"We encountered a problem while processing the option '--{self.name}'."


class _Wrong(Exception):
    """``args``: the sentence."""


def option_named(name: str) -> Option:
    """The option. Raises UnknownOption."""
    try:
        return OPTIONS[name]
    except KeyError:
        raise UnknownOption(name) from None


def validated(name: str, value: str) -> str:
    """The value as aria2 keeps it (sizes in bytes, numbers without sign or zeros in front, proxies as URLs). Of an
    option that repeats, one of its values. Raises UnknownOption, BadOption."""
    option = option_named(name)
    try:
        if CONTROL.search(value):
            # A newline in a header would be a second one (bad-inputs T5).
            raise _Wrong(f"{name} must not hold control characters.")
        judge = _JUDGES.get(option.form)
        return judge(option, value) if judge else value
    except _Wrong as wrong:
        raise BadOption(name, str(wrong)) from None


def validated_all(name: str, value: str | Sequence[str]) -> str | list[str]:
    """The same for what RPC and files bring: several values, as a list or as lines, of an option that repeats. Raises
    as :func:`validated`."""
    option = option_named(name)
    if option.repeats:
        lines = value.split("\n") if isinstance(value, str) else value
        return [validated(name, line) for line in lines if line]
    if not isinstance(value, str):
        raise BadOption(name, f"{name} takes one value.")
    return validated(name, value)


def _switch(option: Option, value: str) -> str:
    if value not in ("true", "false", ""):
        raise _Wrong(f"{option.name} must be either 'true' or 'false'.")
    return value or "true"


def _number(option: Option, value: str) -> str:
    if not _NUMBER.fullmatch(value) or not -_INT64 <= int(value) < _INT64:
        raise _Wrong(f"Bad number {value[:80]}")
    return _within(option, int(value))


def _size(option: Option, value: str) -> str:
    return _within(option, bytes_of(value))


def bytes_of(value: str) -> int:
    """Bytes of a size as aria2 writes it: a whole number, K or M behind it."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise _Wrong(f"Bad or negative value detected: {value[:80]}")
    size = int(match[1]) << {"": 0, "K": 10, "M": 20}[match[2].upper()]
    if size >= _INT64:
        raise _Wrong(f"Overflow/underflow detected: {value[:80]}")
    return size


def _within(option: Option, number: int) -> str:
    least, most = option.least, option.most
    if least is not None and most is not None and not least <= number <= most:
        raise _Wrong(f"{option.name} must be between {least} and {most}.")
    if least is not None and number < least:
        raise _Wrong(f"{option.name} must be greater than or equal to {least}.")
    return str(number)


def _decimal(option: Option, value: str) -> str:
    # Empty is what clients send to take a value away.
    if value and not re.fullmatch(r"[+-]?(\d{1,12}(\.\d*)?|\.\d+)", value, re.ASCII):
        raise _Wrong(f"Bad number {value[:80]}")
    if value and float(value) < 0:
        raise _Wrong(f"{option.name} must be greater than or equal to 0.0.")
    return value


def _ranges(option: Option, value: str) -> str:
    for part in filter(None, value.split(",")):
        match = re.fullmatch(r"[ \t]*([0-9]{1,9})(?:-([0-9]{1,9}))?[ \t]*", part)
        if match is None:
            raise _Wrong(f"Bad number {part[:80]}")
        for number in filter(None, match.groups()):
            _within(option, int(number))
    return value


def _choice(option: Option, value: str) -> str:
    if value not in option.choices:
        listed = "".join(f"'{each}' " for each in option.choices)
        raise _Wrong(f"{option.name} must be one of the following:{listed}")
    return value


def _digest(option: Option, value: str) -> str:
    kind, _, digits = value.partition("=")
    kind = kind.lower()
    known = kind in DIGESTS and (not option.choices or kind in option.choices)
    if not known or not re.fullmatch(rf"[0-9A-Fa-f]{{{DIGESTS[kind]}}}", digits):
        raise _Wrong("Unrecognized checksum")
    return value


def _proxy(_: Option, value: str) -> str:
    if not value:
        return value
    match = _PROXY.fullmatch(value)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise _Wrong("unrecognized proxy format")
    scheme, port = (match["scheme"] or "http").lower(), match["port"]
    if not scheme.startswith("socks"):
        # As aria2: every proxy of its is spoken to in plain HTTP, https:// names but the port.
        scheme, port = "http", port or {"https": "443", "ftp": "21"}.get(scheme)
    return f"{scheme}://{match['login'] or ''}{match['host']}{f':{port}' if port else ''}/"


def _index_and_path(_: Option, value: str) -> str:
    index, _equals, path = value.partition("=")
    if not re.fullmatch(r"[0-9]{1,9}", index):
        raise _Wrong("Bad path index")
    if not path:
        raise _Wrong(f"Path with index={index} is empty.")
    return value


def _ends(_: Option, value: str) -> str:
    for part in filter(None, value.split(",")):
        word, equals, size = part.partition("=")
        if word not in ("head", "tail"):
            raise _Wrong(f"Unrecognized token {word[:80]}")
        if equals:
            bytes_of(size)
    return value


def _slots(option: Option, value: str) -> str:
    if value in ("", "true", "false"):
        return value or "true"
    first, colon, second = value.partition(":")
    for number in (first, second) if colon else (first,):
        if not re.fullmatch(r"[0-9]+(\.[0-9]*)?", number):
            raise _Wrong(f"Bad number '{number[:80]}'")
    if not colon:
        raise _Wrong(f"{option.name} must be either 'true', 'false' or a pair numeric coefficients A and B.")
    return value


_JUDGES: Mapping[Form, Callable[[Option, str], str]] = {
    Form.SWITCH: _switch, Form.NUMBER: _number, Form.SIZE: _size, Form.DECIMAL: _decimal, Form.RANGES: _ranges,
    Form.CHOICE: _choice, Form.DIGEST: _digest, Form.PROXY: _proxy, Form.INDEXED: _index_and_path, Form.ENDS: _ends,
    Form.SLOTS: _slots,
}  # fmt: skip
