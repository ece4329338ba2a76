"""The limit: what Python can do at all. Threads, ``recv_into`` 1 MiB, ``pwrite``; no check of any kind.

python -I -S bare.py URL PATH SIZE CONNECTIONS [CA_FILE]
"""

import os
import socket
import ssl
import sys
import threading

BUFFER_BYTES = 1 << 20


def fetch(address: tuple[str, int], context: ssl.SSLContext | None, path: str, fd: int, start: int, end: int) -> None:
    """Get ``[start, end)`` on one connection and write it in place."""
    sock = socket.create_connection(address)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname=address[0])
    head = f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\nRange: bytes={start}-{end - 1}\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode())
    view = memoryview(bytearray(BUFFER_BYTES))
    filled = 0
    while (body := bytes(view[:filled]).find(b"\r\n\r\n")) < 0:
        filled += sock.recv_into(view[filled:65536])
    os.pwrite(fd, view[body + 4 : filled], start)
    at = start + filled - body - 4
    while at < end:
        filled = 0
        while filled < min(BUFFER_BYTES, end - at):
            count = sock.recv_into(view[filled:])
            if not count:
                raise ConnectionError("the server closed early")
            filled += count
        os.pwrite(fd, view[:filled], at)
        at += filled


def main() -> None:
    url, path, size, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    host, _, rest = url.split("://")[1].partition("/")
    address = (host.split(":")[0], int(host.split(":")[1]))
    context = ssl.create_default_context(cafile=sys.argv[5]) if url.startswith("https") else None
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    cuts = [size * lane // connections for lane in range(connections + 1)]
    lanes = [
        threading.Thread(target=fetch, args=(address, context, "/" + rest, fd, cuts[lane], cuts[lane + 1]))
        for lane in range(connections)
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


if __name__ == "__main__":
    main()
