"""Which marks a finished file gets, by the options: the remote's time, where it came from, quarantine.

An extended attribute is read by whoever gets the file and by indexers: no user name, no password, and no query, since
that is where signed links keep their secret (wget's CVE-2018-20483).
"""

from __future__ import annotations

import re
import sys

from thunderdl.core.trust import Version
from thunderdl.errors import shown_url
from thunderdl.formats.http_headers import http_date
from thunderdl.options import Options
from thunderdl.storage.marks import Mark, Marks, put_marks

_NETWORK = re.compile(r"(?:https?|ftps?|sftp)://", re.IGNORECASE)


def marker(options: Options, url: str, version: Version, notes: list[str]) -> Mark | None:
    """What puts the marks on a file from ``url``, None where there are none to put; what fails becomes a note."""
    marks = _marks(options, url, version)
    if marks == Marks():
        return None

    def put(fd: int) -> None:
        notes.extend(note for note in put_marks(fd, marks) if note not in notes)

    return put


def public_url(url: str) -> str | None:
    """The URL without user name, password, query and fragment; None where it names no place on the network."""
    return re.split(r"[?#]", shown_url(url), maxsplit=1)[0] if _NETWORK.match(url) else None


def _marks(options: Options, url: str, version: Version) -> Marks:
    modified = version.validators.last_modified if options.remote_time else None
    referrer = next((value for name, value in options.headers if name.lower() == "referer"), "")
    return Marks(
        modified_s=http_date(modified) if modified else None,
        origin=public_url(url) if options.xattr else None,
        referrer=public_url(referrer) if options.xattr else None,
        quarantine=options.quarantine and sys.platform == "darwin",
    )
