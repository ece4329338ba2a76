"""A webhook whose answer comes a byte at a time holds a turn no longer than one that gives none."""

from __future__ import annotations

import contextlib
import socket
from threading import Event, Thread

import pytest

from tests.daemon.test_hooks import attended
from tests.stopwatch import Stopwatch
from thunderdl.daemon import hooks as module
from thunderdl.daemon.events import What
from thunderdl.daemon.hooks import Hooks


def test_an_answer_that_drips_costs_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIES", 1)
    monkeypatch.setattr(module, "WEBHOOK_S", 0.3)
    over = Event()

    def drip(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=drip, args=(listening,))
        thread.start()
        watch = Stopwatch()
        try:
            (note,) = attended(Hooks(webhook=f"http://127.0.0.1:{listening.getsockname()[1]}/"), What.COMPLETED)
        finally:
            over.set()
            thread.join()
    assert "took too long" in note
    assert watch.took_s < 5
