"""Keys and detached signatures of minisign and signify's kind, read from their text.

Pure; what they are worth is computed elsewhere. Both are a comment line, then base64 of an algorithm's two letters, the
key's number and the bytes; a signature has a second comment that is signed, too, with the signature before it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from thunderdl.errors import printable

MAX_BYTES = 64 * 1024
_KEY_BYTES, _ID_BYTES, _SIGNATURE_BYTES = 32, 8, 64
_UNTRUSTED, _TRUSTED = "untrusted comment:", "trusted comment: "
# Of the file itself, and of its BLAKE2b-512 digest.
_PLAIN, _PREHASHED = b"Ed", b"ED"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """``number``: eight bytes that tell keys apart, no part of the cryptography."""

    number: bytes
    ed25519: bytes

    def __str__(self) -> str:
        return shown_number(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinisignSignature:
    """``is_prehashed``: of the file's BLAKE2b-512 digest, else of the file. ``comment_signature``: of ``value`` and
    ``comment`` together."""

    number: bytes
    value: bytes
    is_prehashed: bool
    comment: str
    comment_signature: bytes

    @property
    def commented(self) -> bytes:
        """What ``comment_signature`` is of."""
        return self.value + self.comment.encode("utf-8", "surrogateescape")


def parse_public_key(text: bytes) -> PublicKey:
    """The two lines of a ``.pub`` file, or its second alone. ValueError with a clause for anything else."""
    lines = _lines(text)
    if lines and lines[0].startswith(_UNTRUSTED):
        lines = lines[1:]
    if len(lines) != 1:
        raise ValueError("not a minisign public key")
    packed = _packed(lines[0], _ID_BYTES + _KEY_BYTES, (_PLAIN,), "not a minisign public key")
    return PublicKey(packed[2 : 2 + _ID_BYTES], packed[2 + _ID_BYTES :])


def parse_signature(text: bytes) -> MinisignSignature:
    """A ``.minisig`` file; ValueError with a clause for anything else."""
    wrong = "not a minisign signature"
    lines = _lines(text)
    if len(lines) != 4 or not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
        raise ValueError(wrong)
    packed = _packed(lines[1], _ID_BYTES + _SIGNATURE_BYTES, (_PLAIN, _PREHASHED), wrong)
    return MinisignSignature(
        number=packed[2 : 2 + _ID_BYTES], value=packed[2 + _ID_BYTES :], is_prehashed=packed[:2] == _PREHASHED,
        comment=lines[2].removeprefix(_TRUSTED), comment_signature=_decoded(lines[3], _SIGNATURE_BYTES, wrong),
    )  # fmt: skip


def is_minisign_signature(text: bytes) -> bool:
    """Whether it looks like one, good or bad."""
    return text.startswith(_UNTRUSTED.encode())


def shown_number(number: bytes) -> str:
    """As minisign itself shows it: the bytes are of a little-endian number."""
    return number[::-1].hex().upper()


def _lines(text: bytes) -> list[str]:
    if len(text) > MAX_BYTES:
        return []
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    stripped = [line.removesuffix("\r") for line in lines]
    while stripped and not stripped[-1].strip():
        stripped.pop()
    return stripped


def _packed(line: str, length: int, algorithms: tuple[bytes, ...], wrong: str) -> bytes:
    packed = _decoded(line, 2 + length, wrong)
    if packed[:2] not in algorithms:
        raise ValueError(f"{wrong}: its algorithm {printable(packed[:2].decode('latin-1'))!r} is not known")
    return packed


def _decoded(line: str, length: int, wrong: str) -> bytes:
    try:
        decoded = base64.b64decode(line.strip().encode(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(wrong) from None
    if len(decoded) != length:
        raise ValueError(wrong)
    return decoded
