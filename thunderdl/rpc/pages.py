"""The files of the web page: read once, at the start; nothing that is not among them can be asked for (bad-inputs R5).

Scripts and styles are served below the hash of all of them, and never change there: a browser asks for them once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping

from thunderdl.rpc.exchange import Answer, App, Receive, Refused, Scope, Send, header_of

FOLDER = os.path.join(os.path.dirname(__file__), "web")
_TYPES = {
    ".html": b"text/html; charset=utf-8", ".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml", ".png": b"image/png", ".json": b"application/json", ".ico": b"image/x-icon",
    ".webmanifest": b"application/manifest+json", ".woff2": b"font/woff2",
}  # fmt: skip
_ASKED_ANEW = (b"cache-control", b"no-cache")
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_UNCHANGING = ("js/", "css/")


def pages(folder: str = FOLDER) -> Mapping[str, Answer]:
    """Each answer by its path. Blocks: for the start. Empty where there is no such folder."""
    found = dict(_files(folder))
    if not found:
        return {}
    version = hashlib.sha256(b"".join(name.encode() + found[name] for name in sorted(found))).hexdigest()[:16]
    answers = {f"/{name}": _answer(name, body, _ASKED_ANEW) for name, body in found.items()}
    for name in [name for name in found if name.startswith(_UNCHANGING)]:
        answers[f"/static/{version}/{name}"] = _answer(name, found[name], _FOR_EVER)
    if (index := found.get("index.html")) is not None:
        for attribute, part in ((b"src", b"js/"), (b"href", b"css/")):
            place = b'%b="static/%b/%b' % (attribute, version.encode(), part)
            index = index.replace(b'%b="%b' % (attribute, part), place)
        answers["/"] = answers["/index.html"] = _answer("index.html", index, _ASKED_ANEW)
    return answers


def serving(answers: Mapping[str, Answer]) -> App:
    """ASGI: those answers to GET and HEAD, 404 to everything else."""

    async def serve(scope: Scope, _: Receive, send: Send) -> None:
        answer = answers.get(scope["path"])
        if answer is None:
            raise Refused(404, "NotFound", "there is nothing at this address.")
        if scope["method"] not in ("GET", "HEAD"):
            raise Refused(405, "UsageError", "this can only be read.", ((b"allow", b"GET, HEAD"),))
        tag = next(value for name, value in answer.headers if name == b"etag")
        if header_of(scope, b"if-none-match") == tag:
            answer = Answer(304, headers=answer.headers)
        await answer.send(send)

    return serve


def _answer(name: str, body: bytes, caching: tuple[bytes, bytes]) -> Answer:
    tag = b'"%b"' % hashlib.sha256(body).hexdigest()[:16].encode()
    return Answer(200, body, _TYPES[os.path.splitext(name)[1]], (caching, (b"etag", tag)))


def _files(folder: str) -> Iterator[tuple[str, bytes]]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if os.path.splitext(name)[1] in _TYPES and not os.path.islink(path):
                with open(path, "rb") as stream:
                    yield os.path.relpath(path, folder).replace(os.sep, "/"), stream.read()
