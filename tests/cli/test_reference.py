from __future__ import annotations

from thunderdl.cli import exit_codes
from thunderdl.cli.commands import COMMANDS
from thunderdl.cli.reference import page
from thunderdl.options import table


def test_the_page_names_every_command_flag_setting_and_code() -> None:
    text = page()
    for command in COMMANDS.values():
        assert f"## `thunderdl {command.name}" in text
        assert all(name in text for flag in command.flags for name in flag.names)
    assert all(row.environment in text for row in table() if not row.once)
    assert all(f"| {code} |" in text for code in exit_codes.MEANINGS)
