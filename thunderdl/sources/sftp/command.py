"""The command line of ``ssh``, and which names may stand on it. No I/O.

The system's OpenSSH makes the connection: its configuration, agent, keys, certificates, jump hosts and known_hosts
are the user's own, and its cryptography is patched with the system. Measured (1 GiB on loopback, 2 cores, medians
of wall and our CPU in seconds): OpenSSH's sftp 2.25; asyncssh 2.26, 2.1; libssh2 2.4, 2.4; two ``ssh`` carrying
packets of ours 1.25, 0.5. (libssh 1.5, 1.0: its Python wheel ships an OpenSSL two years behind.)

A name in a URL becomes an argument, and by ``%h`` and ``%r`` of the user's configuration a part of a shell's line:
CVE-2017-1000117 (git), CVE-2023-51385 and CVE-2025-61984 (OpenSSH). So names are held to what names are made of.
"""

from __future__ import annotations

import re

from thunderdl.errors import InvalidUrl
from thunderdl.sources.http.wire import Address, Endpoint

# Letters of any script, and what directories and gateways put into names; nothing that a shell reads.
_USER = re.compile(r"[\w.@+=:,#~/\\-]{1,256}")
_CIPHER = re.compile(r"[a-z0-9@._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:-]{0,254}")
# They move a GiB in two thirds of the CPU of ChaCha20, OpenSSH's first, where a processor has AES instructions.
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
DEFAULT_PORT = 22


def check_names(url: str, address: Address) -> None:
    """Raise InvalidUrl for a host or user that could be read as anything but a name."""
    host, user = address.endpoint.host, address.user
    if not _HOST.fullmatch(host):
        raise InvalidUrl(url, "its host is no name that can be handed to ssh")
    if user is not None and (not _USER.fullmatch(user) or user.startswith("-") or user.endswith("\\")):
        raise InvalidUrl(url, "its user is no name that can be handed to ssh")
    if not all(char.isprintable() for char in address.password):
        raise InvalidUrl(url, "its password holds a control character")


def question(program: str, endpoint: Endpoint) -> list[str]:
    """What to run to learn what the user's and the system's configuration say of it (``ssh -G``)."""
    return [program, "-G", *_destination(endpoint)]


def faster_ciphers(configuration: str) -> str | None:
    """The ciphers of an answer to :func:`question`, the fastest first; none that it does not have. None where that
    changes nothing."""
    line = next((line for line in configuration.splitlines() if line.startswith("ciphers ")), "")
    allowed = line.removeprefix("ciphers ").strip().split(",")
    if not set(allowed) & set(_FAST_CIPHERS) or not all(map(_CIPHER.fullmatch, allowed)):
        return None
    return ",".join(
        [*(each for each in _FAST_CIPHERS if each in allowed), *(a for a in allowed if a not in _FAST_CIPHERS)]
    )


def command(
    program: str, endpoint: Endpoint, *, has_password: bool, trust_new: bool, timeout_s: float,
    ciphers: str | None = None,
) -> list[str]:  # fmt: skip
    """What to run: ``ssh``, which asks nobody but our own askpass, its channel bound to the server's SFTP.

    ``ciphers``: as :func:`faster_ciphers` says; None leaves them as they are.
    """
    settings = {
        # Unknown hosts are refused unless the user said otherwise, changed ones always.
        "StrictHostKeyChecking": "accept-new" if trust_new else "yes",
        "BatchMode": "no" if has_password else "yes",
        "NumberOfPasswordPrompts": "1",
        "ConnectTimeout": str(max(1, round(timeout_s))),
        "ConnectionAttempts": "1",
        "Compression": "no",
        "LogLevel": "ERROR",
        # As OpenSSH's own sftp: nothing of ours, no shell, no socket is lent to the server.
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "RequestTTY": "no",
        "RemoteCommand": "none",
        # A master would outlive us. One that runs already is used, if the user's configuration says so.
        "ControlMaster": "no",
    }
    if has_password:
        # One that was given is meant: an agent with many keys would use up the server's patience first.
        settings["PreferredAuthentications"] = "password,keyboard-interactive,publickey"
    if ciphers is not None:
        settings["Ciphers"] = ciphers
    return [program, *(f"-o{name}={value}" for name, value in settings.items()), "-s", *_destination(endpoint), "sftp"]


def _destination(endpoint: Endpoint) -> list[str]:
    """Options and host; what the URL does not say, the user's configuration decides."""
    port = [] if endpoint.port == DEFAULT_PORT else ["-p", str(endpoint.port)]
    user = ["-l", endpoint.login[0]] if endpoint.login and endpoint.login[0] else []
    return [*port, *user, "--", endpoint.host]
