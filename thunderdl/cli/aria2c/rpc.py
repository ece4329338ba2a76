"""``--enable-rpc``: where the daemon that serves aria2's RPC will take over from the command."""

from __future__ import annotations

from thunderdl.cli.aria2c.given import Given
from thunderdl.errors import UsageError


def serve(given: Given) -> int:
    """Run as aria2's RPC server with everything that was given (``rpc-…`` options, ``input-file``, URIs); the exit
    status. Raises UsageError."""
    port = given.text("rpc-listen-port")
    raise UsageError(f"--enable-rpc: nothing serves aria2's RPC at port {port} yet; leave it out to download.")
