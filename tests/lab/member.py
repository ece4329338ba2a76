"""A member of a lab: one server process at the far end of its own link. It ends by the process started here."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.lab.link import Link
from tests.lab.scenarios import Turn

READY_WITHIN_S = 20.0
_LOOK_S = 0.005


class Member(ABC):
    """``folder``: its own."""

    def __init__(self, link: Link, folder: Path) -> None:
        self.link, self._folder = link, folder
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is run in the namespace; configuration is written anew."""

    @abstractmethod
    def serves(self) -> bool:
        """Whether it answers now; OSError is no as well."""

    @abstractmethod
    def said(self) -> str:
        """Its log, for one that does not serve."""

    def start(self) -> None:
        """Start the server."""
        inside = ["ip", "netns", "exec", self.link.namespace, *self.command()]
        with (self._folder / "output").open("ab") as output:
            # A session of its own: Ctrl-C is for us, who then end it.
            self._process = subprocess.Popen(
                inside, cwd=self._folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip

    def environment(self) -> dict[str, str] | None:
        """None for ours."""
        return None

    def await_ready(self) -> None:
        """Wait until the server serves. Raises RuntimeError with what it said."""
        give_up = time.monotonic() + READY_WITHIN_S
        while self._process is not None and self._process.poll() is None and time.monotonic() < give_up:
            try:
                if self.serves():
                    return
            except OSError:
                pass
            time.sleep(_LOOK_S)
        raise RuntimeError(f"a {type(self).__name__} does not serve; it said: {self.said() or 'nothing'}")

    def kill(self) -> None:
        """End the server as a crash would: its kernel still sends what is in its sockets."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def take(self, to: float | Turn) -> None:
        """Let a happening happen."""
        if not isinstance(to, Turn):
            self.link.change_rate(to)
        elif to is Turn.DARK:
            self.link.go_dark()
        elif to is Turn.LIGHT:
            self.link.go_light()
        elif to is Turn.DIES:
            self.kill()
        else:
            self.start()
