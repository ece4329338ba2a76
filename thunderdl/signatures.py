"""Detached signatures against a key of the user's: minisign (ed25519 by ``cryptography``), OpenPGP (by ``gpgv``).

Everything blocks. A signature is good only where the user's own key made it; keys are fetched from nowhere. ``gpgv`` is
run without a shell, with a home and a keyring of its own, and for a bounded time: what it says on its status channel
counts (its exit status alone is 0 for a good signature of an expired key, too), what it says to people does not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mmap
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import BinaryIO

from thunderdl.errors import BadSignature, StorageError, UsageError, printable
from thunderdl.formats.minisign import (
    MinisignSignature,
    PublicKey,
    is_minisign_signature,
    parse_public_key,
    parse_signature,
    shown_number,
)

MAX_KEY_BYTES = 16 * 1024 * 1024
MAX_SIGNATURE_BYTES = 1024 * 1024
# A signature of the file itself, as minisign's old form is, wants all of it in memory at once.
MAX_PLAIN_BYTES = 1 << 30
_CHUNK_BYTES = 1024 * 1024
# gpgv hashes 200 MB a second and more; a disk may be slower.
_LEAST_S, _BYTES_PER_S = 60.0, 10_000_000
_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+\r?\n)*[ \t]*\r?\n([A-Za-z0-9+/=\s]+?)-----END PGP"
)
_ARMOR_CHECK = re.compile(rb"^=[A-Za-z0-9+/]{4}\s*$", re.MULTILINE)
_STATUS = "[GNUPG:] "
_BAD = ("BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")
_CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"


@dataclass(frozen=True, slots=True)
class Key:
    """What the user trusts. ``minisign``: such a key, None where ``keyring`` holds OpenPGP packets; ``path``: where it
    came from."""

    path: str
    minisign: PublicKey | None
    keyring: bytes = b""

    def fits(self, signature: bytes) -> bool:
        """Whether a signature is of this kind at all."""
        if self.minisign is not None:
            return is_minisign_signature(signature)
        # A packet's first byte has its highest bit set (RFC 9580 section 4.2); else it is armored.
        return signature[:1] >= b"\x80" or b"-----BEGIN PGP SIGNATURE-----" in signature[:4096]


def load_key(path: str) -> Key:
    """The key in a file: minisign's ``.pub``, or an OpenPGP keyring, armored or not. Raises UsageError."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--signed-by {printable(path)}: {error.strerror or 'cannot be read'}.") from None
    try:
        return Key(path, parse_public_key(content))
    except ValueError:
        pass
    keyring = _dearmored(content)
    # The first packet of a key is a public key: tag 6 in the old format or the new (RFC 9580 section 4.2).
    if len(content) > MAX_KEY_BYTES or not keyring or (keyring[0] & 0xFC != 0x98 and keyring[0] != 0xC6):
        raise UsageError(f"--signed-by {printable(path)}: neither a minisign public key nor an OpenPGP keyring.")
    if shutil.which("gpgv") is None:
        raise UsageError("--signed-by: an OpenPGP key needs gpgv, a part of GnuPG; install it, or use minisign.")
    return Key(path, None, keyring)


def check_signature(key: Key, signature: bytes, signed: BinaryIO, what: str, told_by: str) -> str:
    """Whose signature it is, where it is good. Raises BadSignature, StorageError.

    ``signed``: the file, open at its start; ``what``: its name; ``told_by``: the signature's.
    """
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise BadSignature(what, f"{told_by} is too large for a signature")
    if not key.fits(signature):
        raise BadSignature(what, f"{told_by} is of another kind than the key")
    try:
        if key.minisign is not None:
            return _checked_minisign(key.minisign, signature, signed)
        return _checked_openpgp(key, signature, signed)
    except ValueError as error:
        raise BadSignature(what, f"{told_by}: {error}") from None
    except OSError as error:
        raise StorageError(what, error.strerror or "cannot be read") from None


def is_clear_signed(text: bytes) -> bool:
    """Whether a text holds its own OpenPGP signature."""
    return _CLEAR in text[: 64 * 1024]


def check_clear_signed(key: Key, text: bytes, what: str) -> str:
    """The same for a text that holds its own signature. Raises BadSignature."""
    if key.minisign is not None:
        raise BadSignature(what, "its signature is of another kind than the key")
    try:
        return _ask_gpgv(key, text, None, 0)
    except ValueError as error:
        raise BadSignature(what, str(error)) from None


