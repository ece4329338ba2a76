"""README, docs/ and examples/ hold: examples run, command lines parse, settings load, pages agree with the code.

The hosts of the examples (example.org, example.net) become loopback servers, the one digest in them that of the
file served there. Nothing here reaches for the network.
"""

from __future__ import annotations

import hashlib
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import doc_pages
from tests.servers.loopback import LoopbackServer, Resource
from thunderdl.cli import settings
from thunderdl.cli.app import with_command
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import read
from thunderdl.formats.hashes import format_piece_hashes
from thunderdl.model import PieceHashes

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = ROOT / "examples"
# The digest that the docs write; every other hex of this length in them is an error.
DIGEST = hashlib.sha256(b"test").hexdigest()
# Pages that exist only after something was run.
MADE_LATER = {
    ROOT / "docs" / "bench.md": "make bench",
    ROOT / "docs" / "bench-lab.md": "make bench-lab",
    ROOT / "docs" / "bench-scheduler.md": "make bench-scheduler",
}
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_OF_THE_WHOLE = ("--version", "--help")


class Block(NamedTuple):
    """Fenced ``text`` of a page; ``line``: of its first line."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            if found[1] == language:
                yield Block(page, text.count("\n", 0, found.start(2)) + 1, found[2])


def command_lines() -> Iterator[Block]:
    for block in blocks("sh"):
        for number, line in enumerate(block.text.splitlines(), block.line):
            if line.strip():
                yield Block(block.page, number, line)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[LoopbackServer, LoopbackServer]]:
    big = b"".join(index.to_bytes(8, "big") for index in range(400_000))
    files = {"/big.iso": Resource(body=big), "/small.txt": Resource(body=b"small")}
    files |= {"/pub/": Resource(body=b'<a href="small.txt">small.txt</a>'), "/pub/small.txt": Resource(body=b"small")}
    with LoopbackServer(dict(files)) as one, LoopbackServer(dict(files)) as other:
        yield one, other


def on_loopback(text: str, servers: tuple[LoopbackServer, LoopbackServer]) -> str:
    """The example with the servers of the tests, and the digest of what these serve."""
    body = servers[0].resources["/big.iso"].body
    assert isinstance(body, bytes)
    text = text.replace("https://example.org", servers[0].origin).replace("https://example.net", servers[1].origin)
    text = text.replace(DIGEST, hashlib.sha256(body).hexdigest())
    assert "example." not in text, "an example with a host that no test serves"
    return text


@pytest.mark.parametrize("block", list(blocks("python")), ids=str)
def test_each_python_example_runs(
    block: Block, servers: tuple[LoopbackServer, LoopbackServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    script.write_text(on_loopback(block.text, servers), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    assert not list(tmp_path.rglob("*.part*"))


RUNS = {
    "get_with_checksum.py": (["{one}/big.iso", "sha-256=" + DIGEST, "out"], "sha256="),
    "many_with_progress.py": (["out", "{one}/big.iso", "{one}/small.txt"], "saved   out/big.iso"),
    "pause_and_resume.py": (["{one}/big.iso", "out"], "out/big.iso: 3200000 bytes"),
}


@pytest.mark.parametrize("name", list(RUNS))
def test_each_program_runs(
    name: str, servers: tuple[LoopbackServer, LoopbackServer], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments, told = RUNS[name]
    arguments = [on_loopback(argument.format(one="https://example.org"), servers) for argument in arguments]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    # What a script that went well does in the end, if anything.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "exit", lambda code=0: None if not code else pytest.fail(f"exit code {code}"))
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert told in capsys.readouterr().out
    assert (tmp_path / "out" / "big.iso").stat().st_size == 3_200_000


def test_each_program_is_run_or_is_the_demonstration() -> None:
    here = {path.name for path in EXAMPLES.glob("*.py")}
    assert here == {*RUNS, "four_servers.py", "shaped_servers.py"}


@pytest.mark.parametrize("line", list(command_lines()), ids=lambda line: f"{line}: {line.text}")
def test_each_command_line_parses(line: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pieces = PieceHashes(algorithm="sha256", piece_length=1024, digests=(bytes(32),))
    (tmp_path / "big.iso.pieces").write_text(format_piece_hashes(pieces))
    for arguments in thunderdl_calls(line.text):
        if arguments[0] in _OF_THE_WHOLE:
            continue
        name, *rest = with_command(arguments)
        typed = read(COMMANDS[name], rest)
        assert typed is not None, f"{line}: the grammar does not know this: {line.text}"
        settings.merge(file={}, environment={}, flags=typed.settings()).options()


def thunderdl_calls(line: str) -> Iterator[list[str]]:
    """The arguments of each call of thunderdl in a shell line; any other command must be one that we know of."""
    words = shlex.split(line, comments=True)
    while words:
        end = next((at for at, word in enumerate(words) if word in ("|", "&&", ";")), len(words))
        call, words = words[:end], words[end + 1 :]
        while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
            call = call[1:]
        if call[0] == "thunderdl":
            yield call[1:]
        elif call[:2] == ["make", "run"]:
            yield from made(call[2:])
        else:
            assert call[0] in ("make", "pip", "pipx", "git", "ssh", "generate-urls"), f"what is {call[0]}?"


def made(variables: list[str]) -> Iterator[list[str]]:
    """What `make run URL=… ARGS=…` calls."""
    given = dict(word.split("=", 1) for word in variables)
    if "URL" in given:
        yield ["get", given["URL"], *shlex.split(given.get("ARGS", ""))]


def test_a_flag_that_is_none_would_be_seen() -> None:
    name, *rest = with_command(["https://example.org/", "--no-such-flag"])
    assert read(COMMANDS[name], rest) is None


@pytest.mark.parametrize("block", list(blocks("toml")), ids=str)
def test_each_configuration_loads(block: Block) -> None:
    settings.merge(file=tomllib.loads(block.text), environment={}, flags={}).options()


@pytest.mark.parametrize("path", list(doc_pages.pages()), ids=lambda path: path.name)
def test_reference_pages_are_as_made(path: Path) -> None:
    made_now = doc_pages.pages()[path]
    assert path.read_text(encoding="utf-8") == made_now, "run `python -m tests.doc_pages` to write it anew"


@pytest.mark.parametrize("path", doc_pages.handwritten(), ids=lambda path: path.name)
def test_made_parts_are_as_made(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == doc_pages.with_parts(text), "run `python -m tests.doc_pages` to write them anew"


def test_the_connection_states_are_drawn() -> None:
    page = (ROOT / "docs" / "explanation" / "states.md").read_text(encoding="utf-8")
    assert "<!-- made: connection-states -->" in page
    assert "idle --> head" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if target in MADE_LATER and not target.exists():
            continue
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_digests_in_pages_are_the_known_one(page: Path) -> None:
    found = re.findall(r"\b[0-9a-f]{64}\b", page.read_text(encoding="utf-8"))
    assert set(found) <= {DIGEST}


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall(readme)}
    assert set(PAGES) - {ROOT / "README.md"} <= linked
