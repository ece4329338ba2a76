"""A webhook whose answer comes a byte at a time holds a turn no longer than one that gives none."""

from __future__ import annotations

import contextlib
import socket
import threading
from threading import Event, Thread

import pytest

from tests.daemon.test_hooks import attended
from tests.engine.runs import LIMIT_S
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


@pytest.mark.parametrize(
    ("scheme", "begins"), [("http", b"HTTP/1.1 200 OK\r\nX-Long: "), ("https", b"\x16\x03\x03\x40\x00\x02")]
)
def test_one_that_was_given_up_is_hung_up_on(scheme: str, begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its thread would read for as long as the other end likes; in TLS's handshake as in an answer."""
    monkeypatch.setattr(module, "_TRIES", 1)
    monkeypatch.setattr(module, "WEBHOOK_S", 0.3)
    over, hung_up = Event(), Event()

    def drip(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        with connection:
            try:
                connection.sendall(begins)
                while not over.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                hung_up.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(LIMIT_S)
        thread = Thread(target=drip, args=(listening,))
        thread.start()
        try:
            attended(Hooks(webhook=f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/"), What.COMPLETED)
            assert hung_up.wait(LIMIT_S)
            for each in threading.enumerate():
                if each.name == "thunderdl-webhook":
                    each.join(LIMIT_S)
                    assert not each.is_alive()
        finally:
            over.set()
            thread.join()
