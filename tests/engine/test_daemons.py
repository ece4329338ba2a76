"""Connecting threads: as many as may be, results and errors handed over, and none that the program's end waits for."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading

import pytest

from thunderdl.sources.http.daemons import DaemonThreads

LIMIT_S = 30


def test_results_and_errors_come_through_the_future() -> None:
    threads = DaemonThreads[int](2, "test")
    assert threads.submit(lambda: 7).result(LIMIT_S) == 7
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(LIMIT_S)
    threads.close()


def test_no_more_threads_than_allowed_and_the_rest_in_turn() -> None:
    threads, gate = DaemonThreads[str](2, "test"), threading.Barrier(3)

    def at_the_gate() -> str:
        gate.wait(LIMIT_S)
        return threading.current_thread().name

    first = [threads.submit(at_the_gate) for _ in range(2)]
    later = [threads.submit(lambda: "later") for _ in range(5)]
    assert not any(future.done() for future in later)
    gate.wait(LIMIT_S)
    assert [future.result(LIMIT_S) for future in (*first, *later)] == ["test"] * 2 + ["later"] * 5
    threads.close()


def test_closing_cancels_what_has_not_begun() -> None:
    threads, gate = DaemonThreads[bool](1, "test"), threading.Event()
    running = threads.submit(lambda: gate.wait(LIMIT_S))
    waiting = threads.submit(lambda: True)
    while not running.running():
        pass
    threads.close()
    assert waiting.cancelled()
    gate.set()
    assert running.result(LIMIT_S)


def test_closing_waits_for_nothing_that_a_thread_takes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Contested(queue.SimpleQueue[object]):
        """What it says to hold is taken by the thread before the one who asked can take it."""

        def empty(self) -> bool:
            was_empty = super().empty()
            gate.set()
            assert taken.wait(LIMIT_S)
            return was_empty

    def take() -> bool:
        taken.set()
        return True

    gate, taken = threading.Event(), threading.Event()
    monkeypatch.setattr(queue, "SimpleQueue", Contested)
    threads = DaemonThreads[bool](1, "test")
    running = threads.submit(lambda: gate.wait(LIMIT_S))
    while not running.running():
        pass
    waiting = threads.submit(take)
    closing = threading.Thread(target=threads.close, daemon=True)
    closing.start()
    closing.join(LIMIT_S)
    gate.set()
    assert not closing.is_alive()
    assert waiting.cancelled() or waiting.result(LIMIT_S)


def test_the_program_ends_while_a_call_still_waits() -> None:
    program = (
        "import threading; from thunderdl.sources.http.daemons import DaemonThreads;"
        "threads = DaemonThreads(1, 'test'); threads.submit(lambda: threading.Event().wait(60)); threads.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT_S)
