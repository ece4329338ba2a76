"""A tree of files on the loopback server, with an index page for each folder, as nginx and Apache write them."""

from __future__ import annotations

import html
from email.utils import formatdate
from urllib.parse import quote

from tests.servers.exchange import Resource
from tests.servers.loopback import LoopbackServer

OLD_S = 1_700_000_000


class Site:
    """``files``: by path below ``/pub/``; each write makes the file as old as ``OLD_S`` and a version."""

    def __init__(self, server: LoopbackServer) -> None:
        self.server, self.versions = server, dict[str, int]()

    @property
    def url(self) -> str:
        return self.server.url("/pub/")

    def put(self, path: str, body: bytes, *, modified_s: int | None = None) -> Resource:
        """A file, and the pages of the folders above it; another ``modified_s`` each time it is written."""
        version = self.versions[path] = self.versions.get(path, 0) + 1
        date = formatdate(OLD_S + 3600 * version if modified_s is None else modified_s, usegmt=True)
        resource = Resource(body=body, etag=f'"{version}-{len(body):x}"', last_modified=date)
        self.server.resources[f"/pub/{quote(path)}"] = resource
        self.list_again()
        return resource

    def remove(self, path: str) -> None:
        del self.server.resources[f"/pub/{quote(path)}"], self.versions[path]
        self.list_again()

    def list_again(self) -> None:
        """Write the index pages anew."""
        for path in [each for each in self.server.resources if each.endswith("/")]:
            del self.server.resources[path]
        folders = {""}
        for path in self.versions:
            while "/" in path:
                path = path.rpartition("/")[0]
                folders.add(path + "/")
        for folder in folders:
            inner = [path.removeprefix(folder) for path in self.versions if path.startswith(folder)]
            names = dict.fromkeys(path.partition("/")[0] + ("/" if "/" in path else "") for path in inner)
            self.page(folder, "".join(self.line(folder, name) for name in names))

    def line(self, folder: str, name: str) -> str:
        resource = self.server.resources.get(f"/pub/{quote(folder + name)}")
        stated = f"{(resource.last_modified or '')[5:22].replace(' ', '-', 2)} {resource.size}" if resource else "-"
        return f'<a href="{html.escape(quote(name))}">{html.escape(name)}</a>  {stated}\n'

    def page(self, folder: str, lines: str) -> Resource:
        body = f'<html><body><h1>Index of /pub/{folder}</h1><hr><pre><a href="../">../</a>\n{lines}</pre></body></html>'
        resource = Resource(body=body.encode(), etag=None, last_modified=None)
        self.server.resources[f"/pub/{quote(folder)}"] = resource
        return resource

    def asked(self) -> list[str]:
        """Paths that were asked for since the last time, without the pages."""
        paths = [each.path for each in self.server.requests if not each.path.endswith("/")]
        self.server.requests.clear()
        return paths
