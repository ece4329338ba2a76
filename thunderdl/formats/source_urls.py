"""URLs that documents and headers of others name as sources: which of them may be used at all.

Pure. What holds for a URL that comes out of here:

- its scheme is one of the asked ones, so no ``file:``, ``data:`` or ``javascript:`` gets in (bad-inputs C12);
- it has a host and, if any, a port within 1 … 65535;
- it holds no control character, white space or lone surrogate, so it is one line everywhere (T5, T7);
- it is at most :data:`LONGEST_URL` characters.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urljoin

from thunderdl.formats.links import FOREIGN_SCHEMES

#: What a mirror may be reached by, by us or by others. ``file`` is not among them: a document from the network must not
#: name local files.
MIRROR_SCHEMES = FOREIGN_SCHEMES | {"sftp", "rsync"}
WEB_SCHEMES = frozenset(["http", "https"])
LONGEST_URL = 8192

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(
    r"//(?:[^/?#\\@]*@)?(?:\[[0-9A-Fa-f:.]+(?:%25[^\]/?#\\]*)?\]|[^/?#\\@:\[\]]+)(?::([0-9]{0,5}))?(?=[/?#]|\Z)"
)
_UNSAFE = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff]")
_EDGES = " \t\r\n\f"


def source_url(text: str, schemes: Collection[str] = MIRROR_SCHEMES) -> str | None:
    """The URL without the white space around it, spaces inside made ``%20``; None where it may not be used."""
    url = text.strip(_EDGES).replace(" ", "%20")
    scheme = _SCHEME.match(url)
    if not scheme or len(url) > LONGEST_URL or scheme[1].lower() not in schemes or _UNSAFE.search(url):
        return None
    authority = _AUTHORITY.match(url, scheme.end())
    if not authority or (authority[1] and not 1 <= int(authority[1]) <= 65535):
        return None
    return url


def resolved_url(reference: str, base: str, schemes: Collection[str] = MIRROR_SCHEMES) -> str | None:
    """A reference, relative or not, as a URL (RFC 3986 section 5); None where it cannot be one or may not be used."""
    reference = reference.strip(_EDGES).replace(" ", "%20")
    # urljoin takes line breaks and tabs out without a word (bpo-43882), and so would make another URL of it.
    if len(reference) > LONGEST_URL or _UNSAFE.search(reference):
        return None
    try:
        joined = urljoin(base, reference)
    except ValueError:  # brackets that hold no address
        return None
    return source_url(joined, schemes)
