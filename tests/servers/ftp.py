"""Real FTP servers on loopback: vsftpd (anonymous) and ProFTPD (a user with a password), each with a folder of its own.

Debian holds them for rivals and installs one of the two: tests run with what is there.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from tests.servers.certificates import Identity
from tests.servers.programs import need
from tests.servers.real import RealServer, running

USER, PASSWORD = "reader", "s3cret-w0rd"
# crypt(3) of the password above, by SHA-512.
_CRYPTED = "$6$thunderdl$"
_CRYPTED += "vug1RHEHfPddBqMPsvilyvkDga.VdSeye59h/DHpaEm2p/LRHbsYfSiaTtcgAdC1Ct9wIiOz5Bf5kR6sHdd5M0"


@contextlib.contextmanager
def vsftpd(*, tls: Identity | None = None, implicit: bool = False, directives: str = "") -> Iterator[RealServer]:
    """``directives``: more lines for the configuration."""
    program = need("vsftpd")

    def command(root: Path, port: int) -> list[str]:
        (root / "empty").mkdir(exist_ok=True)
        secure = "" if tls is None else _VSFTPD_TLS.format(chain=tls.chain, key=tls.key)
        who = "ftp_username=ftp" if os.geteuid() == 0 else "run_as_launching_user=YES"
        lines = [_VSFTPD.format(root=root, port=port), who, secure, "implicit_ssl=YES" if implicit else "", directives]
        (root / "conf").write_text("\n".join(line for line in lines if line) + "\n")
        return [program, str(root / "conf")]

    with running(command, scheme=("ftps" if implicit else "ftpes") if tls else "ftp") as server:
        yield server


@contextlib.contextmanager
def proftpd(*, tls: Identity | None = None, directives: str = "") -> Iterator[RealServer]:
    """For :data:`USER` alone. ``directives``: more lines for the configuration."""
    program = need("proftpd", "Debian has it in the place of vsftpd alone")

    def command(root: Path, port: int) -> list[str]:
        user = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(user.pw_gid).gr_name
        (root / "passwd").write_text(f"{USER}:{_CRYPTED}:{user.pw_uid}:{user.pw_gid}::{root}/www:/bin/sh\n")
        (root / "passwd").chmod(0o600)
        conf = _PROFTPD.format(root=root, port=port, user=user.pw_name, group=group, directives=directives)
        (root / "conf").write_text(conf)
        return [program, "--nodaemon", "--config", str(root / "conf")]

    with running(command, scheme="ftp") as server:
        yield server


_VSFTPD = """\
listen=YES
background=NO
listen_address=127.0.0.1
listen_port={port}
anonymous_enable=YES
no_anon_password=YES
anon_root={root}/www
anon_world_readable_only=NO
secure_chroot_dir={root}/empty
seccomp_sandbox=NO
xferlog_enable=NO
connect_from_port_20=NO
max_per_ip=0
ftpd_banner=ready"""

_VSFTPD_TLS = """\
ssl_enable=YES
allow_anon_ssl=YES
force_anon_data_ssl=YES
force_anon_logins_ssl=YES
require_ssl_reuse=YES
ssl_tlsv1=YES
ssl_ciphers=HIGH
rsa_cert_file={chain}
rsa_private_key_file={key}"""

_PROFTPD = """\
ServerType standalone
ServerName test
Port {port}
DefaultAddress 127.0.0.1
SocketBindTight on
User {user}
Group {group}
UseReverseDNS off
RequireValidShell off
RootLogin on
AuthOrder mod_auth_file.c
AuthUserFile {root}/passwd
PidFile {root}/pid
ScoreboardFile {root}/scoreboard
DelayTable none
SystemLog {root}/error.log
TransferLog none
WtmpLog off
Umask 022
AllowRetrieveRestart on
MaxInstances 100
{directives}
"""
