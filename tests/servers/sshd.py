"""OpenSSH's server on loopback, with host keys and users' keys of its own, and ``ssh`` with a configuration for it.

``ssh`` finds ``~/.ssh`` by the password file, not by HOME: so the tests put a program of that name first on PATH, which
runs the real one with ``-F``. Nothing of the machine's own keys, agent and known_hosts is read or changed.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.fake_sftp import ssh_that_runs
from tests.servers.programs import need
from tests.servers.real import RealServer, running

_CONF = """\
ListenAddress 127.0.0.1:{port}
HostKey {root}/host_key
AuthorizedKeysFile {root}/authorized_keys
PidFile {root}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp {subsystem}
"""
_CLIENT = """\
IdentityFile {root}/user_key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {root}/known_hosts
GlobalKnownHostsFile none
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """``folder``: where its files are; ``root``: its keys and what clients know; ``path``: a PATH with its ``ssh``."""

    folder: Path
    root: Path
    port: int
    path: str
    server: RealServer

    def url(self, path: str) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def put(self, name: str, content: bytes) -> str:
        """Store a file and return its URL."""
        (self.folder / name).write_bytes(content)
        return self.url(f"{self.folder}/{name}")

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    def know(self, key: Path | None = None) -> None:
        """Have clients know it by ``key``, its own by default."""
        kind, value = (key or self.root / "host_key.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {value}\n")


def new_key(path: Path) -> Path:
    """A new pair of keys; the public one's path."""
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_name(path.name + ".pub")


@contextlib.contextmanager
def sshd(*, subsystem: str = "internal-sftp") -> Iterator[SshServer]:
    """A running server, known to its clients. ``subsystem``: the command that answers for SFTP."""
    program, client = need("sshd"), need("ssh")
    if os.geteuid() == 0:
        # Where it locks itself in before a login; the package's service makes it, and there is none here.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def command(root: Path, port: int) -> list[str]:
        if not (root / "host_key").exists():
            new_key(root / "host_key")
            new_key(root / "user_key").rename(root / "authorized_keys")
        (root / "conf").write_text(_CONF.format(root=root, port=port, subsystem=subsystem))
        return [program, "-D", "-e", "-f", str(root / "conf")]

    with running(command, scheme="sftp") as server, tempfile.TemporaryDirectory(prefix="thunderdl-ssh-") as bin_folder:
        root = server.folder.parent
        (root / "client_conf").write_text(_CLIENT.format(root=root))
        ssh_that_runs(Path(bin_folder), f'exec {client} -F {root}/client_conf "$@"')
        path = f"{bin_folder}:{os.environ['PATH']}"
        served = SshServer(folder=server.folder, root=root, port=server.port, path=path, server=server)
        served.know()
        yield served
