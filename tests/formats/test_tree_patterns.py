from __future__ import annotations

import pytest

from thunderdl.formats.tree_patterns import Selection


@pytest.mark.parametrize(
    ("include", "exclude", "path", "wanted"),
    [
        ((), (), "a/b", True),
        (("*.iso",), (), "a/b.iso", True),
        (("*.iso",), (), "a/b.txt", False),
        (("a",), (), "a/b.txt", True),
        (("a/",), (), "x/a/b.txt", True),
        (("b",), (), "a/b.txt", False),
        (("a/*.txt",), (), "a/c/d.txt", True),
        (("*",), ("a",), "a/b.txt", False),
        ((), ("*.txt",), "a/b.txt", False),
        ((), ("[ab].txt",), "c.txt", True),
        ((), ("A",), "a/b", True),
    ],
)
def test_a_file(include: tuple[str, ...], exclude: tuple[str, ...], path: str, wanted: bool) -> None:
    assert Selection(include, exclude).takes(path) is wanted


def test_a_folder_that_is_excluded_is_not_entered() -> None:
    selection = Selection(("*.iso",), ("src/",))
    assert not selection.enters("a/src")
    assert not selection.enters("src/b")
    assert selection.enters("a")


@pytest.mark.parametrize("pattern", ["", "/", "./"])
def test_a_pattern_for_nothing(pattern: str) -> None:
    with pytest.raises(ValueError, match="stands for no file"):
        Selection((pattern,))
