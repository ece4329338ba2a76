"""Which files beside a download may hold its checksum or signature, by their names alone.

Pure: URLs in, URLs out; nothing is fetched. Query and fragment of the download are not carried over: they may be a
signature or a token for that one file.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from thunderdl.formats.hashes import canonical_algorithm
from thunderdl.formats.strength import is_strong

# In order of worth: what is about this one file and strong first, then lists, what is weak last.
_OWN = ("sha256", "sha256sum", "sha512")
_LISTS = ("SHA256SUMS", "SHA512SUMS", "sha256sum.txt", "CHECKSUM")
_WEAK = ("md5",)
_SIGNATURES = ("sig", "asc", "minisig")
_LIST_SIGNATURES = ("gpg", "sign")
_SUFFIX = re.compile(
    r"(.+)[._-](?:(?:sha-?(?:1|224|256|384|512)|sha3-(?:224|256|384|512)|md5|blake2[bs]|blake3|b2|b3)(?:sums?)?"
    r"|checksums?|digest)(?:\.txt)?",
    re.IGNORECASE,
)
_SIGNATURE_SUFFIX = re.compile(r".+\.(?:sig|asc|minisig|gpg|sign|signature)", re.IGNORECASE)
_LIST = re.compile(r"(?:.*[._-])?(?:(?:sha|md|b)\w{1,4}sums?|checksums?)(?:\.txt)?", re.IGNORECASE)
_HINT = re.compile(
    r"(?:^|[^a-z0-9])(sha-?(?:1|224|256|384|512)|sha3[-_](?:224|256|384|512)|md5|blake2[bs]|blake3|b2|b3)"
    r"(?=sums?|[^a-z0-9]|$)",
    re.IGNORECASE,
)
_SHORT = {"b2": "blake2b", "b3": "blake3"}


def checksum_candidates(url: str) -> tuple[str, ...]:
    """URLs of checksum files to look for beside a download, the most useful first; none beside one of them."""
    folder, name = _split(url)
    if not name or _is_sidecar(unquote(name)):
        return ()
    own, weak = ([f"{folder}{name}.{suffix}" for suffix in suffixes] for suffixes in (_OWN, _WEAK))
    return (*own, *(folder + listed for listed in _LISTS), *weak)


def signature_candidates(url: str) -> tuple[str, ...]:
    """URLs of detached signatures to look for beside a download or a checksum file."""
    folder, name = _split(url)
    if not name or _SIGNATURE_SUFFIX.fullmatch(unquote(name)):
        return ()
    suffixes = (*_LIST_SIGNATURES, *_SIGNATURES) if _LIST.fullmatch(unquote(name)) else _SIGNATURES
    return tuple(f"{folder}{name}.{suffix}" for suffix in suffixes)


def described_name(sidecar: str) -> str:
    """The file that a checksum file is called after, ``X`` of ``X.sha256``; empty for a list."""
    found = _SUFFIX.fullmatch(sidecar)
    return found[1] if found else ""


def algorithm_hint(sidecar: str) -> str:
    """The algorithm that the name of a checksum file tells, as hashlib names it; empty where it tells none."""
    found = _HINT.search(sidecar)
    return canonical_algorithm(_SHORT.get(found[1].lower(), found[1])) if found else ""


def is_weak_sidecar(url: str) -> bool:
    """Whether a checksum file says by its name that its digests can be forged."""
    hint = algorithm_hint(unquote(url.rpartition("/")[2]))
    return bool(hint) and not is_strong(hint)


def _is_sidecar(name: str) -> bool:
    return bool(_SUFFIX.fullmatch(name) or _SIGNATURE_SUFFIX.fullmatch(name) or _LIST.fullmatch(name))


def _split(url: str) -> tuple[str, str]:
    """The URL up to its last slash, and the last segment as it stands; no segment where there is no path."""
    plain = re.split(r"[?#]", url, maxsplit=1)[0]
    folder, _, name = plain.rpartition("/")
    return (f"{folder}/", name) if "://" in folder and not folder.endswith(":/") else (plain, "")
