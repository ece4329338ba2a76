"""Checksum files as they lie beside downloads: ``X.sha256``, ``SHA256SUMS``, ``CHECKSUM`` and their like.

Pure; never raises. Read are the formats of GNU (``hex  name``, ``hex *name``, escaped names), BSD and OpenSSL
(``SHA256 (name) = hex``), GnuPG (``name: AB CD …`` over several lines) and a digest all alone. What must hold:

- a digest counts for a file only by that file's name; a lone one only in a file that is called after it;
- of a clear-signed file only what the signature covers is read;
- nobody has checked the signature here: :attr:`ChecksumFile.signature` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thunderdl.formats.digest_fields import hex_digest
from thunderdl.formats.hashes import ALGORITHMS
from thunderdl.formats.sidecars import algorithm_hint, described_name
from thunderdl.formats.stated_digests import StatedDigest, Statement, judged
from thunderdl.model import Digest

MAX_BYTES = 16 * 2**20
MAX_ENTRIES = 2**17
_LONGEST_LINE = 8192

_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{32,128})(?: \*|[ \t]+)(.+)")
_BSD = re.compile(r"(\\?)([A-Za-z0-9][A-Za-z0-9/_-]{1,15}) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
_HEX = re.compile(r"[0-9A-Fa-f]{32,128}")
_HEX_GROUPS = re.compile(r"[0-9A-Fa-f \t]+")
_ESCAPE = re.compile(r"\\([\\nr])")
_ESCAPED = {"\\": "\\", "n": "\n", "r": "\r"}
_BY_LENGTH = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_LINE_ENDS = re.compile(r"\r\n|\n|\r")
_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``name``: as written, None for a digest that stands alone."""

    digest: Digest
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksumFile:
    """``signature``: the armour below a clear-signed text, None where it is not signed so."""

    entries: tuple[Entry, ...] = ()
    signature: str | None = None


def parse_checksum_file(document: bytes, sidecar: str = "") -> ChecksumFile:
    """All digests in it; none where it is larger than 16 MiB or something else, an error page for instance.

    ``sidecar``: the name of the checksum file, which tells the algorithm where the length leaves a choice
    (``B2SUMS``, ``X.blake3``).
    """
    if len(document) > MAX_BYTES:
        return ChecksumFile()
    lines, signature = _signed_part([line.rstrip() for line in _LINE_ENDS.split(_text(document))])
    hint = algorithm_hint(sidecar)
    entries: list[Entry] = []
    for line in _joined(lines):
        entry = _entry(line, hint)
        if entry and len(entries) < MAX_ENTRIES:
            entries.append(entry)
    return ChecksumFile(entries=tuple(entries), signature=signature)


def digests_in(document: bytes, *, target: str, sidecar: str) -> Statement:
    """What a checksum file states of one file; nothing where it is about others.

    ``target``: the file's name, or its path from the checksum file's folder; ``sidecar``: the checksum file's
    name. An equal path wins. Else the last part of the name decides, where all entries that share it agree:
    lists often give paths of the machine that made them.
    """
    entries = parse_checksum_file(document, sidecar).entries
    wanted = _path(target)
    found = [one for one in entries if one.name is not None and _path(one.name) == wanted]
    if not found:
        found = _by_last_part(entries, wanted)
    if not found and len(entries) == 1 and entries[0].name is None and _is_called_after(sidecar, target):
        found = list(entries)
    return judged(StatedDigest(digest=one.digest, field=sidecar) for one in found)


def _by_last_part(entries: Iterable[Entry], wanted: str) -> list[Entry]:
    last = wanted.rpartition("/")[2]
    alike = [one for one in entries if one.name is not None and _path(one.name).rpartition("/")[2] == last]
    said: dict[str, set[Digest]] = {}
    for one in alike:
        said.setdefault(_path(one.name or ""), set()).add(one.digest)
    # Two folders with a file of this name: only where all say the same does it not matter which is meant.
    return alike if len(set(map(frozenset, said.values()))) == 1 else []


def _is_called_after(sidecar: str, target: str) -> bool:
    return described_name(sidecar) == _path(target).rpartition("/")[2]


def _path(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _text(document: bytes) -> str:
    if document.startswith((b"\xff\xfe", b"\xfe\xff")):  # PowerShell's > writes UTF-16
        return document.decode("utf-16", "replace")
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError:
        return document.decode("latin-1")


def _signed_part(lines: list[str]) -> tuple[list[str], str | None]:
    """What a clear signature covers (RFC 9580 section 7), its dashes unescaped; all lines where there is none."""
    if _SIGNED not in lines:
        return lines, None
    begin = lines.index(_SIGNED) + 1
    if _SIGNATURE not in lines[begin:]:
        return [], None
    end = lines.index(_SIGNATURE, begin)
    inner = lines[begin:end]
    # The headers of the armour end with an empty line.
    text = inner[inner.index("") + 1 :] if "" in inner else []
    return [line.removeprefix("- ") for line in text], "\n".join(lines[end:]).rstrip() + "\n"


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines of digests; GnuPG's groups of hex, which go on over several lines, as one line each."""
    whole = ""
    for line in lines:
        if not line or line.startswith(("#", ";")) or len(line) > _LONGEST_LINE:
            continue
        if line[0] in " \t" and ":" in whole and len(whole) < _LONGEST_LINE and _HEX_GROUPS.fullmatch(line):
            whole += line
            continue
        if whole:
            yield whole
        whole = line
    if whole:
        yield whole


def _entry(line: str, hint: str) -> Entry | None:
    line = line.strip()
    if gnu := _GNU.fullmatch(line):
        return _named(_by_length(gnu[2], hint), gnu[3], gnu[1])
    if bsd := _BSD.fullmatch(line):
        return _named(hex_digest(bsd[2], bsd[4]), bsd[3], bsd[1])
    if _HEX.fullmatch(line):
        return _named(_by_length(line, hint), None, "")
    before, colon, after = line.rpartition(":")
    if not colon or not _HEX_GROUPS.fullmatch(after):
        return None
    digits = "".join(after.split())
    if alone := hex_digest(before, digits):
        return Entry(digest=alone, name=None)
    return _named(_by_length(digits, hint), before, "")


def _named(digest: Digest | None, name: str | None, escape: str) -> Entry | None:
    if digest is None:
        return None
    if name and escape:
        name = _ESCAPE.sub(lambda found: _ESCAPED[found[1]], name)
    return Entry(digest=digest, name=name)


def _by_length(digits: str, hint: str) -> Digest | None:
    algorithm = hint if hint and 2 * ALGORITHMS[hint] == len(digits) else _BY_LENGTH.get(len(digits), "")
    return hex_digest(algorithm, digits)
