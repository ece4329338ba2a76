"""The pages and diagrams of docs/ that are made from the program: ``python -m tests.doc_pages`` writes them anew.

They say nothing that docstrings, tables and signatures do not say; tests/test_docs.py compares them. In a page
written by hand a generated part stands between ``<!-- made: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import thunderdl
from tests import doc_aria2_rpc
from thunderdl import client, errors, mirroring, model, options, reach, timetable
from thunderdl.aria2 import exit_codes as aria2_exit_codes
from thunderdl.aria2.help_text import possible_values
from thunderdl.aria2.option import Option, Reach, State
from thunderdl.aria2.table import OPTIONS as ARIA2_OPTIONS
from thunderdl.cli import reference
from thunderdl.engine import asking, creating, seeding
from thunderdl.sources.http.connection import LEGAL, Phase
from thunderdl.sources.swarm import torrent

DOCS = Path(__file__).parent.parent / "docs"
_PART = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_VALUES = (
    model.Result, model.Progress, model.SourceProgress, model.PieceTable, model.FileProgress, model.FileUrl,
    model.UrlUse, model.PeerProgress, model.SwarmFacts, model.TrackerProgress, model.Explanation, model.Status,
    model.SourceState,
    model.Validators, model.Digest, model.PieceHashes, model.ExpiredLink, model.ContentKey, options.Exists,
    options.Priority, timetable.Timetable, reach.IpVersion, reach.Resolve, asking.Info, client.Totals, creating.Created,
    seeding.SeedProgress, torrent.Torrent, torrent.TorrentFile,
)  # fmt: skip


def pages() -> dict[Path, str]:
    """Each page that is made as a whole, with what it should hold."""
    return {
        DOCS / "reference" / "cli.md": reference.page() + "\n",
        DOCS / "reference" / "errors.md": "\n".join(_errors_page()) + "\n",
        DOCS / "reference" / "library.md": "\n".join(_library_page()) + "\n",
        DOCS / "reference" / "aria2.md": "\n".join(_aria2_page()) + "\n",
        DOCS / "reference" / "aria2-rpc.md": "\n".join(doc_aria2_rpc.page()) + "\n",
    }


def with_parts(page: str) -> str:
    """The page with its generated parts made anew; KeyError for a part that nothing makes."""
    return _PART.sub(lambda found: f"{found[1]}{_PARTS[found[2]]()}{found[3]}", page)


def handwritten() -> list[Path]:
    """The pages of docs/ that are written by hand."""
    return sorted(set(DOCS.rglob("*.md")) - set(pages()) - {DOCS / "bench.md", DOCS / "bench-lab.md"})


# -- errors


def _errors_page() -> Iterator[str]:
    yield "# Errors\n"
    yield "Made from `thunderdl/errors.py` by `python -m tests.doc_pages`. All are in `thunderdl.errors`; the numbers"
    yield "are the [exit codes](cli.md#exit-codes) of the command line.\n"
    _, tree, prose = _doc(errors).split("\n\n")
    yield f"```text\n{inspect.cleandoc(tree)}\n```\n"
    yield f"{_markdown(prose)}\n"
    yield "## What each one carries\n"
    yield "| error | exit code | facts | |\n| --- | --- | --- | --- |"
    for kind in _error_classes():
        told = " ".join((kind.__doc__ or "").split()) if "__doc__" in vars(kind) else ""
        yield f"| `{kind.__name__}` | {_code(kind)} | {_facts(kind)} | {_markdown(told)} |"


def _error_classes() -> list[type[errors.ThunderdlError]]:
    found = [each for each in vars(errors).values() if inspect.isclass(each)]
    return [each for each in found if issubclass(each, errors.ThunderdlError)]


def _code(kind: type[errors.ThunderdlError]) -> str:
    code: object = vars(kind).get("exit_code", kind.exit_code)
    return str(code) if isinstance(code, int) else "of its most telling attempt"


def _facts(kind: type[errors.ThunderdlError]) -> str:
    if kind in (errors.ThunderdlError, errors.UsageError, errors.Cancelled):
        return "–"
    return ", ".join(f"`{name}`" for name in inspect.signature(kind).parameters)


# -- library


def _library_page() -> Iterator[str]:
    yield "# Library\n"
    yield "Made from the docstrings by `python -m tests.doc_pages`. `import thunderdl` gives:"
    names = [name for name in thunderdl.__all__ if name != "__version__"]
    yield (
        ", ".join(f"`{name}`" for name in names)
        + " and `__version__`. The package is typed (`py.typed`, mypy strict).\n"
    )
    yield "## One file\n"
    for function in (client.get, client.download):
        yield from _function(function, f"thunderdl.{function.__name__}", "###")
    yield "`**changes` are fields of [Options](#options): `thunderdl.get(url, limit=500_000, key=True)`.\n"
    yield "## Many files\n"
    for kind in (client.Client, client.Task, client.Request):
        yield from _class(kind)
    yield "## Trees\n"
    yield from _function(mirroring.mirror, "thunderdl.mirror", "###")
    yield from _class(mirroring.Mirror)
    yield from _class(mirroring.Mirrored)
    yield "## Torrents\n"
    yield from _function(creating.create_torrent, "thunderdl.create_torrent", "###")
    yield from _class(seeding.Seeding)
    yield "## Options\n"
    yield f"{_markdown(_doc(options.Options))}\n"
    yield "`scope` session: shared by all downloads of a client.\n"
    yield "| field | default | unit | scope | |\n| --- | --- | --- | --- | --- |"
    for row in options.table():
        yield f"| `{row.name}` | `{_shown(row.default)}` | {row.unit or '–'} | {row.scope} | {row.help} |"
    yield "\n## Values\n"
    for value in _VALUES:
        yield from _value(value)
    yield "## Errors\n"
    yield "All errors come from `thunderdl.ThunderdlError`; see [errors](errors.md).\n"


def _function(function: Callable[..., object], shown: str, heading: str) -> Iterator[str]:
    name = shown.rpartition(".")[2]
    asynchronous = "async " if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function) else ""
    yield f"{heading} `{shown}`\n"
    yield f"```text\n{asynchronous}{name}{_signature(function)}\n```\n"
    yield f"{_markdown(_doc(function))}\n"


def _class(kind: type) -> Iterator[str]:
    yield f"### `{kind.__name__}`\n"
    yield f"{_markdown(_doc(kind))}\n"
    if dataclasses.is_dataclass(kind):
        yield from _fields(kind)
        return
    if kind is client.Client:
        yield f"```text\nClient{_signature(kind)}\n```\n"
    for name, member in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(member):
            yield from _function(member, f"{kind.__name__}.{name}", "####")


def _value(kind: type) -> Iterator[str]:
    yield f"### `{kind.__name__}`\n"
    yield f"{_markdown(_doc(kind))}\n"
    if issubclass(kind, enum.Enum):
        yield ", ".join(f"`{member.name}` ({member.value})" for member in kind) + "\n"
    else:
        yield from _fields(kind)


def _fields(kind: type) -> Iterator[str]:
    yield "| field | type | default |\n| --- | --- | --- |"
    for each in dataclasses.fields(kind):
        default = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        shown = "–" if default is dataclasses.MISSING else f"`{_shown(default)}`"
        yield f"| `{each.name}` | `{str(each.type).replace('|', chr(92) + '|')}` | {shown} |"
    yield ""


def _signature(function: Callable[..., object]) -> str:
    """A parameter a line: signatures are read, not run."""
    found = inspect.signature(function)
    lines, only_named = [], False
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not only_named:
            only_named = True
            lines.append("*")
        stars = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is inspect.Parameter.empty else f" = {_shown(parameter.default)}"
        lines.append(f"{stars}{parameter.name}: {parameter.annotation}{default}")
    returned = "" if found.return_annotation is inspect.Signature.empty else f" -> {found.return_annotation}"
    inside = ", ".join(lines) if len(lines) < 3 else "\n    " + ",\n    ".join(lines) + ",\n"
    return f"({inside}){returned}"


def _shown(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


def _doc(of: object) -> str:
    return inspect.getdoc(of) or ""


def _markdown(text: str) -> str:
    """Docstrings as Markdown: roles and double backticks become single ones."""
    text = re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


# -- aria2


def _aria2_page() -> Iterator[str]:
    yield "# aria2's options\n"
    yield "Made from `thunderdl/aria2/` by `python -m tests.doc_pages`. What each option of aria2 does in"
    yield "`thunderdl aria2c` and over RPC; see [how to use it](../how-to/aria2.md).\n"
    count = Counter(option.here.state for option in ARIA2_OPTIONS.values())
    yield "| state | options | |\n| --- | --- | --- |"
    for state in State:
        yield f"| {state.value} | {count[state]} | {_STATES[state]} |"
    yield ""
    for where in Reach:
        chosen = sorted(option for option in ARIA2_OPTIONS.values() if option.reach is where)
        yield f"## Set {where.value}\n"
        yield "| option | default | values | here |\n| --- | --- | --- | --- |"
        yield from map(_aria2_row, chosen)
        yield ""
    yield "## Exit status\n"
    yield "Of several downloads that of the last one that failed.\n"
    yield "| status | meaning |\n| --- | --- |"
    yield from (f"| {code} | {meaning} |" for code, meaning in aria2_exit_codes.MEANINGS.items())


_STATES = {
    State.OURS: "translated to an option of thunderdl",
    State.COMMAND: "`thunderdl aria2c` does it itself",
    State.DAEMON: "for the RPC",
    State.MOOT: "taken, and without effect: there is nothing to regulate, or it is so anyway",
    State.MISSING: "taken, and not done: a warning says so",
}


def _aria2_row(option: Option) -> str:
    names = f"`-{option.short}`, `--{option.name}`" if option.short else f"`--{option.name}`"
    state, fields, why = option.here
    ours = ", ".join(f"`{name}`" for name in fields)
    told = "; ".join(part for part in (f"sets {ours}" if ours else state.value, why) if part)
    default = f"`{option.default}`" if option.default is not None else "–"
    values = possible_values(option) or option.metavar
    return (
        f"| {names} | {default} | {values.replace('|', chr(92) + '|')} | {option.help} {told[0].upper()}{told[1:]}. |"
    )


# -- parts


def _connection_states() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.IDLE.value}"]
    lines += [
        f"    {phase.value} --> {following.value}"
        for phase in Phase
        for following in Phase
        if following in LEGAL[phase] and following is not Phase.CLOSED
    ]
    ends = sorted(phase.value for phase in Phase if Phase.CLOSED in LEGAL[phase])
    lines += [f"    {phase} --> {Phase.CLOSED.value}" for phase in ends]
    return "\n".join([*lines, "```", ""])


def _connection_moves() -> str:
    lines = ["| from | to |", "| --- | --- |"]
    for phase in Phase:
        after = ", ".join(f"`{each.value}`" for each in Phase if each in LEGAL[phase])
        lines.append(f"| `{phase.value}` | {after or 'nothing: it is over'} |")
    return "\n".join([*lines, ""])


_PARTS: dict[str, Callable[[], str]] = {
    "connection-states": _connection_states,
    "connection-moves": _connection_moves,
}


def main() -> None:
    for path, page in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    for path in handwritten():
        path.write_text(with_parts(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
