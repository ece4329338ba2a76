"""``sftp:`` URLs: files over SSH, by the system's own ``ssh``.

``sftp://USER@HOST:PORT/PATH``; the path is absolute, ``/~/PATH`` lies in the user's home. What the URL does not say,
the user's configuration of OpenSSH does.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from thunderdl.errors import AccessDenied, InvalidUrl, LastingFault, SourceError, TimedOut
from thunderdl.sources.answering import PlainRequest
from thunderdl.sources.base import Ground
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.wire import Address, Endpoint, parse_url
from thunderdl.sources.sftp.askpass import answering
from thunderdl.sources.sftp.carrier import RemoteCarrier, RemoteOrigin
from thunderdl.sources.sftp.channel import Channel, ChannelClosed
from thunderdl.sources.sftp.command import DEFAULT_PORT, check_names, command, faster_ciphers, question
from thunderdl.sources.sftp.faults import HostKeyRefused, ssh_fault
from thunderdl.sources.sftp.process import Process, has_aes_instructions, output_of
from thunderdl.sources.sftp.remote_file import RemoteFile

# sshd turns connections away at random once ten are not logged in yet (MaxStartups 10:30:100).
MOST_LOGGING_IN = 6
# One for each connection that is at work.
THREADS = 64
# ``ssh -G`` reads files, and runs what the user's configuration has it run.
CONFIG_S = 5.0
T = TypeVar("T")


class SecureFiles:
    """The :class:`thunderdl.sources.base.Access` for them."""

    takes_proxy = False
    runs_on = False

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._logging_in: dict[str, asyncio.Semaphore] = {}
        self._ciphers: dict[Endpoint, str | None] = {}
        self._processes: set[Process] = set()
        self._ending: set[asyncio.Future[None]] = set()
        self._threads = DaemonThreads[Any](THREADS, "thunderdl-sftp")

    def address(self, url: str) -> Address:
        address = self._taken_apart(url)
        if address.target.endswith("/"):
            raise InvalidUrl(url, "it names a folder; name one file in it, or use thunderdl mirror")
        return address

    def folder(self, url: str) -> Address:
        return self._taken_apart(url)

    def _taken_apart(self, url: str) -> Address:
        address = parse_url(url, ports={"sftp": DEFAULT_PORT})
        check_names(url, address)
        if "%00" in address.target:
            raise InvalidUrl(url, "its path holds a NUL")
        return address

    def request(self, address: Address) -> PlainRequest:
        return PlainRequest(address)

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> RemoteCarrier:
        turns = self._logging_in.setdefault(endpoint.origin, asyncio.Semaphore(MOST_LOGGING_IN))
        async with turns:
            try:
                async with asyncio.timeout(timeout_s):
                    origin = await self._logged_in(endpoint, timeout_s)
            except TimeoutError:
                raise TimedOut("", "did not answer in time") from None
        return RemoteCarrier(origin, self._ground.on_disk)

    async def close(self) -> None:
        for process in list(self._processes):
            self._end(process)
        while self._ending:
            await asyncio.wait(self._ending)
        self._threads.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        found: T = await asyncio.wrap_future(self._threads.submit(work))
        return found

    async def _logged_in(self, endpoint: Endpoint, timeout_s: float) -> RemoteOrigin:
        password = endpoint.login[1] if endpoint.login else ""
        program = shutil.which("ssh")
        if program is None:
            raise LastingFault("", "this needs OpenSSH's ssh, which is not here", "install openssh-client")
        ciphers = await self._ciphers_for(program, endpoint)
        with contextlib.ExitStack() as stack:
            environment: Mapping[str, str] = stack.enter_context(answering(password)) if password else {}
            line = command(
                program, endpoint, has_password=bool(environment), timeout_s=timeout_s, ciphers=ciphers,
                trust_new=self._ground.options.accept_new_host_keys,
            )  # fmt: skip
            process = self._started(line, environment)
            try:
                return await self._begun(process, timeout_s)
            except BaseException as error:
                self._end(process)
                if password and isinstance(error, AccessDenied) and not isinstance(error, HostKeyRefused):
                    error.advice = "check the user's name and password"
                raise

    async def _ciphers_for(self, program: str, endpoint: Endpoint) -> str | None:
        """Asked once for each host: 10 ms."""
        if endpoint not in self._ciphers:
            self._ciphers[endpoint] = await self._in_thread(lambda: _fast_ciphers(program, endpoint))
        return self._ciphers[endpoint]

    def _started(self, line: list[str], environment: Mapping[str, str]) -> Process:
        try:
            process = Process(line, environment)
        except OSError as error:
            raise LastingFault("", f"ssh cannot be run ({error.strerror or type(error).__name__})") from None
        self._processes.add(process)
        return process

    async def _begun(self, process: Process, timeout_s: float) -> RemoteOrigin:
        file = RemoteFile(Channel(process.sock))
        try:
            await self._in_thread(file.greet)
        except ChannelClosed:
            raise await self._explained(process, has_begun=False)() from None
        lost = self._explained(process, has_begun=True)
        return RemoteOrigin(
            file, self._in_thread, end=lambda: self._end(process), lost=lost, timeout_s=timeout_s
        )  # fmt: skip

    def _explained(self, process: Process, *, has_begun: bool) -> Callable[[], Awaitable[SourceError]]:
        async def explain() -> SourceError:
            return ssh_fault("", await self._ground.on_disk(process.said), has_begun=has_begun)

        return explain

    def _end(self, process: Process) -> None:
        if process not in self._processes:
            return
        self._processes.discard(process)
        process.hang_up()
        ending = asyncio.ensure_future(self._ground.on_disk(process.end))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _fast_ciphers(program: str, endpoint: Endpoint) -> str | None:
    if not has_aes_instructions():
        return None
    return faster_ciphers(output_of(question(program, endpoint), CONFIG_S))
