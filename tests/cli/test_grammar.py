from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thunderdl.cli import typer_app
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.grammar import Command, Typed, read
from thunderdl.errors import UsageError
from thunderdl.options import Exists, table


def get(*arguments: str) -> dict[str, object] | None:
    typed = read(COMMANDS["get"], arguments)
    return None if typed is None else typed.values


def test_forms_of_flags() -> None:
    same = {"dir": "x", "quiet": True, "urls": ("u",)}
    for line in (["-q", "-d", "x", "u"], ["-qdx", "u"], ["-qd", "x", "u"], ["u", "--dir=x", "--quiet"]):
        assert get(*line) == same


def test_flags_and_arguments_mix_until_two_dashes() -> None:
    assert get("u", "-H", "A: b", "v", "-H", "C: d", "--", "-q") == {
        "urls": ("u", "v", "-q"),
        "headers": ("A: b", "C: d"),
    }


def test_the_last_value_counts() -> None:
    assert get("--dir", "a", "--dir", "b", "--key", "--no-key") == {"dir": "b", "key": False}


@pytest.mark.parametrize("line", [["--bogus"], ["-Z"], ["--dir"], ["-d"], ["--json=1"], ["--help"], ["-h"]])
def test_what_is_not_understood_is_left_to_typer(line: list[str]) -> None:
    assert get(*line) is None


def test_counts_of_arguments() -> None:
    assert read(COMMANDS["info"], []) is None
    assert read(COMMANDS["info"], ["u", "v"]) is None
    assert read(COMMANDS["config"], ["u"]) is None
    assert read(COMMANDS["resume"], []) is not None


def test_policies_exclude_each_other() -> None:
    assert Typed({"rename": True}).settings() == {"exists": Exists.RENAME}
    with pytest.raises(UsageError, match="--overwrite and --skip exclude"):
        Typed({"skip": True, "overwrite": True}).settings()


def test_every_option_has_a_flag() -> None:
    named = {flag.name for flag in COMMANDS["get"].flags} | {"exists"}
    assert {row.name for row in table() if row.kind.has_flag} <= named
    assert {row.name for row in table() if not row.kind.has_flag}.isdisjoint(named)
    for command in COMMANDS.values():
        names = [name for flag in command.flags for name in flag.names]
        assert len(names) == len(set(names))


WORDS = st.sampled_from(
    ["get", "--", "-", "", "u", "http://h/x", "-q", "-qv", "-d", "-dx", "-qdx", "--dir", "--dir=", "--dir=x", "-H",
     "A: b", "--header=A: b", "--key", "--no-key", "--no-dir", "--json", "--json=1", "-x", "--connections", "4",
     "--rename", "--skip", "-i", "-m", "--mirror", "-qH", "-vj4", "--no-netrc", "-o", "-1", "é", "--dir\n"]
)  # fmt: skip


@pytest.fixture(scope="module")
def by_typer() -> tuple[object, list[tuple[str, dict[str, object]]]]:
    seen: list[tuple[str, dict[str, object]]] = []

    def run(command: Command, typed: Typed) -> int:
        seen.append((command.name, typed.values))
        return 0

    return typer_app.build(run), seen


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(COMMANDS)), words=st.lists(WORDS, max_size=6))
def test_both_readers_read_the_same(
    by_typer: tuple[object, list[tuple[str, dict[str, object]]]], name: str, words: list[str]
) -> None:
    app, seen = by_typer
    seen.clear()
    try:
        app([name, *words], prog_name="thunderdl", standalone_mode=False)  # type: ignore[operator]  # a Typer
    except Exception as error:
        if typer_app.complaint(error) is None:
            raise
    typed = read(COMMANDS[name], words)
    assert seen == ([] if typed is None else [(name, typed.values)])
