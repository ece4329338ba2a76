"""The servers of the benchmark: nginx on loopback, plain and TLS, and the server of endless bytes."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

READY_WITHIN_S = 10.0

_NGINX = """\
{user}
daemon off;
worker_processes auto;
pid {work}/nginx.pid;
error_log {work}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  client_body_temp_path {work}/t1;
  proxy_temp_path {work}/t2;
  fastcgi_temp_path {work}/t3;
  uwsgi_temp_path {work}/t4;
  scgi_temp_path {work}/t5;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {work}/server.pem;
    ssl_certificate_key {work}/server.pem;
    root {root};
    location /tiny/ {{ try_files /tiny.bin =404; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """A running nginx: ``plain`` and ``tls`` are URL prefixes, ``ca`` the file of the authority to trust."""

    plain: str
    tls: str
    ca: str


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(root: Path, work: Path) -> Iterator[Nginx]:
    """Serve ``root`` until left; ``work`` holds the configuration and the certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(work / "ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(work / "server.pem")
    port, tls_port = free_port(), free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    conf = work / "nginx.conf"
    conf.write_text(_NGINX.format(user=user, work=work, port=port, tls_port=tls_port, root=root))
    with _running([_nginx_program(), "-e", f"{work}/error.log", "-c", str(conf)], port):
        yield Nginx(plain=f"http://127.0.0.1:{port}", tls=f"https://127.0.0.1:{tls_port}", ca=str(work / "ca.pem"))


def _nginx_program() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if found is None:
        raise SystemExit("the benchmark needs nginx: make test-setup installs it on Debian")
    return found


@dataclass(frozen=True, slots=True)
class Endless:
    """The running server of endless bytes."""

    url: str
    counter: mmap.mmap

    def sent_bytes(self) -> int:
        """How many bytes of bodies it sent since it began."""
        return int.from_bytes(self.counter[:8], "little")


@contextlib.contextmanager
def endless(size_bytes: int, work: Path) -> Iterator[Endless]:
    """Serve one generated file of ``size_bytes`` until left."""
    path, port = work / "sent", free_port()
    path.write_bytes(bytes(8))
    command = [sys.executable, "-m", "tests.bench.endless", str(port), str(size_bytes), str(path)]
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8) as counter, _running(command, port):
        yield Endless(f"http://127.0.0.1:{port}/endless.bin", counter)


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command) as process:
        try:
            _await_port(process, port)
            yield
        finally:
            process.terminate()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit(f"{process.args!r} does not serve")