# -- minisign


def _checked_minisign(key: PublicKey, text: bytes, signed: BinaryIO) -> str:
    signature = parse_signature(text)
    if signature.number != key.number:
        raise ValueError(f"it was made by another key, {shown_number(signature.number)}, not by {key}")
    if signature.is_prehashed:
        is_good = _is_signed(key, signature.value, _blake2b(signed))
    else:
        is_good = _is_file_signed(key, signature, signed)
    if not is_good:
        raise ValueError("it is not of these bytes")
    if not _is_signed(key, signature.comment_signature, signature.commented):
        raise ValueError("its trusted comment was changed")
    return f"minisign key {key} ({printable(signature.comment)[:200]})"


def _blake2b(signed: BinaryIO) -> bytes:
    hasher = hashlib.blake2b()
    while part := signed.read(_CHUNK_BYTES):
        hasher.update(part)
    return hasher.digest()


def _is_file_signed(key: PublicKey, signature: MinisignSignature, signed: BinaryIO) -> bool:
    size = os.fstat(signed.fileno()).st_size
    if size > MAX_PLAIN_BYTES:
        raise ValueError(f"it is of minisign's old form, which is checked up to {MAX_PLAIN_BYTES >> 20} MiB")
    if not size:
        return _is_signed(key, signature.value, b"")
    with mmap.mmap(signed.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as content:
        return _is_signed(key, signature.value, content)


def _is_signed(key: PublicKey, signature: bytes, content: bytes | memoryview) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.ed25519).verify(signature, content)
    except InvalidSignature:
        return False
    return True


# -- OpenPGP


def _checked_openpgp(key: Key, signature: bytes, signed: BinaryIO) -> str:
    return _ask_gpgv(key, signature, signed, os.fstat(signed.fileno()).st_size)


def _ask_gpgv(key: Key, signature: bytes, signed: BinaryIO | None, size: int) -> str:
    with tempfile.TemporaryDirectory(prefix="thunderdl-") as home:
        ring, made = os.path.join(home, "keys.gpg"), os.path.join(home, "signature")
        for path, content in ((ring, key.keyring), (made, signature)):
            with open(path, "wb") as stream:
                stream.write(content)
        command = ["gpgv", "--homedir", home, "--keyring", ring, "--status-fd", "1", "--", made]
        try:
            done = subprocess.run(
                [*command, "-"] if signed is not None else command, stdin=signed or subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_LEAST_S + size / _BYTES_PER_S, check=False,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ValueError("gpgv did not come to an end") from None
    return _who(done.stdout.decode("utf-8", "replace"), key.path)


def _who(status: str, path: str) -> str:
    """Who signed, by the lines of gpgv's status channel; ValueError with a clause where nobody did as it should be."""
    lines = [line.removeprefix(_STATUS).split(" ", 2) for line in status.splitlines() if line.startswith(_STATUS)]
    words = {line[0]: line[1:] for line in lines}
    if any(word in words for word in _BAD):
        reasons = {
            "BADSIG": "it is not of these bytes", "EXPSIG": "it has expired", "EXPKEYSIG": "its key has expired",
            "REVKEYSIG": "its key was revoked",
        }  # fmt: skip
        raise ValueError(next(reason for word, reason in reasons.items() if word in words))
    if "GOODSIG" in words and "VALIDSIG" in words:
        name = printable(words["GOODSIG"][1]) if len(words["GOODSIG"]) > 1 else "nobody named"
        return f"OpenPGP key {printable(words['VALIDSIG'][0])} ({name[:200]})"
    if "NO_PUBKEY" in words:
        raise ValueError(f"it was made by another key, {words['NO_PUBKEY'][0]}, than those in {printable(path)}")
    raise ValueError("not a signature that gpgv can check")


def _dearmored(content: bytes) -> bytes:
    """Packets, also where they came as text; gpgv takes packets alone. Empty where the text is none."""
    if b"-----BEGIN PGP" not in content[: 64 * 1024]:
        return content
    blocks = []
    for found in _ARMOR.finditer(content):
        try:
            blocks.append(base64.b64decode(_ARMOR_CHECK.sub(b"", found[1])))
        except binascii.Error:
            return b""
    return b"".join(blocks)
