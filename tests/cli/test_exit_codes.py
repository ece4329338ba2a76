from __future__ import annotations

from collections.abc import Iterator

from tests.cli.fakes import failed, saved, stopped
from thunderdl import errors
from thunderdl.cli import exit_codes
from thunderdl.model import Status


def classes(root: type[errors.ThunderdlError]) -> Iterator[type[errors.ThunderdlError]]:
    yield root
    for each in root.__subclasses__():
        yield from classes(each)


def test_the_table_holds_every_code_of_the_error_tree() -> None:
    codes = {each.exit_code for each in classes(errors.ThunderdlError) if each is not errors.DownloadFailed}
    assert codes | {0} == set(exit_codes.MEANINGS)


def test_a_result_tells_its_code() -> None:
    assert exit_codes.of_result(saved("http://h/a")) == 0
    assert exit_codes.of_result(saved("http://h/a", status=Status.SKIPPED)) == 0
    assert exit_codes.of_result(stopped("http://h/a")) == 130
    assert exit_codes.of_result(saved("http://h/a", status=Status.CANCELLED)) == 130
    assert exit_codes.of_result(saved("http://h/a", status=Status.FAILED)) == 1
    assert exit_codes.of_result(failed("http://h/a", errors.NotFound("http://h/a", "404"))) == 3
    assert exit_codes.of_result(failed("http://h/a", ValueError("x"))) == 1


def test_the_worst_of_several() -> None:
    assert exit_codes.worst(()) == 0
    assert exit_codes.worst((0, 2, 0)) == 2
    assert exit_codes.worst((4, 3, 9, 0)) == 9
    assert exit_codes.worst((9, 130)) == 130
