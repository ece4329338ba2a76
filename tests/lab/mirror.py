"""One nginx in the namespace of its link. It ends by the process started here, never by name."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from tests.lab.link import Link
from tests.lab.scenarios import Mirror as Kind
from tests.lab.scenarios import Turn

_READY_WITHIN_S = 10.0


class Mirror:
    """``folder``: its own; what it serves is in ``www`` there."""

    def __init__(self, kind: Kind, link: Link, folder: Path, program: str) -> None:
        self.kind, self.link = kind, link
        self._folder, self._program = folder, program
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"http://{self.link.address}/{name}"

    def start(self) -> None:
        """Start the server."""
        conf = self._folder / "nginx.conf"
        conf.write_text(_configuration(self.kind, self._folder, self.link.address))
        log = f"{self._folder}/error.log"
        inside = ["ip", "netns", "exec", self.link.namespace]
        # A session of its own: Ctrl-C is for us, who then end it.
        self._process = subprocess.Popen(
            [*inside, self._program, "-p", str(self._folder), "-e", log, "-c", str(conf)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def await_ready(self) -> None:
        """Wait until the server accepts. Raises RuntimeError with what it said."""
        give_up = time.monotonic() + _READY_WITHIN_S
        while self._process is not None and self._process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(OSError), socket.create_connection((self.link.address, 80), 1.0):
                return
            time.sleep(0.005)
        log = self._folder / "error.log"
        said = log.read_text() if log.exists() else "nothing"
        raise RuntimeError(f"a mirror's nginx does not serve; it said: {said}")

    def kill(self) -> None:
        """End the server as a crash would: its kernel still sends what is in its sockets."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def take(self, to: float | Turn) -> None:
        """Let a happening happen."""
        if not isinstance(to, Turn):
            self.link.change_rate(to)
        elif to is Turn.DARK:
            self.link.go_dark()
        elif to is Turn.LIGHT:
            self.link.go_light()
        elif to is Turn.DIES:
            self.kill()
        else:
            self.start()

    def served_bytes(self) -> int:
        """Bytes of bodies that nginx wrote to its sockets, whether they left them or not."""
        log = self._folder / "access.log"
        return sum(map(int, log.read_text().split())) if log.exists() else 0


def _configuration(kind: Kind, folder: Path, address: str) -> str:
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
