"""Metalink documents, version 4 (RFC 5854) and 3, read into :mod:`thunderdl.formats.metalink_model`.

Pure, streaming, bounded: no tree of the document is made. What must hold:

- A document type declaration is refused, so no entity can be declared: neither bombs nor external ones (R9).
- An element counts only at its own place and in the namespace of the root: what Fedora's ``mm0:alternate`` says
  of an older version of the file is not taken for the file's own.
- What is malformed is left out and told; only a document that is no Metalink at all raises.
- Nothing is followed: other metalinks and torrents that it names are handed on as URLs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from thunderdl.errors import UsageError, printable, shown_url
from thunderdl.formats.metalink_file import FileDraft, Notes, Pieces, is_metaurl_type, number, preference, priority
from thunderdl.formats.metalink_file import one_line as line
from thunderdl.formats.metalink_model import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_FILES, Metalink
from thunderdl.formats.source_urls import WEB_SCHEMES, source_url

_NAMESPACES = {"urn:ietf:params:xml:ns:metalink": 4, "http://www.metalinker.org/": 3}
_MAX_TEXT = 2**16
_SLICE_BYTES = 2**16
# Expat reads what is not complete (a tag, a comment) from its beginning again with each slice: 8 MiB took 2 s.
_MAX_TOKEN_BYTES = 2**20

# What expat says of a document whose end is missing: "no element found" at the end of one that has two dozen.
_ENDS_EARLY = (
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
)

Attributes = dict[str, str]


def parse_metalink(document: bytes, safe_component: Callable[[str], str], where: str = "the document") -> Metalink:
    """The document's values.

    ``safe_component``: makes one plain file name of anything (``storage.paths.safe_name``); each part of each
    name goes through it. ``where``: path or URL of the document, for the message. Raises UsageError of one
    sentence for what is no Metalink, declares a document type, is beyond 64 MiB or nested too deeply.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise _refused(where, f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
    reader = _Reader(safe_component)
    try:
        _feed(reader.parser, document)
    except _Refused as refusal:
        raise _refused(where, str(refusal)) from None
    except expat.ExpatError as error:
        raise _refused(where, _what_is_wrong(document, error)) from None
    except (ValueError, LookupError):  # of Python's codecs, for a declared encoding that is none
        raise _refused(where, "its encoding is not known") from None
    if not reader.files:
        raise _refused(where, "it names no file")
    return reader.metalink()


def _what_is_wrong(document: bytes, error: expat.ExpatError) -> str:
    if not document.strip():
        return "it is empty"
    if error.code in _ENDS_EARLY:
        return "it ends early; fetch it again"
    return f"line {error.lineno}: {expat.ErrorString(error.code)}"


def _feed(parser: expat.XMLParserType, document: bytes) -> None:
    for start in range(0, len(document), _SLICE_BYTES):
        part = document[start : start + _SLICE_BYTES]
        parser.Parse(part, False)
        if start + len(part) - parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise _Refused(f"a tag or comment in it is longer than {_MAX_TOKEN_BYTES >> 20} MiB")
    parser.Parse(b"", True)


class _Refused(Exception):
    """A clause that says why the whole document is refused."""


def _refused(where: str, reason: str) -> UsageError:
    return UsageError(f"{printable(shown_url(where))[:300]} is no usable Metalink: {reason}.")


@dataclass(slots=True)
class _Element:
    """``place``: its path below the root in the root's namespace, None for a stranger and all within."""

    place: str | None
    attributes: Attributes
    text: list[str] | None = None
    length: int = 0


@dataclass(slots=True)
class _Head:
    """What the root says, and version 3's words on all files at once."""

    origin: str | None = None
    is_dynamic: bool = False
    generator: str | None = None
    published: str | None = None
    updated: str | None = None
    shared: FileDraft = field(default_factory=FileDraft)


class _Reader:
    """The handlers of one expat parser; ``files``: drafts of those that are complete."""

    def __init__(self, safe_component: Callable[[str], str]) -> None:
        self._safe = safe_component
        self._open: list[_Element] = []
        self._namespace = ""
        self._version = 0
        self._ends: dict[str, _End] = {}
        self._draft: FileDraft | None = None
        self._pieces: Pieces | None = None
        self._names: set[str] = set()
        self._head = _Head()
        self._notes = Notes()
        self.files: list[FileDraft] = []
        self.parser = self._new_parser()

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_entity
        return parser

    def metalink(self) -> Metalink:
        head = self._head
        return Metalink(
            version=self._version,
            files=tuple(draft.finished(head.shared, self._notes) for draft in self.files),
            origin=head.origin,
            is_dynamic=head.is_dynamic,
            generator=head.generator,
            published=head.published,
            updated=head.updated,
            notes=self._notes.told(),
        )

    def _start(self, name: str, attributes: Attributes) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._open:
            self._start_root(namespace, local, attributes)
            self._open.append(_Element("", attributes))
            return
        if len(self._open) >= MAX_DEPTH:
            raise _Refused(f"its elements are nested more than {MAX_DEPTH} deep")
        above = self._open[-1].place
        place = None if above is None or namespace != self._namespace else f"{above}/{local}"
        element = _Element(place, attributes)
        self._open.append(element)
        if place in self._ends:
            element.text = []
        if place in ("/file", "/files/file"):
            self._start_file(attributes)
        elif place in ("/file/pieces", "/files/file/verification/pieces"):
            self._pieces = Pieces(attributes.get("type", ""), number(attributes.get("length", "")))

    def _start_root(self, namespace: str, local: str, attributes: Attributes) -> None:
        stated = attributes.get("version", "")
        version = _NAMESPACES.get(namespace, 0) if namespace else 3 if stated.startswith("3") else 4
        if local != "metalink" or not version:
            raise _Refused("its root is another element than metalink")
        self._namespace, self._version = namespace, version
        self._ends = _ENDS[version]
        if version == 3:
            head = self._head
            head.origin = source_url(attributes.get("origin", ""), WEB_SCHEMES)
            head.is_dynamic = attributes.get("type") == "dynamic"
            head.generator = line(attributes.get("generator", ""))
            head.published = line(attributes.get("pubdate", ""))
            head.updated = line(attributes.get("refreshdate", ""))

    def _start_file(self, attributes: Attributes) -> None:
        if len(self.files) >= MAX_FILES:
            raise _Refused(f"it names more than {MAX_FILES} files")
        self._draft = FileDraft()
        self._draft.take_name(attributes.get("name", ""), self._safe)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        if element.place in ("/file", "/files/file"):
            self._end_file()
        elif element.place in ("/file/pieces", "/files/file/verification/pieces"):
            self._end_pieces()
        elif element.text is not None and element.place is not None:
            target = self._draft or self._head.shared
            self._ends[element.place](self, target, element.attributes, "".join(element.text).strip())

    def _end_file(self) -> None:
        draft, self._draft = self._draft, None
        if draft is None or not draft.name:
            self._notes.add("has no name and is left out", "file")
        elif (folded := draft.name.casefold()) in self._names:
            self._notes.add("has a name that another has already, and is left out", "file")
        else:
            self._names.add(folded)
            self.files.append(draft)

    def _end_pieces(self) -> None:
        if self._draft and self._pieces:
            self._draft.pieces.append(self._pieces)
        self._pieces = None

    def _characters(self, text: str) -> None:
        if not self._open:
            return
        element = self._open[-1]
        if element.text is not None and element.length <= _MAX_TEXT:
            element.text.append(text)
            element.length += len(text)

    # What the end of each element does.

    def size(self, draft: FileDraft, _: Attributes, text: str) -> None:
        draft.take_size(number(text), self._notes)

    def hash(self, draft: FileDraft, attributes: Attributes, text: str) -> None:
        draft.take_hash(attributes.get("type", ""), text, self._notes)

    def piece_hash(self, _: FileDraft, attributes: Attributes, text: str) -> None:
        if self._pieces:
            self._pieces.take(attributes.get("piece") if self._version == 3 else None, text)

    def url4(self, draft: FileDraft, attributes: Attributes, text: str) -> None:
        draft.take_mirror(text, priority(attributes.get("priority", "")), attributes, self._notes)

    def metaurl(self, draft: FileDraft, attributes: Attributes, text: str) -> None:
        order = priority(attributes.get("priority", ""))
        draft.take_metaurl(text, order, attributes.get("mediatype", ""), attributes.get("name", ""), self._notes)

    def url3(self, draft: FileDraft, attributes: Attributes, text: str) -> None:
        order, kind = preference(attributes.get("preference", "")), attributes.get("type", "").lower()
        if is_metaurl_type(kind, text):
            draft.take_metaurl(text, order, "torrent", "", self._notes)
        else:
            draft.take_mirror(text, order, attributes, self._notes)

    def resources(self, draft: FileDraft, attributes: Attributes, _: str) -> None:
        draft.max_connections = number(attributes.get("maxconnections", "")) or None

    def signature(self, draft: FileDraft, attributes: Attributes, text: str) -> None:
        draft.take_signature(attributes.get("mediatype") or attributes.get("type", ""), text, self._notes)

    def publisher4(self, draft: FileDraft, attributes: Attributes, _: str) -> None:
        draft.publisher, draft.publisher_url = line(attributes.get("name", "")), attributes.get("url", "")

    def publisher3_name(self, draft: FileDraft, _: Attributes, text: str) -> None:
        draft.publisher = line(text)

    def publisher3_url(self, draft: FileDraft, _: Attributes, text: str) -> None:
        draft.publisher_url = text

    def origin(self, _: FileDraft, attributes: Attributes, text: str) -> None:
        self._head.origin = source_url(text, WEB_SCHEMES)
        self._head.is_dynamic = attributes.get("dynamic", "") in ("true", "1")

    def generator(self, _: FileDraft, __: Attributes, text: str) -> None:
        self._head.generator = line(text)

    def published(self, _: FileDraft, __: Attributes, text: str) -> None:
        self._head.published = line(text)

    def updated(self, _: FileDraft, __: Attributes, text: str) -> None:
        self._head.updated = line(text)


_End = Callable[[_Reader, FileDraft, Attributes, str], None]


def _fact(name: str) -> _End:
    """What sets one text of a file."""

    def take(_: _Reader, draft: FileDraft, __: Attributes, text: str) -> None:
        draft.facts.setdefault(name, line(text))

    return take


_FACTS = ("identity", "description", "version", "copyright")
_ENDS: dict[int, dict[str, _End]] = {
    4: {
        "/origin": _Reader.origin,
        "/generator": _Reader.generator,
        "/published": _Reader.published,
        "/updated": _Reader.updated,
        "/file/size": _Reader.size,
        "/file/hash": _Reader.hash,
        "/file/pieces/hash": _Reader.piece_hash,
        "/file/url": _Reader.url4,
        "/file/metaurl": _Reader.metaurl,
        "/file/signature": _Reader.signature,
        "/file/publisher": _Reader.publisher4,
    }
    | {f"/file/{name}": _fact(name) for name in _FACTS},
    3: {
        "/publisher/name": _Reader.publisher3_name,
        "/publisher/url": _Reader.publisher3_url,
        "/files/file/publisher/name": _Reader.publisher3_name,
        "/files/file/publisher/url": _Reader.publisher3_url,
        "/files/file/size": _Reader.size,
        "/files/file/verification/hash": _Reader.hash,
        "/files/file/verification/pieces/hash": _Reader.piece_hash,
        "/files/file/verification/signature": _Reader.signature,
        "/files/file/resources": _Reader.resources,
        "/files/file/resources/url": _Reader.url3,
    }
    | {f"{above}/{name}": _fact(name) for name in _FACTS for above in ("", "/files/file")},
}


def _refuse_doctype(*_: object) -> None:
    raise _Refused("it declares a document type, which Metalinks have no use for")


def _refuse_entity(*_: object) -> None:
    raise _Refused("it declares an entity, which Metalinks have no use for")
