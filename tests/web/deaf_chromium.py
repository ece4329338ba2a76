#!/usr/bin/env python3
"""Chromium that does not hear of network interfaces: ``deaf_chromium.py ARGUMENTS`` becomes it.

It drops every connection, loopback included, whenever any interface of the machine changes (ERR_NETWORK_CHANGED), and
there is no flag against that. Containers and network namespaces come and go beside tests. So it gets no netlink socket,
which it takes for "always online". Where this is no Linux that we know, it starts as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
import sys

# From linux/filter.h, linux/seccomp.h, linux/prctl.h: load a word, jump if equal, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_AF_NETLINK, _EAFNOSUPPORT = 16, 97
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}


def refuse_netlink(socket_call: int) -> None:
    """socket(AF_NETLINK, …) fails from now on, here and in what is started from here."""
    steps = (
        (_LOAD, 0, 0, 0),  # the number of the call
        (_JUMP_IF_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, 16),  # its first argument
        (_JUMP_IF_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.create_string_buffer(header), 0, 0)


def main() -> None:
    browser = shutil.which("chromium") or "chromium"
    call = _SOCKET_CALL.get(platform.machine())
    if sys.platform == "linux" and call is not None:
        refuse_netlink(call)
    os.execv(browser, [browser, *sys.argv[1:]])


if __name__ == "__main__":
    main()
