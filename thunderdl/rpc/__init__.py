"""The daemon's interfaces over HTTP: one server in the queue's own loop, and tables of methods over the queue.

listening.py  addresses to sockets            access.py   whose requests are looked at at all, pure
secret.py     the secret, cookies, delays     guard.py    both, before any route
exchange.py   one request and its answer      pages.py    the files of the web page
server.py     all of it together              api/        REST, event stream, OpenAPI

It holds no logic of the queue's. Nothing here waits for a disk, and no request waits for a download.
"""
