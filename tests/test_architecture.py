"""The rules of the architecture, read from the source: who may import whom, what stays pure, how long things are.

Imports are read with ``ast``, those under TYPE_CHECKING and inside functions included: a late import is an import.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import thunderdl

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "thunderdl"
FILES = sorted(PACKAGE.rglob("*.py"))

# The lower may be imported by the higher; those of one number are siblings and leave each other alone.
LAYERS = {
    "errors": 0, "quantities": 0, "model": 1, "timetable": 1, "reach": 1, "options": 2, "option_texts": 2.5, "core": 3,
    "formats": 3, "option_values": 3.5, "aria2": 4, "sources": 4, "verify": 4, "signatures": 4, "storage": 4,
    "replay": 4, "engine": 5, "changes": 5.5, "task": 6, "client": 7, "adopting": 8, "leftovers": 8, "mirroring": 8,
    "daemon": 8, "rpc": 9, "cli": 10,
}  # fmt: skip
# Here the public names and the command are put together.
ENTRANCES = {"thunderdl", "thunderdl.__main__"}
PURE = ("core", "formats", "aria2")
IMPURE_MODULES = {
    "asyncio", "threading", "socket", "os", "time", "logging", "httpx", "libtorrent", "ssl", "selectors",
    "subprocess", "random",
}  # fmt: skip
# Each third-party library has one home.
HOMES = {
    "httpx": ("thunderdl.sources.http",),
    "httpcore": ("thunderdl.sources.http",),
    "httptools": ("thunderdl.sources.http",),
    "h2": ("thunderdl.sources.http2",),
    "python_socks": ("thunderdl.sources.http",),
    "idna": ("thunderdl.sources.http",),
    "publicsuffixlist": ("thunderdl.sources.http",),
    "browser_cookie3": ("thunderdl.sources.http",),
    "keyring": ("thunderdl.engine",),
    "libtorrent": ("thunderdl.sources.swarm",),
    "cryptography": ("thunderdl.signatures",),
    "xxhash": ("thunderdl.formats.fast_digest",),
    "blake3": ("thunderdl.formats.hashes",),
    "http_sf": ("thunderdl.formats.structured_fields",),
    "rich": ("thunderdl.cli",),
    "typer": ("thunderdl.cli",),
    "platformdirs": ("thunderdl.cli",),
    "Crypto": ("thunderdl.formats.ed2k_hash",),
    "uvicorn": ("thunderdl.rpc.server",),
}
# Where a library is not imported under the name that it is installed by.
IMPORTED_AS = {"pycryptodome": "Crypto"}
# What a library that is used needs for what is used of it, and does not require itself.
USED_BY_OTHERS = {"websockets": "uvicorn"}
# What `import thunderdl` must not load: it is a part of somebody else's program, and start-up counts.
HEAVY = ("libtorrent", "typer", "rich", "httpx", "asyncio", "uvicorn")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
FORBIDDEN_CALLS = {"eval", "exec"}


class Import(NamedTuple):
    """``module`` is imported at ``line`` of the module ``by``."""

    by: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.module}"


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for path in FILES for found in imports_of(module_name(path), tree_of(path)))


def imports_of(by: str, tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(by, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{by}:{node.lineno}: imports are absolute here"
            module = node.module or ""
            # `from thunderdl import options` names a module, `from thunderdl import Client` does not.
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield Import(by, node.lineno, inner if inner in module_names() else module)


@cache
def module_names() -> frozenset[str]:
    return frozenset(map(module_name, FILES))


def part_of(module: str) -> str:
    """``cli`` of ``thunderdl.cli.get``; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def breaks_the_layers(found: Import) -> bool:
    mine, theirs = part_of(found.by), part_of(found.module)
    if found.by in ENTRANCES or found.module == "thunderdl" or mine == theirs:
        return False
    return LAYERS[theirs] >= LAYERS[mine]


def test_every_module_has_a_layer() -> None:
    assert {part_of(name) for name in module_names() - ENTRANCES} <= set(LAYERS)


def test_imports_go_down_only() -> None:
    ours = [found for found in imports() if found.module.split(".")[0] == "thunderdl"]
    assert ours
    assert [str(found) for found in ours if breaks_the_layers(found)] == []


@pytest.mark.parametrize(
    ("by", "module", "breaks"),
    [
        ("thunderdl.core.ranges", "thunderdl.engine.lanes", True),
        ("thunderdl.core.ranges", "thunderdl.formats.hashes", True),
        ("thunderdl.storage.files", "thunderdl.verify", True),
        ("thunderdl.cli.get", "thunderdl.formats.targets", False),
        ("thunderdl.cli.get", "thunderdl.core.ranges", False),
        ("thunderdl.__main__", "thunderdl.cli.app", False),
    ],
)
def test_the_rule_itself(by: str, module: str, breaks: bool) -> None:
    assert breaks_the_layers(Import(by, 1, module)) is breaks


def test_core_and_formats_are_pure() -> None:
    found = [
        str(found)
        for found in imports()
        if part_of(found.by) in PURE and found.module.split(".")[0] in IMPURE_MODULES - {"random"}
    ]
    assert found == []


@pytest.mark.parametrize("path", [path for path in FILES if part_of(module_name(path)) in PURE], ids=module_name)
def test_randomness_is_handed_in(path: Path) -> None:
    """``random.Random`` may be named as a type; nothing of ``random`` is called, and nothing else of it is named."""
    tree = tree_of(path)
    named = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and is_name(n.value, "random")]
    assert all(node.attr == "Random" for node in named)
    called = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert not set(named) & set(called)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "random"]


def is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def is_third_party(module: str) -> bool:
    top = module.split(".")[0]
    return top != "thunderdl" and top not in sys.stdlib_module_names


def lives_elsewhere(found: Import) -> bool:
    homes = HOMES.get(found.module.split(".")[0], ())
    return not any(found.by == home or found.by.startswith(f"{home}.") for home in homes)


def test_each_library_is_imported_in_its_home_only() -> None:
    strays = [f for f in imports() if is_third_party(f.module) and lives_elsewhere(f)]
    assert [str(found) for found in strays] == []


def required() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = [re.split(r"[^A-Za-z0-9_-]", line)[0].replace("-", "_") for line in listed]
    return [IMPORTED_AS.get(name, name) for name in names]


@pytest.mark.parametrize("library", required())
def test_what_is_installed_is_used(library: str) -> None:
    assert USED_BY_OTHERS.get(library, library) in {found.module.split(".")[0] for found in imports()}


@pytest.mark.parametrize("library", list(HOMES))
def test_what_is_used_is_installed(library: str) -> None:
    assert library in required()


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, thunderdl; print([m for m in {HEAVY!r} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def test_no_function_is_too_long() -> None:
    found = [
        f"{module_name(path)}.{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert found == []


def test_nothing_from_outside_is_executed() -> None:
    assert [str(f) for f in imports() if f.module.split(".")[0] in ("pickle", "marshal", "shelve", "yaml")] == []
    calls = [
        f"{module_name(path)}:{node.lineno} {node.func.id}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS
    ]
    assert calls == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree) or not tree.body


@pytest.mark.parametrize("name", thunderdl.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(thunderdl, name)
    assert name == "__version__" or found.__doc__
    assert name == "__version__" or found.__module__.startswith("thunderdl.")


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = thunderdl.no_such_name
