"""One nginx in the namespace of its link."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.lab.link import Link
from tests.lab.member import Member
from tests.lab.scenarios import Mirror as Kind


class Mirror(Member):
    """``folder``: its own; what it serves is in ``www`` there."""

    def __init__(self, kind: Kind, link: Link, folder: Path, program: str) -> None:
        super().__init__(link, folder)
        self.kind, self._program = kind, program

    def url(self, name: str) -> str:
        return f"http://{self.link.address}/{name}"

    def command(self) -> list[str]:
        conf = self._folder / "nginx.conf"
        conf.write_text(configuration(self.kind, self._folder, self.link.address))
        return [self._program, "-p", str(self._folder), "-e", f"{self._folder}/error.log", "-c", str(conf)]

    def serves(self) -> bool:
        with socket.create_connection((self.link.address, 80), 1.0):
            return True

    def said(self) -> str:
        log = self._folder / "error.log"
        return log.read_text() if log.exists() else ""

    def served_bytes(self) -> int:
        """Bytes of bodies that nginx wrote to its sockets, whether they left them or not."""
        log = self._folder / "access.log"
        return sum(map(int, log.read_text().split())) if log.exists() else 0


def configuration(kind: Kind, folder: Path, address: str) -> str:
    """Of an nginx that serves ``folder``/www on ``address``."""
    limits = [f"limit_rate {kind.connection_bytes_per_s};"] if kind.connection_bytes_per_s else []
    if kind.connections:
        limits += [f"limit_conn client {kind.connections};", f"limit_conn_status {kind.refusal};"]
    return _NGINX.format(folder=folder, address=address, limits=" ".join(limits))


_NGINX = """\
user root;
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  log_format bytes '$body_bytes_sent';
  access_log {folder}/access.log bytes;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  default_type application/octet-stream;
  sendfile on;
  keepalive_requests 1000000;
  limit_conn_zone $binary_remote_addr zone=client:1m;
  server {{
    listen {address}:80 backlog=511;
    {limits}
    root {folder}/www;
  }}
}}
"""
