from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from thunderdl.cli import settings
from thunderdl.cli.config import rows_of
from thunderdl.cli.settings import merge
from thunderdl.errors import UsageError
from thunderdl.model import Digest
from thunderdl.option_texts import parse_limit
from thunderdl.options import Exists, Options, Priority


def test_nothing_given_is_the_defaults() -> None:
    assert merge(file={}, environment={}, flags={}).options() == Options()


def test_file_then_environment_then_flags() -> None:
    merged = merge(
        file={"dir": "/file", "connections": 3, "jobs": 2, "netrc": True},
        environment={"THUNDERDL_DIR": "/environment", "THUNDERDL_CONNECTIONS": "4", "HOME": "/h"},
        flags={"dir": "/flag", "netrc": False},
    )
    options = merged.options()
    assert (options.dir, options.connections, options.jobs, options.netrc) == ("/flag", 4, 2, False)
    origins = {item.row.name: item.origin for item in merged.items}
    assert origins["dir"] == "--dir"
    assert origins["connections"] == "THUNDERDL_CONNECTIONS"
    assert origins["jobs"] == "config.toml: jobs"
    assert origins["limit"] == "default"


def test_values_of_every_kind() -> None:
    flags = {
        "limit": "2.5M", "timeout": "2m", "headers": ("A: b", "X-Y:z:1"), "exists": Exists.RENAME,
        "checksum": "sha-256=" + "ab" * 32, "key": True,
    }  # fmt: skip
    options = merge(file={}, environment={}, flags=flags).options()
    assert options.limit == 2.5 * 1024 * 1024
    assert options.timeout == 120
    assert options.headers == (("A", "b"), ("X-Y", "z:1"))
    assert options.exists is Exists.RENAME
    assert options.checksum == Digest("sha256", b"\xab" * 32)
    assert options.key


def test_an_empty_list_of_hosts_stands_in_the_place_of_the_environments() -> None:
    options = merge(file={"no_proxy": "a.example"}, environment={}, flags={"no_proxy": ""}).options()
    assert options.no_proxy == ""


def test_limits_by_the_clock_and_priorities() -> None:
    flags = {"limit": "mon-fri 08:00-18:00=1M, 5M", "task_limit": "500K", "priority": "High"}
    merged = merge(file={"priority": "low"}, environment={}, flags=flags)
    options = merged.options()
    assert options.limit == parse_limit(flags["limit"])
    assert (options.task_limit, options.priority) == (500 * 1024, Priority.HIGH)
    shown = {item.row.name: item.shown() for item in merged.items}
    assert shown["limit"] == flags["limit"]
    assert shown["priority"] == "high"


def test_toml_types_and_text_mean_the_same() -> None:
    file = {"headers": {"A": "b"}, "timeout": 1.5, "limit": "0", "exists": "skip", "insecure": "yes"}
    options = merge(file=file, environment={"THUNDERDL_RETRIES": "0"}, flags={}).options()
    assert options == Options(
        headers=(("A", "b"),), timeout=1.5, limit=None, exists=Exists.SKIP, insecure=True, retries=0
    )


def test_lines_of_the_environment_are_headers() -> None:
    merged = merge(file={}, environment={"THUNDERDL_HEADERS": "A: b\nC: d\n"}, flags={})
    assert merged.options().headers == (("A", "b"), ("C", "d"))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"limit": "5Q"}, "--limit: '5Q': not a rate"),
        ({"limit": "0.5"}, "less than one byte"),
        (
            {"limit": "quick"},
            "--limit: 'quick': not a rate: write bytes a second, as 500K, 2.5M or 1G, or by the clock",
        ),
        ({"task_limit": "08:00-25:00=1M"}, "--task-limit: '08:00-25:00=1M': '25:00' is no time of day"),
        ({"priority": "urgent"}, "--priority: 'urgent': none of low, normal, high"),
        ({"connections": "0"}, "--connections: '0': not a whole number from 1"),
        ({"connections": "²"}, "not a whole number"),
        ({"connections": "9" * 5000}, "not a whole number"),
        ({"timeout": "0"}, "not a duration"),
        ({"timeout": "nan"}, "not a duration"),
        ({"headers": ("A: b\r\nX: y",)}, "newlines"),
        ({"headers": ("A: b\nX: y",)}, "newlines"),
        ({"headers": ("nothing",)}, "NAME: VALUE"),
        ({"headers": ("bad name: x",)}, "NAME: VALUE"),
        ({"user_agent": "a\nb"}, "newlines"),
        ({"dir": ""}, "empty"),
        ({"checksum": "sha-256=zz"}, "--checksum: "),
        ({"piece_hashes": "/nowhere/at/all"}, "No such file"),
    ],
)
def test_bad_values_name_their_flag(flags: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        merge(file={}, environment={}, flags=flags)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ({"limit": "much"}, "c.toml: limit: 'much': not a rate"),
        ({"limit": True}, "c.toml: limit: a value of type bool cannot be used here"),
        ({"dir": 5}, "c.toml: dir: a value of type int"),
        ({"netrc": 1}, "c.toml: netrc"),
        ({"conections": 5}, "unknown key 'conections'; did you mean 'connections'?"),
        ({"per-host": 5}, "did you mean 'per_host'?"),
        ({"checksum": "x"}, "unknown key 'checksum'"),
        ({"headers": [1]}, "c.toml: headers: a value of type list"),
    ],
)
def test_bad_values_name_file_and_key(file: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        merge(file=file, environment={}, flags={}, file_name="c.toml")
    assert told in str(caught.value)


def test_bad_values_name_the_variable() -> None:
    with pytest.raises(UsageError, match="THUNDERDL_JOBS: 'many'"):
        merge(file={}, environment={"THUNDERDL_JOBS": "many"}, flags={})


def test_secrets_are_masked_where_settings_are_shown() -> None:
    merged = merge(
        file={},
        environment={},
        flags={"headers": ("Authorization: Bearer s3cret", "Accept: text/x"), "proxy": "http://u:s3cret@p:1"},
    )
    shown = "\n".join(rows_of(merged))
    assert "s3cret" not in shown
    assert "Authorization: ***, Accept: text/x" in shown
    assert "http://***@p:1" in shown


def test_a_bad_secret_is_not_told() -> None:
    with pytest.raises(UsageError) as caught:
        merge(file={}, environment={}, flags={"headers": ("Authorization: s3cret\nX: y",)})
    assert "s3cret" not in str(caught.value)


def test_the_config_folder_is_that_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUNDERDL_CONFIG", raising=False)
    for value in ("/xdg", "", " "):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        folder = platformdirs.user_config_dir("thunderdl", appauthor=False)
        assert settings.config_path() == os.path.join(folder, "config.toml")


def test_a_config_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("THUNDERDL_CONFIG", str(path))
    assert settings.read_config(settings.config_path()) == {}
    path.write_text('limit = "1M"\n[headers]\nA = "b"\n')
    options = settings.load({}).options()
    assert (options.limit, options.headers) == (1 << 20, (("A", "b"),))
    path.write_bytes(b"limit = \xff")
    with pytest.raises(UsageError, match="not valid TOML"):
        settings.load({})
    with pytest.raises(UsageError, match="Is a directory"):
        settings.read_config(str(tmp_path))
