"""``--ask-password``: who is asked for, and where the answer goes."""

from __future__ import annotations

import pytest

from thunderdl.cli.asking import Asked


def answered(urls: list[str], password: str = "p@ss:/ü") -> tuple[tuple[str, ...], list[str]]:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return password

    return Asked(ask).all(urls), prompts


def test_each_user_of_each_host_is_asked_for_once() -> None:
    urls = ["sftp://me@h/a", "sftp://me@h/b", "sftp://me@h:2222/a", "ftp://you@h/a"]
    found, prompts = answered(urls)
    assert found[0] == "sftp://me:p%40ss%3A%2F%C3%BC@h/a"
    assert found[1] == "sftp://me:p%40ss%3A%2F%C3%BC@h/b"
    assert prompts == ["Password of me at h: ", "Password of me at h:2222: ", "Password of you at h: "]


@pytest.mark.parametrize("url", [
    "https://h/a", "sftp://h/a@b", "sftp://me:x@h/a", "sftp://me:@h/a", "data:,a@b", "magnet:?xt=urn:btih:a@b",
    "x.torrent",
])  # fmt: skip
def test_nobody_is_asked_where_no_password_is_wanted(url: str) -> None:
    assert answered([url]) == ((url,), [])


def test_a_prompt_holds_no_control_byte() -> None:
    _, prompts = answered(["sftp://m%1b%5b2Je@h/a"])
    assert prompts == ["Password of m\ufffd[2Je at h: "]
