"""The same command lines, to aria2 itself and to ours: exit status, files, stdout. Where aria2 is installed."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.aria2c import REAL, Ran, run, run_real, shape
from tests.servers.loopback import LoopbackServer, Resource
from tests.servers.misbehave import status
from thunderdl.aria2.command_line import BadCommandLine, read_command_line
from thunderdl.aria2.table import OPTIONS, defaults

pytestmark = pytest.mark.skipif(REAL is None, reason="aria2 is not installed")

BIG = random.Random(1).randbytes(1_500_000)
SMALL = b"small"
SHA1 = hashlib.sha1(SMALL).hexdigest()
METALINK = (
    '<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="small.txt"><size>5</size>'
    '<hash type="sha-1">{digest}</hash><url>{origin}/small.txt</url></file></metalink>'
)


@dataclass(frozen=True)
class Line:
    """``typed``: with ``U`` for the server's address; ``there``: files before it; ``differs``: what is told otherwise
    here on purpose: ``out`` the lines, ``names`` the files' names."""

    typed: str
    there: tuple[tuple[str, bytes], ...] = ()
    differs: str = ""

    def __str__(self) -> str:
        return self.typed


LISTED = b"U/small.txt\tU/mirror/small.txt\n out=one\nU/big.bin\n  dir=sub\n"
LINES = [
    Line("U/small.txt"),
    Line("U/big.bin -o sub/x.bin"),
    Line("U/big.bin U/mirror/big.bin -x4 -s4 -k1M"),
    Line("-Z U/small.txt U/big.bin -j1"),
    Line("-d below U/small.txt"),
    Line("-q U/small.txt"),
    Line("--quiet=false U/small.txt"),
    Line("U/nothere"),
    Line("U/nothere -o x.bin"),
    Line("-Z -j1 U/nothere U/small.txt"),
    Line("-Z -j1 U/small.txt U/nothere U/forbidden"),
    Line("U/nothere U/small.txt -o x", differs="out"),
    Line("U/forbidden --max-tries=1"),
    Line("U/private --max-tries=1"),
    Line("U/broken --max-tries=1"),
    Line("U/busy --max-tries=1"),
    Line("U/loop"),
    Line("http://no.such.host.invalid/x --max-tries=1"),
    Line("U/small.txt", (("small.txt", b"old"),), differs="names out"),
    Line("--allow-overwrite U/small.txt", (("small.txt", b"old"),)),
    Line("--auto-file-renaming=false U/small.txt", (("small.txt", b"old"),)),
    Line("-c U/small.txt", (("small.txt", SMALL),)),
    Line("-c U/big.bin", (("big.bin", BIG[:1_000_000]),)),
    Line("--dry-run U/small.txt"),
    Line("--dry-run U/nothere"),
    Line("--checksum=sha-1=GOOD U/small.txt"),
    Line("-i list", (("list", LISTED),)),
    Line("-i list -j1 --download-result=full", (("list", LISTED),)),
    Line("-i list --download-result=hide --console-log-level=warn", (("list", LISTED),)),
    Line("-i list -o x", (("list", b"U/small.txt\nU/big.bin\n out=y\n"),)),
    Line("-Z -j1 U/small.txt U/big.bin -o x"),
    Line("-i nofile"),
    Line("-i empty", (("empty", b"# nothing\n"),)),
    Line("-i list", (("list", b"U/small.txt\n split=0\n"),)),
    Line("-Z -P U/{small.txt,big.bin} -j1"),
    Line("-P U/[1-2] -Z -j1"),
    Line("-M small.meta4", (("small.meta4", b"METALINK"),)),
    Line("small.meta4", (("small.meta4", b"METALINK"),)),
    Line("-S small.meta4", (("small.meta4", b"METALINK"),)),
    Line("-S U/small.txt"),
    Line(""),
    Line("nothing"),
    Line("http://"),
    Line("--nosuch"),
    Line("-z"),
    Line("--out"),
    Line("--split=0 U/small.txt"),
    Line("-x17 U/small.txt"),
    Line("--max-download-limit=1.5M U/small.txt"),
    Line("--continue=maybe U/small.txt"),
    Line("-Zx4 U/small.txt"),
    Line("-M nofile"),
    Line("--gid=xyz U/small.txt"),
    Line("--user-agent=x --referer=* --header=A:b --http-no-cache U/small.txt"),
    Line("-c -j 5 -x 5 -s 5 -i list --connect-timeout=600 --timeout=600 -m0", (("list", LISTED),)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    files = {f"{folder}/{name}": Resource(body=body) for folder in ("", "/mirror")
             for name, body in (("small.txt", SMALL), ("big.bin", BIG))}  # fmt: skip
    answers = {
        "forbidden": status(403), "private": status(401, ("WWW-Authenticate", "Basic realm=x")), "broken": status(500),
        "busy": status(503), "loop": status(302, ("Location", "/loop")),
    }  # fmt: skip
    files |= {f"/{name}": Resource(body=b"", behaviour=behaviour) for name, behaviour in answers.items()}
    with LoopbackServer(files) as running:
        yield running


@pytest.mark.parametrize("line", LINES, ids=str)
def test_each_ends_as_with_aria2(
    line: Line, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("THUNDERDL_CONFIG", str(tmp_path / "none.toml"))
    theirs, ours = (
        program(prepared(tmp_path / name, line, server), *typed(line, server))
        for name, program in (("theirs", run_real), ("ours", run))
    )
    assert ours.code == theirs.code, ours
    if "names" in line.differs:
        assert sorted(ours.files.values()) == sorted(theirs.files.values())
    else:
        assert ours.files == theirs.files
    if "out" not in line.differs:
        shapes = shape(ours.out, tmp_path / "ours"), shape(theirs.out, tmp_path / "theirs")
        assert sorted(shapes[0]) == sorted(shapes[1])
    assert told_first(ours) == told_first(theirs)


def typed(line: Line, server: LoopbackServer) -> Sequence[str]:
    return [word.replace("U/", f"{server.origin}/").replace("GOOD", SHA1) for word in line.typed.split()]


def prepared(folder: Path, line: Line, server: LoopbackServer) -> Path:
    folder.mkdir()
    metalink = METALINK.format(digest=SHA1, origin=server.origin).encode()
    for name, body in line.there:
        text = body.replace(b"U/", f"{server.origin}/".encode()).replace(b"METALINK", metalink)
        (folder / name).write_bytes(body if name == "big.bin" else text)
    return folder


def told_first(ran: Ran) -> list[str]:
    """What is said on stderr of a mistake: the sentences, without the place in aria2's source, the help, and what may
    have been meant."""
    lines = [re.sub(r"\[[A-Za-z_]+\.(?:cc|h):\d+\] ", "", line) for line in ran.err.splitlines()]
    ends = [at for at, line in enumerate(lines) if line.startswith(("Usage:", "Did you mean"))]
    return [line for line in lines[: min(ends, default=None)] if line and "errorCode=1 " not in line]


@pytest.mark.parametrize("typed", ["--ma=3", "--he", "--nosuch", "--version=3", "-z", "-j", "--out", "-vx"])
def test_getopt_complains_in_the_same_words(typed: str, tmp_path: Path) -> None:
    with pytest.raises(BadCommandLine) as refused:
        read_command_line([typed])
    theirs = run_real(tmp_path, typed)
    reason = theirs.err.splitlines()[0].removeprefix("aria2c: ")
    # It lists what is possible in the order of its own table.
    assert sorted(refused.value.reason.split()) == sorted(reason.split())


def test_help_names_the_same_options(tmp_path: Path) -> None:
    pattern = re.compile(r"^ (?:-(\w), )?--([\w-]+)(\[?=)?", re.MULTILINE)
    theirs = {found[2]: found.groups() for found in pattern.finditer(run_real(tmp_path, "--help=#all").out)}
    ours = {found[2]: found.groups() for found in pattern.finditer(run(tmp_path, "--help=#all").out)}
    assert theirs.keys() <= ours.keys()
    # -a is taken by it, and left out of its help.
    assert {name for name, facts in theirs.items() if ours[name] != facts} == {"file-allocation"}


def test_ranges_and_choices_are_the_same(tmp_path: Path) -> None:
    told = run_real(tmp_path, "--help=#all").out
    for block in re.split(r"\n(?= -)", told)[1:]:
        name = re.match(r" (?:-\w, )?--([\w-]+)", block)
        assert name is not None
        option = OPTIONS[name[1]]
        default = re.search(r"Default: (.*)", block)
        if option.form.name in ("NUMBER", "CHOICE", "RANGES", "SWITCH") and option.name not in ("rlimit-nofile",):
            assert option.default == (default[1] if default else None), option.name
        if option.form.name in ("NUMBER", "SIZE", "RANGES"):
            bounds = [str(each) if each is not None else "*" for each in (option.least, option.most)]
            assert f"Possible Values: {'-'.join(bounds)}\n" in block, option.name


def test_defaults_are_whole() -> None:
    assert defaults()["max-connection-per-server"] == "1"
