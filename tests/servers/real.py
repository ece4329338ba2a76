"""Real servers on loopback, each with a folder of its own: nginx, Apache, Python's http.server.

They end by the id of the process started here, never by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import Identity
from tests.servers.programs import need

_START_LIMIT_S = 30.0
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """A running server. ``folder``: what it serves."""

    folder: Path
    port: int
    scheme: str
    pid: int

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def put(self, name: str, content: bytes) -> str:
        """Store a file and return its URL."""
        (self.folder / name).write_bytes(content)
        return self.url("/" + name)


@contextlib.contextmanager
def nginx(
    *, tls: Identity | None = None, limit_rate: str | None = None, directives: str = "", http2: bool = False,
    logged: bool = False,
) -> Iterator[RealServer]:  # fmt: skip
    """``limit_rate``: for each connection, as nginx writes it (``500k``). ``directives``: more for the server block;
    ``http2``: spoken over TLS, too; ``logged``: each request in ``access.log`` beside the folder."""
    program = need("nginx")

    def command(root: Path, port: int) -> list[str]:
        more = directives + (f"limit_rate {limit_rate};" if limit_rate else "")
        conf = _nginx_conf(root, port, tls, more, http2=http2)
        if logged:
            conf = conf.replace("access_log off;", f"{_NGINX_LOG} access_log {root}/access.log seen;")
        (root / "conf").write_text(conf)
        return [program, "-p", str(root), "-c", str(root / "conf"), "-e", str(root / "error.log")]

    with running(command, scheme="https" if tls else "http") as server:
        yield server


@contextlib.contextmanager
def apache(*, directives: str = "") -> Iterator[RealServer]:
    """Apache with the event module. ``directives``: more for the configuration."""
    program = need("apache2")

    def command(root: Path, port: int) -> list[str]:
        (root / "conf").write_text(_APACHE.format(root=root, port=port, directives=directives))
        return [program, "-d", str(root), "-f", str(root / "conf"), "-DFOREGROUND"]

    with running(command) as server:
        yield server


@contextlib.contextmanager
def python_http_server() -> Iterator[RealServer]:
    """``python -m http.server``: HTTP/1.0, no ranges."""

    def command(root: Path, port: int) -> list[str]:
        served = ["--bind", "127.0.0.1", "--directory", str(root / "www"), str(port)]
        return [sys.executable, "-m", "http.server", *served]

    with running(command) as server:
        yield server


@contextlib.contextmanager
def squid(*, user: str | None = None, password: str = "") -> Iterator[RealServer]:
    """Squid as a proxy for everybody here, or for ``user`` alone. ``folder``: holds its access.log."""
    program = need("squid")

    def command(root: Path, port: int) -> list[str]:
        # Under root it turns into an unprivileged user.
        (root / "www").chmod(0o777)
        root.chmod(0o777)
        who = "http_access allow localhost"
        if user is not None:
            hashed = subprocess.run(
                [need("openssl"), "passwd", "-apr1", password], capture_output=True, text=True, check=True
            ).stdout.strip()
            (root / "users").write_text(f"{user}:{hashed}\n")
            who = _SQUID_LOGIN.format(root=root)
        (root / "conf").write_text(_SQUID.format(root=root, port=port, who=who))
        return [program, "-N", "-f", str(root / "conf")]

    with running(command) as server:
        yield server


@contextlib.contextmanager
def microsocks(*, user: str | None = None, password: str = "") -> Iterator[RealServer]:
    """A SOCKS 5 proxy."""
    program = need("microsocks")

    def command(root: Path, port: int) -> list[str]:
        login = ["-u", user, "-P", password] if user else []
        return [program, "-i", "127.0.0.1", "-p", str(port), *login]

    with running(command, scheme="socks5") as server:
        yield server


@contextlib.contextmanager
def running(command: Callable[[Path, int], list[str]], *, scheme: str = "http") -> Iterator[RealServer]:
    """``command``: the words that start a server on a port, given the folder that is all its own."""
    # Not pytest's tmp_path: that is closed to the unprivileged user which Apache and nginx turn into under root.
    with tempfile.TemporaryDirectory(prefix="thunderdl-server-") as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "www").mkdir()
        process, port = _started(command, root)
        try:
            yield RealServer(folder=root / "www", port=port, scheme=scheme, pid=process.pid)
        finally:
            _end(process)


def _started(command: Callable[[Path, int], list[str]], root: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start; with another port where somebody was faster to take the free one."""
    for _ in range(_ATTEMPTS):
        port = _free_port()
        with (root / "output").open("wb") as output:
            process = subprocess.Popen(
                command(root, port), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        if _answers(process, port):
            return process, port
        _end(process)
    told = [path.read_text(errors="replace") for path in (root / "output", root / "error.log") if path.exists()]
    raise AssertionError("the server did not start: " + "\n".join(told))


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    ends = time.monotonic() + _START_LIMIT_S
    while process.poll() is None and time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process.poll() is None
        time.sleep(0.01)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session, so only it and its children
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _nginx_conf(root: Path, port: int, tls: Identity | None, directives: str, *, http2: bool) -> str:
    secure = "" if tls is None else f"ssl_certificate {tls.chain}; ssl_certificate_key {tls.key};"
    return _NGINX.format(
        root=root, port=port, ssl="" if tls is None else " ssl", secure=secure, directives=directives,
        # As nginx 1.22 writes it; from 1.25.1 on it says that it would like it otherwise.
        http2=" http2" if http2 else "",
    )  # fmt: skip


_NGINX = """\
daemon off;
master_process off;
pid {root}/pid;
error_log {root}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  default_type application/octet-stream;
  sendfile on;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  server {{
    listen 127.0.0.1:{port}{ssl}{http2} backlog=511;
    {secure}
    {directives}
    root {root}/www;
  }}
}}
"""

_NGINX_LOG = "log_format seen '$server_protocol $status $connection $http_range';"

_APACHE = """\
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {root}/pid
DefaultRuntimeDir {root}
Mutex file:{root}
ErrorLog {root}/error.log
User www-data
Group www-data
StartServers 1
ThreadsPerChild 32
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {root}/www
{directives}
"""

_SQUID = """\
http_port 127.0.0.1:{port}
pid_filename {root}/pid
access_log stdio:{root}/www/access.log
cache_log {root}/error.log
cache deny all
coredump_dir {root}
pinger_enable off
shutdown_lifetime 0 seconds
acl localhost src 127.0.0.1
{who}
http_access deny all
"""
_SQUID_LOGIN = """\
auth_param basic program /usr/lib/squid/basic_ncsa_auth {root}/users
auth_param basic realm test
acl known proxy_auth REQUIRED
http_access allow known
"""
