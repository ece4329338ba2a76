"""Index pages of folders: HTML of nginx, Apache and their like, and nginx's JSON. Pure; linear in the page.

Every link counts that leads below the page (:class:`thunderdl.formats.listings.Place` judges that); of the text
behind it, to the end of its row, the first words that look like a date, and what follows them, are kept to compare.
Where the date comes before the link none are: those behind it are the next file's, and would vouch for a changed one.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from urllib.parse import quote

from thunderdl.formats.listings import MAX_ENTRIES, Page, Place

# What a tag may be long: html.parser looks at one that does not end over and over (CVE-2025-6069 and its kin).
_SLICE = 4096
_LONGEST_TAG = 16384
_LONGEST_TEXT = 200
#: Tags and texts of one page; a list of 10^5 files in a table has some 2 * 10^6.
MAX_PARTS = 2**23
# What holds a list, or the whole page: one that is cut off ends within, and says so in no other way where its server
# ends the body by closing (HTTP/1.0) or a gateway before it took what came for all.
_AROUND = frozenset({"html", "table", "ul", "ol", "pre"})
# What begins another row of a list, whichever way it is drawn.
_ROWS = frozenset({"tr", "br", "li", "dl", "dt", "p", "div", "hr", "table", "ul", "ol", "pre"})
# lighttpd writes the month of the first by its name. IIS's 1/5/2024 10:00 AM is left: elsewhere that is a day of May.
_DATE = r"(?:\d{4}-(?:\d\d|[A-Za-z]{3})-\d\d|\d\d?[-/][A-Za-z]{3}[-/]\d{4})"
_STATED = re.compile(_DATE + r"[ T]\d\d:\d\d(?::\d\d)?(?:\s+[\d.]+\s?[KMGTP]?i?B?\b)?", re.ASCII)


def parse_html(text: str, place: Place) -> Page:
    """What the page links to below ``place``; cut where a tag has no end."""
    reader = _Links(place)
    try:
        for start in range(0, len(text), _SLICE):
            reader.feed(text[start : start + _SLICE])
            if len(reader.rawdata) > _LONGEST_TAG or reader.parts > MAX_PARTS:
                raise ValueError
        reader.close()
    except (ValueError, AssertionError):
        # html.parser asserts that what begins as a marked section is one.
        reader.page.is_cut = True
    reader.settle()
    reader.page.is_open = bool(reader.open)
    return reader.page


class _Links(HTMLParser):
    """One pass over a page: a link is complete when the next one begins. ``open``: elements around the list of which
    the last was not closed; of two that are nested one end is enough, for pages made by hand."""

    def __init__(self, place: Place) -> None:
        super().__init__(convert_charrefs=True)
        self.page, self.parts, self._place = Page(), 0, place
        self._link: str | None = None
        self._is_inside = self._is_preformatted = False
        self._text = ""
        self._seen: set[str] = set()
        self.open: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.parts += 1
        if tag in _AROUND:
            self.open.add(tag)
        if tag == "a" and (link := next((value for name, value in attributes if name == "href"), None)):
            self.settle()
            self._link, self._text, self._is_inside = link, "", True
        elif tag in _ROWS:
            if not self._is_inside:
                self.settle()
            self._is_preformatted = tag == "pre" or self._is_preformatted

    def handle_endtag(self, tag: str) -> None:
        self.open.discard(tag)
        if tag == "a":
            self._is_inside = False
        elif tag == "pre":
            self._is_preformatted = False
        elif tag in ("td", "th") and len(self._text) < _LONGEST_TEXT:
            self._text += " "

    def handle_data(self, data: str) -> None:
        self.parts += 1
        if self._link is not None and not self._is_inside and len(self._text) < _LONGEST_TEXT:
            row, line_end, _ = data.partition("\n") if self._is_preformatted else (data, "", "")
            self._text += row[:_LONGEST_TEXT]
            if line_end:
                self.settle()

    def settle(self) -> None:
        """The link that was read last has all its text."""
        link, self._link = self._link, None
        if link is None or link in self._seen:
            return
        # Icons link to what their names link to; a page that repeats itself costs one entry.
        if len(self._seen) < MAX_ENTRIES:
            self._seen.add(link)
        found = _STATED.search(self._text)
        self._place.add_link(link, " ".join(found[0].split()) if found else "", self.page)


def parse_json(document: object, place: Place) -> Page | None:
    """The page of nginx's ``autoindex_format json``, once read as JSON; None where it is something else."""
    if not isinstance(document, list) or not all(isinstance(row, dict) and "type" in row for row in document):
        return None
    page = Page()
    for row in document:
        name, kind = row.get("name"), row["type"]
        if not isinstance(name, str):
            page.leave_unread()
            continue
        if kind not in ("file", "directory"):
            page.refused += 1
            continue
        stated = json.dumps([row.get("mtime"), row.get("size")])[:_LONGEST_TEXT] if "mtime" in row else ""
        # A name, not a link: nothing in it may be read as an escape, a folder or a query.
        reference = quote(name.removesuffix("/") if kind == "directory" else name, safe="", errors="replace")
        if name in (".", ".."):
            page.refused += 1
        else:
            place.add_link(f"./{reference}{'/' if kind == 'directory' else ''}", stated, page)
    return page
